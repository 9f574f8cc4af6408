import assert from "node:assert/strict";
import { after, test } from "node:test";
import { startProduct } from "../e2e/harness.ts";
import { talk } from "../gateway/plane.ts";
import { answerHeads, startRaw } from "./kit.ts";

const raw = await startRaw(answerHeads());
const after401 = await startRaw((socket, text) => {
  if (text.includes("\r\n\r\n")) socket.write("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
});
const product = await startProduct({
  threads: 1,
  flags: [
    "--entryPoints.trusting.address=127.0.0.1:0",
    "--entryPoints.trusting.forwardedHeaders.trustedIPs=127.0.0.1",
  ],
  file: `
http:
  routers:
    admin: { rule: "Host(\`a\`) && PathPrefix(\`/admin\`)", middlewares: [login], service: s }
    other: { rule: "Host(\`a\`)", service: s }
    depth1: { rule: "Host(\`depth1\`)", middlewares: [depth1], service: s }
    depth2: { rule: "Host(\`depth2\`)", middlewares: [depth2], service: s }
    excluded: { rule: "Host(\`excluded\`)", middlewares: [excluded], service: s }
    asked: { rule: "Host(\`asked\`)", middlewares: [asked], service: s }
  middlewares:
    login: { basicAuth: { users: ["u:{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE="] } }
    depth1: { ipAllowList: { sourceRange: [10.0.0.0/8], ipStrategy: { depth: 1 } } }
    depth2: { ipAllowList: { sourceRange: [10.0.0.0/8], ipStrategy: { depth: 2 } } }
    excluded: { ipAllowList: { sourceRange: [10.0.0.0/8], ipStrategy: { excludedIPs: [127.0.0.0/8, 192.168.0.0/16] } } }
    asked: { forwardAuth: { address: "${after401.url}", authResponseHeaders: [X-User] } }
  services:
    s: { loadBalancer: { servers: [{ url: "${raw.url}" }] } }
`,
});
after(async () => {
  await product[Symbol.asyncDispose]();
  await raw[Symbol.asyncDispose]();
  await after401[Symbol.asyncDispose]();
});

const ask = async (head: string, entryPoint = "web"): Promise<number> => {
  const before = raw.heard.join("").length;
  const text = await talk(product.ports.get(entryPoint)!, `${head}\r\nConnection: close\r\n\r\n`);
  const status = Number(text.slice(9, 12));
  if (status !== 200) assert.equal(raw.heard.join("").length, before, "a refused request reached a server");
  return status;
};

for (const path of [
  "/admin",
  "//admin",
  "/./admin",
  "/x/../admin",
  "/x/%2e%2e/admin",
  "/%61dmin",
  "/%2561dmin/../admin",
  "/admin/",
  "/admin;x",
  "/admin%3Fx",
  "/admin?/../x",
  "http://a/admin",
  "http://A:80/admin",
]) {
  test(`the login of /admin holds for ${path}`, async () => {
    const status = await ask(`GET ${path} HTTP/1.1\r\nHost: ${path.includes("A:80") ? "A:80" : "a"}`);
    assert.ok(status === 401 || status === 400, `${status}`);
  });
}

for (const host of ["a", "A", "a.", "a:80", "A.:8080"]) {
  test(`the login of /admin holds for the host written ${host}`, async () => {
    assert.equal(await ask(`GET /admin HTTP/1.1\r\nHost: ${host}`), 401);
  });
}

for (const path of ["/admin%2f", "/%2e%2e%2fadmin", "/admin%5c", "/admin%00"]) {
  test(`${path} is not matched at all`, async () => {
    assert.equal(await ask(`GET ${path} HTTP/1.1\r\nHost: a`), 400);
  });
}

const forged =
  "X-Forwarded-For: 10.0.0.1\r\nX-Real-Ip: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\nX_Forwarded_For: 10.0.0.1";
for (const host of ["depth1", "depth2", "excluded"]) {
  test(`what an untrusted client says about itself does not pass the ipStrategy of ${host}`, async () => {
    assert.equal(await ask(`GET / HTTP/1.1\r\nHost: ${host}\r\n${forged}`), 403);
  });
}

// As Traefik documents it: the peer is not among the addresses that depth counts.
for (const [host, told, status] of [
  ["depth1", "1.1.1.1, 10.0.0.1", 200],
  ["depth1", "10.0.0.1, 1.1.1.1", 403],
  ["depth2", "10.0.0.1, 1.1.1.1", 200],
  ["depth2", "10.0.0.1", 403],
  ["excluded", "10.0.0.1, 192.168.0.1", 200],
  ["excluded", "10.0.0.1, 1.1.1.1, 192.168.0.1", 403],
] as const) {
  test(`behind a trusted proxy, ${host} gives ${status} for ${told}`, async () => {
    assert.equal(
      await ask(`GET / HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-For: ${told}`, "trusting"),
      status,
    );
  });
}

test("two lines of X-Forwarded-For count as one, so that no first line is the client's own", async () => {
  const lines = "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 1.1.1.1";
  assert.equal(await ask(`GET / HTTP/1.1\r\nHost: depth1\r\n${lines}`, "trusting"), 403);
});

test("a service that says no is not overruled by a client that names the header itself", async () => {
  const own = "X-User: admin\r\nX_User: admin\r\nConnection: x-user";
  assert.equal(await ask(`GET / HTTP/1.1\r\nHost: asked\r\n${own}`), 401);
});

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { eventually, type Product, startProduct, startServer } from "../e2e/harness.ts";

/** Servers by name. Each says its name; `status` and `seen` are the test's to use. */
const servers = new Map<string, Awaited<ReturnType<typeof startServer>>>();
const status = new Map<string, number>();
const seen: string[] = [];
let product: Product;

const server = (name: string) => `{ url: "${servers.get(name)!.url}" }`;
const balancer = (names: string, more = "") =>
  `loadBalancer: { ${more} servers: [ ${names.split(" ").map(server).join(", ")} ] }`;
const router = (name: string) => `${name}: { rule: "Host(\`${name}.test\`)", service: ${name} }`;

before(async () => {
  for (const name of ["a", "b", "c"]) {
    const started = await startServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => (body += chunk));
      request.on("end", () => {
        seen.push(`${name} ${request.method} ${request.url} ${body}`);
        response.writeHead(status.get(name) ?? 200).end(name);
      });
    });
    servers.set(name, started);
  }
  const routers = [
    "sticky",
    "plain",
    "canary",
    "loyal",
    "spare",
    "onstatus",
    "copied",
    "half",
    "hashed",
    "resting",
    "panic",
    "capped",
    "small",
  ];
  product = await startProduct({
    threads: 1,
    file: `
http:
  routers: { ${routers.map(router).join(", ")} }
  services:
    onlya: { ${balancer("a")} }
    onlyb: { ${balancer("b")} }
    none: { loadBalancer: { servers: [] } }
    plain: { ${balancer("a b c")} }
    sticky: { ${balancer("a b c", "sticky: { cookie: { httpOnly: true, sameSite: lax, maxAge: 60 } },")} }
    canary: { weighted: { services: [ { name: onlya, weight: 3 }, { name: onlyb, weight: 1, header: "X-Canary=yes", cookie: canary } ] } }
    loyal: { weighted: { sticky: { cookie: { name: side } }, services: [ { name: onlya }, { name: onlyb } ] } }
    spare: { failover: { service: none, fallback: onlyb } }
    onstatus: { failover: { service: onlya, fallback: onlyb, errors: { status: [ "500-599" ] } } }
    copied: { mirroring: { service: onlya, mirrors: [ { name: onlyb, percent: 100 } ] } }
    half: { mirroring: { service: onlya, mirrors: [ { name: onlyb, percent: 50 } ] } }
    hashed: { ${balancer("a b c", 'strategy: hash, hashBy: "header:X-User",')} }
    resting: { ${balancer("a b", "passiveHealthCheck: { failureWindow: 1h, maxFailedAttempts: 2 },")} }
    panic: { ${balancer("a b", "passiveHealthCheck: { failureWindow: 1h, maxFailedAttempts: 1, panicPercent: 60 },")} }
    capped: { ${balancer("a b", "passiveHealthCheck: { failureWindow: 1h, maxFailedAttempts: 1, maxEjectedPercent: 50 },")} }
    small: { limits: { body: 10 }, ${balancer("a")} }
`,
  });
});

after(async () => {
  await product[Symbol.asyncDispose]();
  for (const started of servers.values()) await started[Symbol.asyncDispose]();
});

async function ask(host: string, times: number, headers: Record<string, string> = {}): Promise<string> {
  let bodies = "";
  for (let i = 0; i < times; i++) bodies += (await product.get(`${host}.test`, "/", { headers })).body;
  return bodies;
}

const share = (bodies: string, name: string) => [...bodies].filter((letter) => letter === name).length;

test("HD-18 a sticky cookie keeps a client on its server, tells nothing of it, and is not believed when forged", async () => {
  const first = await product.get("sticky.test");
  const [cookie] = first.headers["set-cookie"] as string[];
  const [pair] = cookie!.split(";") as [string];
  const name = `_${createHash("sha1").update("_TRAEFIK_BACKEND_sticky@file").digest("hex").slice(0, 5)}`;
  const value = createHash("sha256").update(servers.get(first.body)!.url).digest("hex").slice(0, 16);
  assert.equal(pair, `${name}=${value}`);
  assert.match(cookie!, /; Path=\/; Max-Age=60; HttpOnly; SameSite=Lax$/);
  assert.equal(await ask("sticky", 6, { cookie: pair }), first.body.repeat(6));
  const again = await product.get("sticky.test", "/", { headers: { cookie: pair } });
  assert.equal(again.headers["set-cookie"], undefined);
  const forged = await product.get("sticky.test", "/", { headers: { cookie: `${name}=http://127.0.0.1:1` } });
  assert.equal((forged.headers["set-cookie"] as string[]).length, 1);
});

test("servers take turns", async () => {
  const bodies = await ask("plain", 9);
  for (const name of "abc") assert.equal(share(bodies, name), 3, bodies);
});

test("a weighted service divides by weight, and sends to one by header or cookie whoever asks for it", async () => {
  assert.equal(share(await ask("canary", 8), "b"), 2);
  assert.equal(await ask("canary", 4, { "x-canary": "yes" }), "bbbb");
  assert.equal(share(await ask("canary", 8, { "x-canary": "no" }), "b"), 2);
  assert.equal(await ask("canary", 4, { cookie: "x=1; canary=anything" }), "bbbb");
});

test("a weighted service keeps a client where it was", async () => {
  const first = await product.get("loyal.test");
  const [cookie] = first.headers["set-cookie"] as string[];
  assert.match(cookie!, /^side=[0-9a-f]{16}; Path=\/$/);
  assert.equal(await ask("loyal", 4, { cookie: cookie!.split(";")[0]! }), first.body.repeat(4));
});

test("a failover goes to the second service while the first has no server", async () => {
  assert.equal(await ask("spare", 3), "bbb");
});

test("a failover answers from the second service when the first has one of the statuses", async () => {
  status.set("a", 502);
  assert.equal((await product.get("onstatus.test", "/", { method: "POST", body: "again" })).body, "b");
  assert.ok(seen.includes("b POST / again"));
  status.delete("a");
  assert.equal((await product.get("onstatus.test")).body, "a");
});

test("a mirror gets a copy with the body, and the client the main service's answer", async () => {
  seen.length = 0;
  const { body } = await product.get("copied.test", "/x", { method: "POST", body: "hello" });
  assert.equal(body, "a");
  await eventually(() => assert.deepEqual([...seen].sort(), ["a POST /x hello", "b POST /x hello"]));
});

test("a mirror of half of the requests gets exactly half", async () => {
  seen.length = 0;
  assert.equal(await ask("half", 10), "a".repeat(10));
  await eventually(() => assert.equal(seen.filter((line) => line.startsWith("b")).length, 5));
});

test("hashing by a header keeps a value on one server and spreads many", async () => {
  const one = await ask("hashed", 5, { "x-user": "ann" });
  assert.equal(new Set(one).size, 1);
  const all = new Set<string>();
  for (let i = 0; i < 40; i++) all.add(await ask("hashed", 1, { "x-user": `user ${i}` }));
  assert.equal(all.size, 3);
});

test("BE-22 a server whose replies fail rests, and the others go on", async () => {
  status.set("a", 500);
  await ask("resting", 8);
  assert.equal(await ask("resting", 6), "bbbbbb");
  status.delete("a");
  assert.equal(await ask("resting", 4), "bbbb", "it rests for the whole window");
});

test("BE-21 with too few healthy servers all are used again", async () => {
  status.set("a", 500);
  const bodies = await ask("panic", 10);
  status.delete("a");
  assert.ok(share(bodies, "a") >= 3, bodies);
});

test("no more servers rest than the cap allows", async () => {
  status.set("a", 500);
  status.set("b", 500);
  await ask("capped", 8);
  status.delete("a");
  status.delete("b");
  const ejected = product.runtime
    .servers()
    .filter(({ service, ejected }) => service === "capped@file" && ejected);
  assert.equal(ejected.length, 1);
});

test("a body larger than the service's limit is refused", async () => {
  assert.equal((await product.get("small.test", "/", { method: "POST", body: "short" })).status, 200);
  assert.equal((await product.get("small.test", "/", { method: "POST", body: "much too long" })).status, 413);
});

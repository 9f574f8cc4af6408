import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Product, startProduct } from "./harness.ts";

const MIB = 1024 * 1024;
const BODY_MIB = 1024;
const GROWTH_MIB_MAX = 150;

// In a process of its own, as is the client, so that only our memory is measured: what comes in goes out.
const ECHO = `
  const server = require("node:http").createServer((incoming, response) => {
    const encoded = incoming.headers["x-encoded"] ? { "content-encoding": "gzip" } : {};
    response.writeHead(200, { "content-type": "text/plain", ...encoded });
    incoming.pipe(response);
  });
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

async function startEcho(t: TestContext): Promise<string> {
  const child = spawn(process.execPath, ["-e", ECHO], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill());
  const port = await new Promise((resolve) => child.stdout.once("data", resolve));
  return `http://127.0.0.1:${String(port).trim()}`;
}

/** Sends a file and throws away what comes back: how many bytes that were, and how much we grew meanwhile. */
async function transfer(product: Product, file: string, path: string, headers: readonly string[]) {
  const url = `http://127.0.0.1:${product.ports.get("web")}${path}`;
  const given = ["Host: app.test", "Expect:", ...headers].flatMap((header) => ["-H", header]);
  const args = ["-sSf", "-o", "/dev/null", "-w", "%{size_download}", "-T", file, ...given, url];
  const before = process.memoryUsage().rss;
  let largest = before;
  const watching = setInterval(() => {
    largest = Math.max(largest, process.memoryUsage().rss);
  }, 20);
  const curl = spawn("curl", args, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  curl.stdout.on("data", (bytes) => {
    said += bytes;
  });
  const code = await new Promise((resolve) => curl.once("close", resolve));
  clearInterval(watching);
  assert.equal(code, 0);
  return { receivedMib: Number(said) / MIB, grownMib: (largest - before) / MIB };
}

test("BE-19 a gigabyte each way leaves memory flat, plain, compressed, and compressed already", async (t) => {
  const backend = await startEcho(t);
  const folder = mkdtempSync(join(tmpdir(), "waybill-memory-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "body");
  writeFileSync(file, "");
  truncateSync(file, BODY_MIB * MIB);
  await using product = await startProduct({
    threads: 1,
    file: `
http:
  routers:
    plain: { rule: "Host(\`app.test\`)", service: app }
    small: { rule: "Host(\`app.test\`) && PathPrefix(\`/small\`)", service: app, middlewares: [ small ] }
  middlewares: { small: { compress: { encodings: [ gzip ] } } }
  services: { app: { loadBalancer: { servers: [ { url: "${backend}" } ] } } }
`,
  });
  // What the runtime needs once is not what a body costs.
  for (const path of ["/", "/small"])
    await product.get("app.test", path, { method: "POST", body: "x".repeat(MIB) });
  for (const [what, path, headers] of [
    ["plain", "/body", []],
    ["compressed", "/small", ["Accept-Encoding: gzip"]],
    ["compressed already", "/small", ["Accept-Encoding: gzip", "X-Encoded: yes"]],
  ] as const) {
    const { receivedMib, grownMib } = await transfer(product, file, path, headers);
    t.diagnostic(`${what}: ${receivedMib.toFixed(0)} MiB back, memory grew by ${grownMib.toFixed(0)} MiB`);
    if (what === "compressed") assert.ok(receivedMib < BODY_MIB * 0.1);
    else assert.equal(receivedMib, BODY_MIB);
    assert.ok(grownMib < GROWTH_MIB_MAX, `${what}: memory grew by ${grownMib} MiB`);
  }
});

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { RetryBudget } from "../../src/gateway/retry.ts";
import { GET, headers, RawClient, setting } from "../conformance/http2-frames.ts";
import { startProduct } from "../e2e/harness.ts";
import {
  OK,
  Plane,
  type PlaneOptions,
  RawBackend,
  replies,
  replying,
  TestServer,
  talk,
} from "../gateway/plane.ts";
import { Http2Backend } from "../upstream/http2-backend.ts";

/** Limits that are options: what happens when somebody changes them. */

const open: { close(): void }[] = [];
after(() => {
  for (const one of open) one.close();
});

const REQUEST = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";

async function plane(server: TestServer, options: PlaneOptions = {}): Promise<Plane> {
  const one = await new Plane({ servers: [server], ...options }).start();
  open.push(one);
  return one;
}

async function backend(reply: string): Promise<TestServer> {
  const one = await replying(reply).start();
  open.push(one);
  return new TestServer(one.port);
}

const statusOf = (text: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);

test("http2.maxSettings: a SETTINGS frame with more entries ends the connection", async () => {
  const server = await backend(OK);
  for (const [written, code] of [
    [{}, "goaway"],
    [{ "http2.maxSettings": "40" }, "headers"],
  ] as const) {
    const { port } = await plane(server, { entryPoint: written });
    const client = await RawClient.open(port, Buffer.concat(Array(36).fill(setting(3, 100))));
    client.send(headers(1, GET));
    assert.match(await client.verdict(1), new RegExp(`^${code}`));
    client.close();
  }
});

const manyHeaders = (count: number) =>
  `HTTP/1.1 200 OK\r\n${Array.from({ length: count - 1 }, (_, i) => `X-${i}: a\r\n`).join("")}Content-Length: 0\r\n\r\n`;
const largeHead = (bytes: number) =>
  `HTTP/1.1 200 OK\r\nX-A: ${"a".repeat(bytes)}\r\nContent-Length: 0\r\n\r\n`;

for (const [what, reply, transport, status] of [
  ["200 headers", manyHeaders(200), {}, 200],
  ["201 headers", manyHeaders(201), {}, 502],
  ["201 headers where 300 may be", manyHeaders(201), { maxResponseHeaders: "300" }, 200],
  ["11 headers where 10 may be", manyHeaders(11), { maxResponseHeaders: "10" }, 502],
  ["60 KiB of head", largeHead(60 * 1024), {}, 200],
  ["70 KiB of head", largeHead(70 * 1024), {}, 502],
  ["70 KiB of head where 100 may be", largeHead(70 * 1024), { maxResponseHeaderBytes: "100KiB" }, 200],
  ["2 KiB of head where 1 may be", largeHead(2048), { maxResponseHeaderBytes: "1KiB" }, 502],
] as const) {
  test(`maxResponseHeaders and maxResponseHeaderBytes: a reply with ${what} is ${status}`, async () => {
    const one = await plane(await backend(reply), { transport });
    assert.equal(statusOf(await talk(one.port, REQUEST, replies(1))), status);
    if (status === 502) assert.equal(one.done[0]!.fault?.code, "reply-too-large");
  });
}

test("maxResponseHeaders and maxResponseHeaderBytes hold for servers of HTTP/2 as well", async () => {
  const server = new Http2Backend((stream, { ":path": path }) => {
    const many = Object.fromEntries(Array.from({ length: 230 }, (_, i) => [`x-${i}`, "a"]));
    stream.respond(path === "/many" ? many : { "x-a": "a".repeat(3000) });
    stream.end();
  });
  open.push(await server.start());
  const at = new TestServer(server.port, { scheme: "h2c" });
  const ask = async (path: string, transport: Record<string, string>) => {
    const one = await plane(at, { transport });
    return statusOf(await talk(one.port, REQUEST.replace("/", path), replies(1)));
  };
  assert.equal(await ask("/many", {}), 502);
  assert.equal(await ask("/many", { maxResponseHeaders: "300" }), 200);
  assert.equal(await ask("/large", {}), 200);
  assert.equal(await ask("/large", { maxResponseHeaderBytes: "2KiB" }), 502);
});

test("retryBudget: of a hundred requests as many may be repeated as it says, and ten more at first", () => {
  for (const [percent, most] of [
    [0, 0],
    [5, 15],
    [20, 30],
    [100, 110],
  ] as const) {
    const budget = new RetryBudget(percent);
    for (let i = 0; i < 100; i++) budget.earn();
    let spent = 0;
    while (budget.spend()) spent++;
    // No more than a hundred are ever saved up.
    assert.ok(Math.abs(spent - Math.min(100, most)) <= 1, `${percent} %: ${spent}`);
  }
});

test("global.retryBudget: with 0 a request that a server has had is not repeated", async () => {
  const bad = await new RawBackend((socket) => socket.resetAndDestroy()).start();
  const good = await replying(OK).start();
  open.push(bad, good);
  for (const [flags, statuses] of [
    [[], [200, 200]],
    [["--global.retryBudget=0"], [200, 502]],
  ] as const) {
    await using product = await startProduct({
      threads: 1,
      flags,
      file: `
http:
  routers: { app: { rule: "PathPrefix(\`/\`)", service: app } }
  services:
    app:
      loadBalancer:
        servers: [{ url: "http://127.0.0.1:${bad.port}" }, { url: "http://127.0.0.1:${good.port}" }]
`,
    });
    const seen = [(await product.get("a.test")).status, (await product.get("a.test")).status];
    assert.deepEqual(seen.sort(), statuses);
  }
});

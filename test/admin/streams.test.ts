import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import type { RequestSample } from "../../src/model/traffic.ts";
import { openSite } from "./site.ts";

const SAMPLE: RequestSample = {
  atMs: 0,
  durationMs: 12,
  beforeMs: 1,
  waitMs: 10,
  method: "GET",
  scheme: "http",
  httpVersion: 11,
  host: "app.test",
  path: "/a",
  hasQuery: true,
  status: 200,
  client: "192.0.2.1",
  username: undefined,
  entryPoint: "web",
  router: "app@docker",
  service: "app@docker",
  server: "http://10.0.0.1:80",
  attempts: 1,
  fault: undefined,
  detail: undefined,
  bytesIn: 0,
  bytesOut: 10,
};

/** Opens a stream by hand, so that its reader can stop reading. */
function open(port: number, path: string): { readonly socket: Socket; readonly read: () => string } {
  let text = "";
  const socket = connect(port, "127.0.0.1");
  socket.on("data", (chunk) => (text += chunk.toString()));
  socket.on("error", () => undefined);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return { socket, read: () => text };
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(holds(), holds.toString());
}

test("the live requests are those that were asked for", async () => {
  await using site = await openSite();
  const all = open(site.port, "/api/requests");
  const errors = open(site.port, "/api/requests?status=5xx&host=app");
  await until(() => site.readers.size === 2);
  site.send([SAMPLE, { ...SAMPLE, path: "/broken", status: 502, fault: "connect-failed" }]);
  await until(() => all.read().includes("/broken") && errors.read().includes("/broken"));
  assert.match(all.read(), /"path":"\/a"/);
  assert.doesNotMatch(errors.read(), /"path":"\/a"/);
  assert.equal((await site.ask("/api/requests?status=soon")).status, 400);
  all.socket.destroy();
  errors.socket.destroy();
  await until(() => site.readers.size === 0);
});

test("AD-10 five hundred readers are served, and a stalled one loses events rather than memory", async () => {
  await using site = await openSite();
  const readers = Array.from({ length: 500 }, () => open(site.port, "/api/requests"));
  await until(() => site.readers.size === 500);
  const stalled = readers[0]!;
  stalled.socket.pause();
  const batch = Array.from({ length: 200 }, () => ({ ...SAMPLE, path: `/${"x".repeat(390)}` }));
  const before = process.memoryUsage().rss;
  for (const { socket } of readers.slice(2)) socket.destroy();
  await until(() => site.readers.size <= 2);
  for (let i = 0; i < 200; i++) {
    site.send(batch);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => readers[1]!.read().length > 1_000_000);
  assert.ok(process.memoryUsage().rss - before < 200 * 1024 * 1024);
  stalled.socket.resume();
  await until(() => stalled.read().length > 100_000);
  await until(() => {
    site.send([SAMPLE]);
    return stalled.read().includes("event: dropped");
  });
  for (const { socket } of readers) socket.destroy();
});

test("AD-10 streams are closed to other origins", async () => {
  await using site = await openSite();
  const headers = { host: "localhost", origin: "http://evil.example" };
  for (const path of ["/api/events", "/api/requests"]) {
    assert.equal((await site.ask(path, { headers })).status, 403, path);
  }
});

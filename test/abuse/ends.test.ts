import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { after, test } from "node:test";
import type { Exchange } from "../../src/model/exchange.ts";
import { FAULTS } from "../../src/model/fault.ts";
import type { Hooks, RetryPolicy } from "../../src/model/middleware.ts";
import type { UpstreamCall, UpstreamEvents } from "../../src/model/upstream.ts";
import { frame, headers, POST, RawClient, TYPE, uint32 } from "../conformance/http2-frames.ts";
import { eventually } from "../e2e/harness.ts";
import { Plane, type PlaneOptions, RawBackend, TestServer, talk } from "../gateway/plane.ts";
import { Http2Port } from "../listen/http2-site.ts";
import { wait } from "./kit.ts";

/** Every exchange comes to its end exactly once, whatever either side does: what a fuzzer of both has found. */

const open: { close(): void }[] = [];
after(() => {
  for (const one of open) one.close();
});

async function planeTo(backend: RawBackend, options: PlaneOptions = {}): Promise<[Plane, TestServer]> {
  open.push(await backend.start());
  const server = new TestServer(backend.port);
  const plane = await new Plane({ servers: [server], ...options }).start();
  open.push(plane);
  return [plane, server];
}

/** Waits for a whole reply that has no end. */
const waitsForWhole: Hooks = { onResponse: () => new Promise(() => {}) };
const EVENTS = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";
const HALF = { "transport.respondingTimeouts.writeStallTimeout": "100ms" };

for (const [what, backend, hooks, request] of [
  ["a server that never answers", () => {}, [], "GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
  [
    "a middleware that waits for all of an endless reply",
    (socket) => socket.write(EVENTS),
    [waitsForWhole],
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  ],
  [
    "a server that never answers, with a body",
    () => {},
    [],
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
  ],
] as readonly (readonly [string, ConstructorParameters<typeof RawBackend>[0], Hooks[], string])[]) {
  test(`SL-10 a client that has closed its half does not wait for ever for ${what}`, async () => {
    const [plane, server] = await planeTo(new RawBackend(backend), { entryPoint: HALF, hooks });
    const client = connect({ port: plane.port, host: "127.0.0.1", allowHalfOpen: true });
    client.on("error", () => {});
    client.resume();
    client.end(request);
    await eventually(() => assert.equal(plane.done.length, 1));
    assert.equal(plane.done[0]!.fault?.code, "client-gone");
    assert.equal(server.inFlight, 0);
    assert.equal(plane.upstream.open, 0);
    client.destroy();
  });
}

const ONE = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POSTED = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const slowly: Hooks = {
  onRequest: () => new Promise((resolve) => setTimeout(resolve, 30, undefined)),
};

for (const [what, request, hooks] of [
  ["two requests", ONE + ONE, []],
  ["a request with a body and another one", POSTED + ONE, []],
  ["a request with a body that was waited with, and another one", POSTED + ONE, [slowly]],
  ["a request with a body that was waited with", POSTED, [slowly]],
  ["some requests after the first", ONE.repeat(200), []],
] as readonly (readonly [string, string, Hooks[]])[]) {
  test(`SL-11 a client that has sent ${what} and resets is noticed before its reply begins`, async () => {
    const silent = new RawBackend(() => {});
    const [plane, server] = await planeTo(silent, { hooks });
    const client = connect({ port: plane.port, host: "127.0.0.1", noDelay: true });
    client.on("error", () => {});
    client.write(request);
    await eventually(() => assert.ok(silent.text.includes("\r\n\r\n")));
    if (request.startsWith("POST")) await eventually(() => assert.ok(silent.text.endsWith("hello")));
    await wait(30);
    client.resetAndDestroy();
    await eventually(() => assert.equal(plane.done.length, 1));
    assert.equal(server.inFlight, 0);
    assert.equal(plane.upstream.open, 0);
  });
}

for (const [what, request] of [
  ["two requests and closes", ONE + ONE],
  ["more requests than are read ahead and resets", ONE.repeat(20_000)],
] as const) {
  test(`SL-11 a client that has sent ${what} holds no server for ever`, async () => {
    const silent = new RawBackend(() => {});
    const [plane, server] = await planeTo(silent, { entryPoint: HALF });
    const client = connect({ port: plane.port, host: "127.0.0.1", noDelay: true });
    client.on("error", () => {});
    client.write(request);
    await eventually(() => assert.ok(silent.text.includes("\r\n\r\n")));
    await wait(30);
    if (request.length > 1000) client.resetAndDestroy();
    else client.end();
    await eventually(() => assert.ok(plane.done.length > 0));
    await eventually(() => assert.equal(server.inFlight, 0));
    assert.equal(plane.gateway.active, 0);
    client.destroy();
  });
}

test("SL-10 a client with another request waiting is read, and its silent event stream is not cut", async () => {
  let ask = 0;
  const events = new RawBackend((socket) => {
    if (ask++ > 0) return void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nend");
    const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    socket.write(`${head}3\r\none\r\n`);
    setTimeout(() => socket.write("3\r\ntwo\r\n0\r\n\r\n"), 600);
  });
  const [plane] = await planeTo(events, { entryPoint: HALF });
  const text = await talk(plane.port, ONE + ONE, (all) => all.endsWith("end"));
  assert.match(text, /one\r\n3\r\ntwo/);
});

test("H1-29 requests far ahead of their replies are all answered, in their order", async () => {
  const [plane] = await planeTo(
    new RawBackend((socket, chunk) => {
      const [, path = ""] = /^GET (\S+)/.exec(chunk.toString("latin1")) ?? [];
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
    }),
  );
  const count = 3000;
  const asked = Array.from({ length: count }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`);
  const text = await talk(plane.port, asked.join(""), (all) => all.endsWith(`/${count - 1}`), 20_000);
  assert.deepEqual(
    text.match(/(?<=\r\n\r\n)\/\d+/g),
    asked.map((_, i) => `/${i}`),
  );
});

test("BE-15 a request that goes wrong after its reply has begun gets no second reply", async () => {
  const hasty = new RawBackend((socket, chunk, all) => {
    if (all.length === chunk.length) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nfirst");
  });
  const [plane, server] = await planeTo(hasty);
  const client = connect(plane.port, "127.0.0.1");
  client.on("error", () => {});
  let text = "";
  client.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  client.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  await eventually(() => assert.ok(text.endsWith("first")));
  client.write("no chunk\r\n");
  await once(client, "close");
  assert.equal(text.match(/HTTP\/1\.1/g)?.length, 1, text);
  await eventually(() => assert.equal(plane.done.length, 1));
  assert.equal(plane.done[0]!.fault?.code, "bad-framing");
  assert.equal(server.inFlight, 0);
  assert.equal(plane.upstream.open, 0);
});

test("SL-11 a client that leaves ends the try under way, not one that had failed at once", async () => {
  const cancelled: number[] = [];
  let tries = 0;
  const send = (_: Exchange, __: unknown, events: UpstreamEvents): UpstreamCall => {
    const number = ++tries;
    if (number === 1) events.failed(FAULTS["connect-failed"], "at once", false, false);
    return { cancel: () => void cancelled.push(number) };
  };
  const upstream = { send, forget() {}, close() {}, open: 0 };
  const [plane, server] = await planeTo(new RawBackend(() => {}), {
    leaf: { upstream },
    hooks: [{ retry: POLICY }],
  });
  const client = connect(plane.port, "127.0.0.1");
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await eventually(() => assert.equal(tries, 2));
  client.resetAndDestroy();
  await eventually(() => assert.equal(cancelled.length, 1));
  assert.deepEqual(cancelled, [2]);
  await eventually(() => assert.equal(plane.done.length, 1));
  assert.equal(server.inFlight, 0);
});

const POLICY: RetryPolicy = {
  attemptsMax: 3,
  initialIntervalMs: 0,
  timeoutMs: 0,
  bodyBytesMax: 0,
  onNetworkError: true,
  nonIdempotent: false,
  retryStatus: () => false,
};

test("WS-07 a client that closes its half before the switch has the server told", async () => {
  const server = new RawBackend((socket) =>
    setTimeout(
      () =>
        socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
      60,
    ),
  );
  const [plane] = await planeTo(server);
  const client = connect({ port: plane.port, host: "127.0.0.1", allowHalfOpen: true });
  client.resume();
  client.end(
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  await eventually(() => assert.equal(plane.done.length, 1));
  assert.equal(plane.gateway.active, 0);
});

/** A gateway that a test plays, in front of which a client resets a stream "without error" in the middle of a body. */
const handlers: ((exchange: Exchange) => void)[] = [];
const port = await Http2Port.open((exchange) => handlers.shift()?.(exchange));
after(() => port.close());

/** Takes one piece and wants no more for now. */
const lazy = () => ({ data: () => false, end() {}, fail() {} });

for (const [what, act] of [
  ["is answered", (exchange: Exchange) => exchange.client.send(exchange)],
  ["is told of a reply to come", (exchange: Exchange) => exchange.client.inform(exchange, 103, [])],
  // A tunnel tells the gateway itself.
  [
    "becomes a tunnel",
    (exchange: Exchange) =>
      void exchange.client.takeOver(exchange).on("close", () => port.record.done.push(exchange)),
  ],
  ["has its body asked for", (exchange: Exchange) => exchange.requestBody.flow(lazy())],
] as const) {
  test(`SL-11 a request that its client resets without error ends when in that moment it ${what}`, () =>
    resetWithoutError(() => {}, act));
}

test("SL-11 a request that its client resets without error ends while its body waits for a server", () =>
  resetWithoutError(
    (exchange) => exchange.requestBody.flow(lazy()),
    () => {},
  ));

/** The second act comes in the moment in which the gateway is told of the reset, when half is cleared away. */
async function resetWithoutError(
  first: (exchange: Exchange) => void,
  then: (exchange: Exchange) => void,
): Promise<void> {
  const before = port.record.done.length;
  let exchange: Exchange | undefined;
  handlers.push((one) => {
    exchange = one;
    first(one);
    port.onLeft = then;
  });
  const client = await RawClient.open(port.port);
  client.send(headers(1, POST, false), frame(TYPE.data, 0, 1, Buffer.alloc(1000)));
  await eventually(() => assert.ok(exchange));
  client.send(frame(TYPE.data, 0, 1, Buffer.alloc(1000)));
  await wait(30);
  client.send(frame(TYPE.reset, 0, 1, uint32(0)));
  await eventually(() => assert.equal(port.record.done.length, before + 1));
  assert.equal(port.record.done.at(-1), exchange);
  client.close();
}

for (const [what, mode] of [
  ["its client's window opens", "window"],
  ["its client goes", "end"],
] as const) {
  // In a process of its own: Node would stay in a loop that nothing ends, and take memory all the while.
  test(`H2-05 a reply to half a request that was given up holds no thread when ${what}`, async () => {
    const child = spawn(process.execPath, [`${import.meta.dirname}/early-replies.ts`, mode], {
      stdio: "ignore",
      timeout: 20_000,
      killSignal: "SIGKILL",
    });
    assert.deepEqual(await once(child, "exit"), [0, null]);
  });
}

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { after, test } from "node:test";
import { OK, Plane, RawBackend, replies, replying, TestServer, talk } from "../gateway/plane.ts";

const open: { close(): void }[] = [];
after(() => {
  for (const one of open) one.close();
});

async function setUp(entryPoint: Record<string, string>, backend = replying(OK)): Promise<Plane> {
  open.push(await backend.start());
  const plane = await new Plane({ entryPoint, servers: [new TestServer(backend.port)] }).start();
  open.push(plane);
  return plane;
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const timeouts = (name: string, value: string) => ({ [`transport.respondingTimeouts.${name}`]: value });
const GET = "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n";

test("SL-01 a connection that says nothing is closed without a word", async () => {
  const plane = await setUp(timeouts("headerTimeout", "60ms"));
  assert.equal(await talk(plane.port, []), "");
  while (plane.entryPoint.open > 0) await wait(5);
});

test("SL-02 a head that trickles in is 408 after its whole time, not after its last byte", async () => {
  const plane = await setUp(timeouts("headerTimeout", "150ms"));
  const client = connect(plane.port, "127.0.0.1");
  client.on("error", () => {});
  const begun = performance.now();
  const drip = setInterval(() => client.write("X-A: 1\r\n"), 20);
  client.write("GET / HTTP/1.1\r\n");
  const [answer] = (await once(client, "data")) as [Buffer];
  clearInterval(drip);
  client.destroy();
  assert.match(answer.toString(), /^HTTP\/1\.1 408/);
  assert.ok(performance.now() - begun < 2000);
  assert.equal(plane.refused[0]!.fault.code, "request-timeout");
});

test("SL-02 the second head of a connection has its time too", async () => {
  // Longer than a busy machine keeps the first one waiting.
  const plane = await setUp(timeouts("headerTimeout", "500ms"));
  assert.match(await talk(plane.port, [GET, "GET / HT"]), /200 OK[\s\S]*408/);
});

test("SL-03 a body that stops is 408, and the request at the server is aborted", async () => {
  const backend = new RawBackend(() => {});
  const plane = await setUp(timeouts("bodyIdleTimeout", "60ms"), backend);
  const text = await talk(plane.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
  assert.match(text, /^HTTP\/1\.1 408/);
  assert.equal(plane.upstream.open, 0);
});

test("SL-03 readTimeout bounds a whole request, however busy it is", async () => {
  const plane = await setUp(timeouts("readTimeout", "120ms"), new RawBackend(() => {}));
  const client = connect(plane.port, "127.0.0.1");
  client.on("error", () => {});
  client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
  const drip = setInterval(() => client.write("x"), 20);
  const [answer] = (await once(client, "data")) as [Buffer];
  clearInterval(drip);
  client.destroy();
  assert.match(answer.toString(), /^HTTP\/1\.1 408/);
});

// Half of what it would have without the option.
test("SL-04 a client that stops reading is cut off", { timeout: 30_000 }, async () => {
  const body = Buffer.alloc(8e6);
  const backend = new RawBackend((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
    socket.write(body);
  });
  const plane = await setUp(timeouts("writeStallTimeout", "80ms"), backend);
  const client = connect(plane.port, "127.0.0.1");
  client.on("error", () => {});
  client.write(GET);
  client.pause();
  while (plane.done.length === 0) await wait(10);
  assert.equal(plane.done[0]!.fault?.code, "client-stalled");
  client.destroy();
});

test("SL-05 an idle connection is closed after its time", async () => {
  const plane = await setUp(timeouts("idleTimeout", "60ms"));
  assert.match(await talk(plane.port, GET), /200 OK/);
});

test("SL-09 bytes that are no PROXY header from a peer that may send one are an ordinary request", async () => {
  const plane = await setUp({ "proxyProtocol.trustedIPs": "127.0.0.1" });
  assert.match(await talk(plane.port, GET, replies(1)), /200 OK/);
  const proxied = await talk(plane.port, ["PROXY TCP4 192.0.2.7 192.0.2.8 1234 80\r\n", GET], replies(1));
  assert.match(proxied, /200 OK/);
  assert.equal(plane.done[1]!.connection.peerIp, "192.0.2.7");
  assert.equal(await talk(plane.port, `PROXY TCP4 ${"x".repeat(200)}\r\n`), "");
});

test("SL-09 a PROXY header from anybody else is refused", async () => {
  const plane = await setUp({ "proxyProtocol.trustedIPs": "192.0.2.1" });
  assert.match(await talk(plane.port, `PROXY TCP4 1.2.3.4 1.2.3.4 1 80\r\n${GET}`), /^HTTP\/1\.1 400/);
});

test("SL-10 a client that closes its half has its answer", async () => {
  const backend = new RawBackend((socket) => setTimeout(() => socket.write(OK), 40));
  const plane = await setUp({}, backend);
  const client = connect({ port: plane.port, host: "127.0.0.1", allowHalfOpen: true });
  client.end(GET);
  const [answer] = (await once(client, "data")) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1\.1 200[\s\S]*ok$/);
  await once(client, "end");
});

test("SL-10 a client that closes its half in the middle of a body is gone", async () => {
  const plane = await setUp({}, new RawBackend(() => {}));
  const client = connect({ port: plane.port, host: "127.0.0.1", allowHalfOpen: true });
  client.on("error", () => {});
  client.end("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
  while (plane.done.length === 0) await wait(5);
  assert.equal(plane.upstream.open, 0);
  client.destroy();
});

for (const [how, leave] of [
  ["has closed its half", (client: Socket) => client.end(GET)],
  [
    "sends something else and resets",
    (client: Socket) => {
      client.write(GET + GET);
      setTimeout(() => client.resetAndDestroy(), 60);
    },
  ],
] as const) {
  test(`SL-10 a client of a silent event stream that ${how} is not waited for`, async () => {
    const events = new RawBackend((socket) =>
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"),
    );
    const plane = await setUp(timeouts("writeStallTimeout", "200ms"), events);
    const client = connect({ port: plane.port, host: "127.0.0.1", allowHalfOpen: true });
    client.on("error", () => {});
    client.resume();
    leave(client);
    while (plane.done.length === 0) await wait(5);
    assert.equal(plane.upstream.open, 0);
    assert.equal(plane.entryPoint.open, 0);
    client.destroy();
  });
}

test("an event stream may be silent for as long as it likes while its client is there", async () => {
  const events = new RawBackend((socket) =>
    socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"),
  );
  const plane = await setUp(timeouts("writeStallTimeout", "40ms"), events);
  const client = connect(plane.port, "127.0.0.1");
  client.write(GET);
  await once(client, "data");
  await wait(150);
  assert.equal(plane.done.length, 0);
  client.destroy();
});

test("SL-12 connections over the limit are closed at once, those within it are served", async () => {
  const plane = await setUp({ "transport.maxConnectionsPerIP": "3" });
  const kept = Array.from({ length: 3 }, () => connect(plane.port, "127.0.0.1"));
  await Promise.all(kept.map((client) => once(client, "connect")));
  while (plane.entryPoint.open < 3) await wait(5);
  assert.equal(await talk(plane.port, GET).catch(() => ""), "");
  kept[0]!.write(GET);
  await once(kept[0]!, "data");
  for (const client of kept) client.destroy();
  while (plane.entryPoint.open > 0) await wait(5);
  assert.match(await talk(plane.port, GET, replies(1)), /200 OK/);
});

test("a connection is closed after as many requests as it may carry", async () => {
  const plane = await setUp({ "transport.keepAliveMaxRequests": "2" });
  const text = await talk(plane.port, GET.repeat(3));
  assert.equal(text.match(/200 OK/g)!.length, 2);
  assert.match(text, /Connection: close/);
});

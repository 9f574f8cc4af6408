import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Http2Port, sent } from "../listen/http2-site.ts";
import {
  ACK,
  block,
  CODE,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  GET,
  grant,
  HELLO,
  headers,
  PADDED,
  POST,
  PRIORITY,
  RawClient,
  reset,
  settings,
  TYPE,
  uint32,
} from "./http2-frames.ts";
import { hello, kept, replyTo, Setup, with_ } from "./http2-setup.ts";

/** How frames, blocks and connections begin, and how they come in pieces (RFC 9113 3.4, 4.1, 6.10). */

const site = new Setup();

const EXCHANGES = [
  headers(1, [...POST, ["content-length", "6"]], false),
  data(1, "abc", false),
  frame(TYPE.headers, END_STREAM, 3, block(GET.slice(0, 2))),
  frame(TYPE.continuation, 0, 3, Buffer.alloc(0)),
  frame(TYPE.continuation, END_HEADERS, 3, block(GET.slice(2))),
  frame(0x40, 0xff, 1, Buffer.from("whatever")),
  data(1, "def"),
];

test("RFC 9113 3.4: preface, settings and requests in one segment are all understood", async () => {
  const client = await site.connected(undefined, [HELLO, settings(), ...EXCHANGES]);
  assert.equal(await replyTo(client, 1), "/ abcdef");
  assert.equal(await replyTo(client, 3), "/ ");
});

for (const size of [1, 2, 3, 7, 10, 23, 25, 33]) {
  test(`RFC 9113 4.1: frames that come in pieces of ${size} bytes are understood`, async () => {
    const bytes = Buffer.concat([HELLO, settings(), ...EXCHANGES]);
    const client = await site.connected(undefined, []);
    // It would come in the middle of a frame.
    client.acknowledges = false;
    for (let i = 0; i < bytes.length; i += size) {
      client.send(bytes.subarray(i, i + size));
      await new Promise(setImmediate);
    }
    assert.equal(await replyTo(client, 1), "/ abcdef");
    assert.equal(await replyTo(client, 3), "/ ");
  });
}

test("RFC 9113 6.10: a block may be cut anywhere, inside a text and inside a number", async () => {
  const whole = Buffer.concat([block(with_(["x-long", "v".repeat(300)])), kept("x-kept", "1")]);
  const client = await site.connected();
  for (const [i, at] of [1, 5, whole.length - 301, whole.length - 305, whole.length - 2].entries()) {
    const id = 1 + 2 * i;
    client.send(
      frame(TYPE.headers, END_STREAM, id, whole.subarray(0, at)),
      frame(TYPE.continuation, 0, id, whole.subarray(at, at + 1)),
      frame(TYPE.continuation, END_HEADERS, id, whole.subarray(at + 1)),
    );
    assert.equal(await replyTo(client, id), "/ ");
    assert.deepEqual(sent(site.last), ["x-long", "v".repeat(300), "x-kept", "1"]);
  }
});

test("RFC 9113 6.2: padding and priority may stand in a block that goes on in CONTINUATION", async () => {
  const client = await site.connected();
  const first = Buffer.concat([Buffer.from([4]), uint32(0), Buffer.from([1]), block(GET.slice(0, 2))]);
  client.send(
    frame(TYPE.headers, END_STREAM | PADDED | PRIORITY, 1, Buffer.concat([first, Buffer.alloc(4, 1)])),
    frame(TYPE.continuation, END_HEADERS, 1, block(GET.slice(2))),
  );
  assert.equal(await replyTo(client, 1), "/ ");
});

test("RFC 9113 6.10: CONTINUATION of the wrong stream, or anything else in a block, never completes a request", async () => {
  const begun = frame(TYPE.headers, END_STREAM, 1, block(GET));
  for (const between of [
    settings(),
    frame(TYPE.settings, ACK, 0),
    frame(TYPE.ping, 0, 0, Buffer.alloc(8)),
    grant(0, 1),
    grant(1, 1),
    reset(1),
    frame(TYPE.goaway, 0, 0, Buffer.alloc(8)),
    data(1, ""),
    headers(1, GET),
    frame(TYPE.continuation, END_HEADERS, 3, block([])),
    frame(0x42, 0, 1),
  ]) {
    const client = await site.connected();
    client.send(begun, between, frame(TYPE.continuation, END_HEADERS, 1));
    assert.equal(await client.goaway(), CODE.protocol, `type ${between[3]}`);
    assert.equal(site.handled.length, 0);
  }
});

test("RFC 9113 6.10: a block that never ends holds the connection no longer than a head may take", async () => {
  const slow = await Http2Port.open(hello, (s) => ({
    ...s,
    transport: {
      ...s.transport,
      respondingTimeouts: { ...s.transport.respondingTimeouts, headerTimeout: 200 },
    },
  }));
  const client = await RawClient.open(slow.port);
  client.send(frame(TYPE.headers, END_STREAM, 1, block(GET)));
  await client.until(() => client.closed, 10_000);
  assert.equal(slow.record.handled.length, 0);
  slow.close();
});

// --- Prefaces.

for (const [about, ...bytes] of [
  ["is wrong in its last byte", Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r!"), settings()],
  ["is followed by a request", HELLO, headers(1, GET)],
  ["is followed by an acknowledgement", HELLO, frame(TYPE.settings, ACK, 0), headers(1, GET)],
  ["is followed by SETTINGS of a stream", HELLO, frame(TYPE.settings, 0, 1), headers(1, GET)],
  ["is followed by a window", HELLO, grant(0, 1), headers(1, GET)],
  ["is followed by an unknown frame", HELLO, frame(0x42, 0, 0), headers(1, GET)],
  ["comes twice", HELLO, HELLO, settings(), headers(1, GET)],
  ["is followed by HTTP/1.1", HELLO, Buffer.from("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")],
] as const) {
  test(`RFC 9113 3.4: a connection whose preface ${about} is ended, and nothing is answered`, async () => {
    const client = await site.connected(undefined, bytes);
    await client.until(() => client.closed || client.frames.some(({ type }) => type === TYPE.goaway));
    await client.until(() => client.closed);
    assert.equal(site.handled.length, 0);
    assert.deepEqual(client.heads, []);
  });
}

for (const cut of [1, 10, 16, 18, 23, 24, 30]) {
  test(`RFC 9113 3.4: a client that leaves after ${cut} bytes leaves nothing behind`, async () => {
    const client = await site.connected(undefined, [Buffer.concat([HELLO, settings()]).subarray(0, cut)]);
    await sleep(10);
    client.socket.end();
    await client.until(() => client.closed, 15_000);
    for (let i = 0; i < 200 && site.port.open > 0; i++) await sleep(10);
    assert.equal(site.port.open, 0);
  });
}

test("RFC 9113 3.4: our SETTINGS come first, once, and are good", async () => {
  const client = await site.connected();
  client.send(headers(1, GET));
  await replyTo(client, 1);
  const [first] = client.frames;
  assert.deepEqual([first?.type, first?.flags, first?.stream], [TYPE.settings, 0, 0]);
  const ours = new Map<number, number>();
  for (let i = 0; i < first!.payload.length; i += 6) {
    ours.set(first!.payload.readUInt16BE(i), first!.payload.readUInt32BE(i + 2));
  }
  assert.equal(ours.get(3), site.port.settings.http2.maxConcurrentStreams);
  assert.equal(ours.get(4) ?? 65_535, site.port.settings.http2.streamWindow);
  assert.equal(ours.get(6), site.port.settings.http.maxHeaderBytes);
  assert.equal(ours.get(8), 1);
  assert.ok((ours.get(2) ?? 0) === 0, "a server does not allow pushes");
});

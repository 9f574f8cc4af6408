import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { answer, gather, Http2Port } from "../listen/http2-site.ts";
import {
  ACK,
  block,
  CODE,
  END_HEADERS,
  END_STREAM,
  frame,
  GET,
  HELLO,
  headers,
  POST,
  RawClient,
  setting,
  TYPE,
  uint32,
} from "./http2-frames.ts";

/**
 * What any HTTP/2 server must do with frames, right and wrong: section by section of RFC 9113 and RFC 7541, after the
 * cases that conformance tools know. Nothing but a whole good request may ever be answered with 200.
 */

const PADDED = 8;
const PRIORITY_FLAG = 32;

/**
 * `fine`: the request on stream 1 is answered with 200. `alive`: the connection goes on. `stream N`, `connection N`:
 * that error code; a stream's error may be answered with the connection's end (RFC 9113 5.4.2). `dropped`: the frames
 * are ignored or the connection ends, and which one is left to the server. Where a line says what the RFC wants,
 * we do something else that does no harm.
 */
type Verdict = "fine" | "alive" | "dropped" | `stream ${number}` | `connection ${number}`;

type Case = readonly [section: string, about: string, expected: Verdict, ...frames: readonly Buffer[]];

const PRIORITY = Buffer.concat([uint32(0), Buffer.from([16])]);
const with_ = (...fields: (readonly [string, string])[]) => [...GET, ...fields];
const without = (name: string) => GET.filter(([field]) => field !== name);
const posted = (...fields: (readonly [string, string])[]) => headers(1, [...POST, ...fields], false);
const data = (stream: number, text: string | Buffer, flags = END_STREAM) =>
  frame(TYPE.data, flags, stream, Buffer.from(text));
const raw = (stream: number, bytes: readonly number[]) =>
  frame(TYPE.headers, END_HEADERS | END_STREAM, stream, Buffer.from(bytes));
const begun = (stream: number, fields = GET) => frame(TYPE.headers, END_STREAM, stream, block(fields));
const continued = (stream: number, fields: typeof GET = [], flags = END_HEADERS) =>
  frame(TYPE.continuation, flags, stream, block(fields));
const settings = (id: number, value: number) => frame(TYPE.settings, 0, 0, setting(id, value));
const get = headers(1, GET);
const ping = frame(TYPE.ping, 0, 0, Buffer.alloc(8));
const cancel = (stream: number) => frame(TYPE.reset, 0, stream, uint32(CODE.cancel));

const FRAMES: readonly Case[] = [
  ["4.1", "a frame of an unknown type", "fine", frame(0x16, 0, 0, Buffer.alloc(8)), get],
  ["4.1", "flags that mean nothing", "alive", frame(TYPE.ping, 0x16, 0, Buffer.alloc(8))],
  ["4.1", "the reserved bit", "alive", frame(TYPE.ping, 0, 2 ** 31, Buffer.alloc(8))],
  ["4.2", "the largest frame", "fine", posted(), data(1, Buffer.alloc(16_384))],
  ["4.2", "too large a DATA", `connection ${CODE.frameSize}`, posted(), data(1, Buffer.alloc(16_385))],
  [
    "4.2",
    "too large a HEADERS",
    `connection ${CODE.frameSize}`,
    headers(1, with_(["a", "x".repeat(16_400)])),
  ],
  [
    "4.3",
    "a field block that is no HPACK",
    `connection ${CODE.compression}`,
    raw(1, [0xff, 0xff, 0xff, 0xff, 0x0f]),
  ],
  [
    "4.3",
    "PRIORITY in a field block",
    `connection ${CODE.protocol}`,
    begun(1),
    frame(TYPE.priority, 0, 1, PRIORITY),
  ],
  ["4.3", "HEADERS of another stream in it", `connection ${CODE.protocol}`, begun(1), headers(3, GET)],
  ["5.5", "an unknown frame in it", `connection ${CODE.protocol}`, begun(1), frame(0x16, 0, 0)],
  ["5.5", "an unknown frame of a stream", "fine", posted(), frame(0x16, 0, 1), data(1, "x")],
];

const STATES: readonly Case[] = [
  ["5.1", "idle: DATA", `connection ${CODE.protocol}`, data(1, "x")],
  ["5.1", "idle: RST_STREAM", `connection ${CODE.protocol}`, cancel(1)],
  ["5.1", "idle: WINDOW_UPDATE", `connection ${CODE.protocol}`, frame(TYPE.window, 0, 1, uint32(100))],
  ["5.1", "idle: CONTINUATION", `connection ${CODE.protocol}`, continued(1, GET)],
  ["5.1", "idle: PRIORITY", "alive", frame(TYPE.priority, 0, 1, PRIORITY)],
  ["5.1", "half closed: DATA", `stream ${CODE.closed}`, headers(1, [...GET, ["x-wait", "1"]]), data(1, "x")],
  ["5.1", "half closed: HEADERS", `stream ${CODE.closed}`, headers(1, [...GET, ["x-wait", "1"]]), get],
  ["5.1", "half closed: CONTINUATION", `connection ${CODE.protocol}`, get, continued(1)],
  ["5.1", "closed by a reset: DATA", "dropped", posted(), cancel(1), data(1, "x")],
  ["5.1", "closed by a reset: HEADERS", "dropped", posted(), cancel(1), get],
  [
    "5.1",
    "closed by a reset: CONTINUATION",
    `connection ${CODE.protocol}`,
    posted(),
    cancel(1),
    continued(1),
  ],
  [
    "5.1",
    "closed by a reset: WINDOW_UPDATE",
    "alive",
    posted(),
    cancel(1),
    frame(TYPE.window, 0, 1, uint32(9)),
  ],
  ["5.1.1", "an even stream", `connection ${CODE.protocol}`, headers(2, GET)],
  ["5.1.1", "a stream smaller than the last", "dropped", headers(5, GET), headers(3, GET)],
  ["5.1.1", "DATA of a stream smaller than the last", "dropped", headers(5, GET), data(3, "x")],
];

const DATA_AND_HEADERS: readonly Case[] = [
  ["6.1", "DATA of stream 0", `connection ${CODE.protocol}`, data(0, "x")],
  ["6.1", "DATA with padding", "fine", posted(), data(1, Buffer.from([2, 120, 0, 0]), END_STREAM | PADDED)],
  [
    "6.1",
    "DATA with more padding than bytes",
    `connection ${CODE.protocol}`,
    posted(),
    data(1, Buffer.from([9, 120, 0]), END_STREAM | PADDED),
  ],
  // RFC: FRAME_SIZE_ERROR.
  [
    "6.1",
    "DATA in place of the padding's length",
    `connection ${CODE.protocol}`,
    posted(),
    data(1, "", END_STREAM | PADDED),
  ],
  ["6.2", "HEADERS of stream 0", `connection ${CODE.protocol}`, headers(0, GET)],
  [
    "6.2",
    "HEADERS with padding",
    "fine",
    frame(
      TYPE.headers,
      END_HEADERS | END_STREAM | PADDED,
      1,
      Buffer.concat([Buffer.from([3]), block(GET), Buffer.alloc(3)]),
    ),
  ],
  [
    "6.2",
    "HEADERS with more padding than bytes",
    `connection ${CODE.protocol}`,
    frame(
      TYPE.headers,
      END_HEADERS | END_STREAM | PADDED,
      1,
      Buffer.concat([Buffer.from([255]), block(GET.slice(0, 1))]),
    ),
  ],
  [
    "6.2",
    "HEADERS with a priority",
    "fine",
    frame(TYPE.headers, END_HEADERS | END_STREAM | PRIORITY_FLAG, 1, Buffer.concat([PRIORITY, block(GET)])),
  ],
  [
    "5.3.2",
    "a stream that depends on itself: priorities are ignored",
    "fine",
    frame(
      TYPE.headers,
      END_HEADERS | END_STREAM | PRIORITY_FLAG,
      1,
      Buffer.concat([uint32(1), Buffer.from([16]), block(GET)]),
    ),
  ],
  [
    "6.10",
    "a field block in pieces",
    "fine",
    begun(1),
    continued(1, [["a", "1"]], 0),
    continued(1, [["b", "2"]]),
  ],
  ["6.10", "DATA in a field block", `connection ${CODE.protocol}`, begun(1), data(1, "x")],
  ["6.10", "CONTINUATION of stream 0", `connection ${CODE.protocol}`, begun(1), continued(0)],
  ["6.10", "CONTINUATION of another stream", `connection ${CODE.protocol}`, begun(1), continued(3)],
  ["6.10", "CONTINUATION after the end", `connection ${CODE.protocol}`, begun(1), continued(1), continued(1)],
  ["6.10", "CONTINUATION after DATA", `connection ${CODE.protocol}`, posted(), data(1, "x"), continued(1)],
];

const OTHER_FRAMES: readonly Case[] = [
  ["6.3", "PRIORITY of stream 0", `connection ${CODE.protocol}`, frame(TYPE.priority, 0, 0, PRIORITY)],
  ["6.3", "PRIORITY of 4 bytes", `connection ${CODE.frameSize}`, frame(TYPE.priority, 0, 1, uint32(0))],
  ["6.4", "RST_STREAM of stream 0", `connection ${CODE.protocol}`, cancel(0)],
  [
    "6.4",
    "RST_STREAM of 3 bytes",
    `connection ${CODE.frameSize}`,
    posted(),
    frame(TYPE.reset, 0, 1, Buffer.alloc(3)),
  ],
  [
    "6.5",
    "an acknowledgement with bytes",
    `connection ${CODE.frameSize}`,
    frame(TYPE.settings, ACK, 0, setting(3, 1)),
  ],
  ["6.5", "SETTINGS of a stream", `connection ${CODE.protocol}`, frame(TYPE.settings, 0, 1, setting(3, 1))],
  ["6.5", "SETTINGS of 3 bytes", `connection ${CODE.frameSize}`, frame(TYPE.settings, 0, 0, Buffer.alloc(3))],
  ["6.5.2", "ENABLE_PUSH of 2", `connection ${CODE.protocol}`, settings(2, 2)],
  ["6.5.2", "INITIAL_WINDOW_SIZE past its most", `connection ${CODE.flow}`, settings(4, 2 ** 31)],
  ["6.5.2", "MAX_FRAME_SIZE below its least", `connection ${CODE.protocol}`, settings(5, 16_383)],
  ["6.5.2", "MAX_FRAME_SIZE past its most", `connection ${CODE.protocol}`, settings(5, 2 ** 24)],
  ["6.5.2", "an unknown setting", "fine", settings(0xff, 1), get],
  [
    "6.6",
    "PUSH_PROMISE of a client",
    `connection ${CODE.protocol}`,
    posted(),
    frame(TYPE.push, END_HEADERS, 1, Buffer.concat([uint32(2), block(GET)])),
  ],
  ["6.7", "PING", "alive", ping],
  ["6.7", "PING of a stream", `connection ${CODE.protocol}`, frame(TYPE.ping, 0, 1, Buffer.alloc(8))],
  ["6.7", "PING of 6 bytes", `connection ${CODE.frameSize}`, frame(TYPE.ping, 0, 0, Buffer.alloc(6))],
  ["6.7", "an acknowledgement of no PING", "dropped", frame(TYPE.ping, ACK, 0, Buffer.alloc(8))],
  ["6.8", "GOAWAY of a stream", `connection ${CODE.protocol}`, frame(TYPE.goaway, 0, 1, Buffer.alloc(8))],
  ["6.8", "GOAWAY of 4 bytes", `connection ${CODE.frameSize}`, frame(TYPE.goaway, 0, 0, Buffer.alloc(4))],
  ["7", "RST_STREAM for an unknown reason", "alive", posted(), frame(TYPE.reset, 0, 1, uint32(0xff))],
  ["6.9", "WINDOW_UPDATE of nothing", `connection ${CODE.protocol}`, frame(TYPE.window, 0, 0, uint32(0))],
  [
    "6.9",
    "WINDOW_UPDATE of nothing for a stream",
    `stream ${CODE.protocol}`,
    posted(),
    frame(TYPE.window, 0, 1, uint32(0)),
  ],
  [
    "6.9",
    "WINDOW_UPDATE of 3 bytes",
    `connection ${CODE.frameSize}`,
    frame(TYPE.window, 0, 0, Buffer.alloc(3)),
  ],
  [
    "6.9.1",
    "a window past its most",
    `connection ${CODE.flow}`,
    frame(TYPE.window, 0, 0, uint32(2 ** 31 - 1)),
  ],
  [
    "6.9.1",
    "a stream's window past its most",
    `stream ${CODE.flow}`,
    posted(),
    frame(TYPE.window, 0, 1, uint32(2 ** 31 - 1)),
  ],
  [
    "6.9.2",
    "a setting that takes a stream's window past its most",
    `connection ${CODE.flow}`,
    posted(),
    frame(TYPE.window, 0, 1, uint32(2 ** 30)),
    settings(4, 2 ** 31 - 1),
  ],
];

/** Fields that make a request malformed (8.1.1): the stream is reset, or the request is answered with 400. */
const MALFORMED: readonly Case[] = [
  [
    "8.1",
    "HEADERS in the middle without an end",
    `stream ${CODE.protocol}`,
    posted(),
    headers(1, [["a", "1"]], false),
  ],
  ["8.1", "a pseudo-header in trailers", `stream ${CODE.protocol}`, posted(), headers(1, [[":path", "/"]])],
  ["8.2.1", "an upper-case name", `stream ${CODE.protocol}`, headers(1, with_(["X-Test", "1"]))],
  ...["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"].map(
    (name): Case => ["8.2.2", name, `stream ${CODE.protocol}`, headers(1, with_([name, "keep-alive"]))],
  ),
  [
    "8.2.2",
    "te other than trailers",
    `stream ${CODE.protocol}`,
    headers(1, with_(["te", "trailers, deflate"])),
  ],
  ["8.3", "an unknown pseudo-header", `stream ${CODE.protocol}`, headers(1, with_([":test", "1"]))],
  ["8.3", "a reply's pseudo-header", `stream ${CODE.protocol}`, headers(1, with_([":status", "200"]))],
  [
    "8.3",
    "a pseudo-header behind a field",
    `stream ${CODE.protocol}`,
    headers(1, [...without(":path"), ["a", "1"], [":path", "/"]]),
  ],
  ["8.3.1", "an empty :path", `stream ${CODE.protocol}`, headers(1, [...without(":path"), [":path", ""]])],
  ...[":method", ":scheme", ":path"].flatMap((name): Case[] => [
    ["8.3.1", `no ${name}`, `stream ${CODE.protocol}`, headers(1, without(name))],
    [
      "8.3.1",
      `two of ${name}`,
      `stream ${CODE.protocol}`,
      headers(1, [...GET, GET.find(([field]) => field === name)!]),
    ],
  ]),
  [
    "8.1.1",
    "a body shorter than announced",
    `stream ${CODE.protocol}`,
    posted(["content-length", "5"]),
    data(1, "x"),
  ],
  [
    "8.1.1",
    "a body longer than announced",
    `stream ${CODE.protocol}`,
    posted(["content-length", "1"]),
    data(1, "xx"),
  ],
  [
    "8.1.1",
    "a body of several frames shorter than announced",
    `stream ${CODE.protocol}`,
    posted(["content-length", "9"]),
    data(1, "xx", 0),
    data(1, "xx"),
  ],
  [
    "8.1.1",
    "a length that is no number",
    `stream ${CODE.protocol}`,
    posted(["content-length", "one"]),
    data(1, "x"),
  ],
  [
    "8.1.1",
    "two lengths",
    `stream ${CODE.protocol}`,
    posted(["content-length", "1"], ["content-length", "2"]),
    data(1, "x"),
  ],
];

const HPACK: readonly Case[] = [
  ["RFC 7541 2.3.3", "index 0", `connection ${CODE.compression}`, raw(1, [0x80])],
  ["RFC 7541 2.3.3", "an index past the tables", `connection ${CODE.compression}`, raw(1, [0xff, 0x20])],
  [
    "RFC 7541 4.2",
    "a table size at the end of a block",
    `connection ${CODE.compression}`,
    raw(1, [0x82, 0x84, 0x86, 0x20]),
  ],
  [
    "RFC 7541 6.3",
    "a table size past the limit",
    `connection ${CODE.compression}`,
    raw(1, [0x3f, 0xe1, 0xff, 0x03, 0x82, 0x84, 0x86]),
  ],
  [
    "RFC 7541 5.2",
    "Huffman padding of more than 7 bits",
    `connection ${CODE.compression}`,
    raw(1, [0x82, 0x84, 0x86, 0x00, 0x81, 0x1f, 0x82, 0x1f, 0xff]),
  ],
  [
    "RFC 7541 5.2",
    "Huffman padding of zeros",
    `connection ${CODE.compression}`,
    raw(1, [0x82, 0x84, 0x86, 0x00, 0x81, 0x1f, 0x81, 0x18]),
  ],
  [
    "RFC 7541 5.2",
    "Huffman's end of string",
    `connection ${CODE.compression}`,
    raw(1, [0x82, 0x84, 0x86, 0x00, 0x81, 0x1f, 0x84, 0xff, 0xff, 0xff, 0xff]),
  ],
];

let port: Http2Port;
before(async () => {
  port = await Http2Port.open((exchange) => {
    if (exchange.headers.includes("x-wait")) return;
    gather(exchange.requestBody).then(
      () => answer(exchange, 200, "hello"),
      () => {},
    );
  });
});
after(() => port.close());

/** Whether a block of ours begins with 200: the static table's eighth entry. */
const isOk = (payload: Buffer) => payload[0] === 0x88;

async function verdictOf(frames: readonly Buffer[]): Promise<{ seen: string; alive: boolean }> {
  const client = await RawClient.open(port.port);
  await client.find(({ type, flags }) => type === TYPE.settings && flags === ACK);
  client.send(...frames, ping);
  const isEnd = ({ type, stream }: { type: number; stream: number }) =>
    type === TYPE.goaway || ((type === TYPE.reset || type === TYPE.headers) && stream === 1);
  // Something must come: the ping is answered, or the connection ends.
  await client.find((one) => one.type === TYPE.goaway || (one.type === TYPE.ping && one.flags === ACK));
  const found = client.frames.find(isEnd) ?? (await client.find(isEnd, 150).catch(() => undefined));
  const alive = !client.closed && !client.frames.some(({ type }) => type === TYPE.goaway);
  client.close();
  if (found === undefined) return { seen: client.closed && !alive ? "closed" : "nothing", alive };
  if (found.type === TYPE.goaway) return { seen: `connection ${found.payload.readUInt32BE(4)}`, alive };
  if (found.type === TYPE.reset) return { seen: `stream ${found.payload.readUInt32BE(0)}`, alive };
  return { seen: isOk(found.payload) ? "fine" : "an error status", alive };
}

for (const [section, about, expected, ...frames] of [
  ...FRAMES,
  ...STATES,
  ...DATA_AND_HEADERS,
  ...OTHER_FRAMES,
  ...MALFORMED,
  ...HPACK,
]) {
  test(`${section.startsWith("RFC") ? section : `RFC 9113 ${section}`}: ${about}: ${expected}`, async () => {
    const { seen, alive } = await verdictOf(frames);
    switch (expected) {
      case "alive":
        assert.deepEqual([seen, alive], ["nothing", true]);
        break;
      case "dropped":
        assert.ok(seen === "nothing" || !alive, seen);
        break;
      default:
        if (expected.startsWith("stream"))
          assert.ok([expected, expected.replace("stream", "connection")].includes(seen), seen);
        else assert.equal(seen, expected);
    }
  });
}

// --- What a verdict on one stream cannot say.

const dataBytes = (client: RawClient, stream: number) =>
  client.frames.reduce(
    (sum, one) => sum + (one.type === TYPE.data && one.stream === stream ? one.payload.length : 0),
    0,
  );

test("RFC 9113 3.4: a connection that does not begin with the preface and SETTINGS is closed", async () => {
  for (const frames of [[Buffer.from("GET / HTTP/1.1\r\n\r\n")], [HELLO, ping], [HELLO, get]]) {
    const client = await RawClient.open(port.port, Buffer.alloc(0), frames);
    const end = await client.find(({ type }) => type === TYPE.goaway);
    assert.ok(client.closed || end !== undefined);
    assert.equal(
      client.frames.some(({ type }) => type === TYPE.headers),
      false,
    );
    client.close();
  }
});

test("RFC 9113 6.5.3: settings are acknowledged, and the last of several values counts", async () => {
  const client = await RawClient.open(port.port, Buffer.concat([setting(4, 100), setting(4, 1)]));
  await client.find(({ type, flags }) => type === TYPE.settings && flags === ACK);
  client.send(get);
  await client.find(({ type, stream }) => type === TYPE.data && stream === 1);
  assert.equal(dataBytes(client, 1), 1);
  client.close();
});

test("RFC 9113 6.9: no more is sent than the window lets through, which settings may make negative", async () => {
  const client = await RawClient.open(port.port, setting(4, 3));
  client.send(get);
  await client.find(({ type }) => type === TYPE.data);
  assert.equal(dataBytes(client, 1), 3);
  client.send(settings(4, 1), frame(TYPE.window, 0, 1, uint32(2)), ping);
  await client.find(({ type, flags }) => type === TYPE.ping && flags === ACK);
  assert.equal(dataBytes(client, 1), 3);
  client.send(frame(TYPE.window, 0, 1, uint32(1)));
  await client.find(() => dataBytes(client, 1) === 4);
  client.send(settings(4, 100));
  await client.find(() => dataBytes(client, 1) === 5);
  client.close();
});

test("RFC 9113 6.9: a client that sends past a window of ours is cut off", async () => {
  const client = await RawClient.open(port.port);
  client.send(headers(1, [...POST, ["x-wait", "1"]], false));
  for (let i = 0; i < 6; i++) client.send(data(1, Buffer.alloc(16_000), 0));
  const end = await client.find(({ type }) => type === TYPE.reset || type === TYPE.goaway);
  const code = end?.payload.readUInt32BE(end.type === TYPE.reset ? 0 : 4);
  assert.equal(code, CODE.flow);
  client.close();
});

test("RFC 9113 6.8: streams begun before a GOAWAY of the client are answered", async () => {
  const client = await RawClient.open(port.port);
  client.send(get, frame(TYPE.goaway, 0, 0, Buffer.alloc(8)));
  await client.find(({ type, stream, flags }) => type === TYPE.data && stream === 1 && flags === END_STREAM);
  assert.equal(dataBytes(client, 1), 5);
  client.close();
});

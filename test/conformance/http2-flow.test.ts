import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import type { BodySink, BodySource } from "../../src/model/body.ts";
import type { Exchange } from "../../src/model/exchange.ts";
import { Http2Port } from "../listen/http2-site.ts";
import {
  CODE,
  data,
  END_STREAM,
  frame,
  GET,
  grant,
  headers,
  PADDED,
  POST,
  RawClient,
  reset,
  setting,
  settings,
  TYPE,
} from "./http2-frames.ts";

/** Flow control (RFC 9113 5.2 and 6.9): theirs kept to the byte, and ours enforced. */

const BODY = 300_000;
const WINDOW = 65_535;
const WINDOW_MAX = 2 ** 31 - 1;
const INITIAL_WINDOW_SIZE = 4;
const MAX_FRAME_SIZE = 5;

/** A body that comes as fast as it is taken, in chunks that fit no window; each byte says where it is. */
class Numbers implements BodySource {
  readonly length: number;
  #sink: BodySink | undefined;
  #sent = 0;

  constructor(length: number) {
    this.length = length;
  }

  flow(sink: BodySink): void {
    this.#sink = sink;
    this.resume();
  }

  resume(): void {
    while (this.#sent < this.length) {
      const chunk = Buffer.alloc(Math.min(7001, this.length - this.#sent));
      for (let i = 0; i < chunk.length; i++) chunk[i] = (this.#sent + i) % 251;
      this.#sent += chunk.length;
      if (this.#sink?.data(chunk) === false) return;
    }
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.end(undefined);
  }

  cancel(): void {
    this.#sink = undefined;
  }
}

const isRight = (body: Buffer) => body.every((byte, i) => byte === i % 251);

/** What became of a request's body. */
interface Upload {
  readonly exchange: Exchange;
  bytes: number;
  end: string | undefined;
}

const uploads: Upload[] = [];

/** Takes every chunk, or keeps the first one for ever. */
function take(upload: Upload, isLazy: boolean): void {
  upload.exchange.requestBody.flow({
    data(chunk) {
      upload.bytes += chunk.length;
      return !isLazy;
    },
    end() {
      upload.end = "whole";
    },
    fail({ code }) {
      upload.end = code;
    },
  });
}

let port: Http2Port;
before(async () => {
  port = await Http2Port.open((exchange) => {
    if (exchange.method === "POST") {
      const upload: Upload = { exchange, bytes: 0, end: undefined };
      uploads.push(upload);
      if (exchange.path !== "/wait") take(upload, exchange.path === "/lazy");
      return;
    }
    exchange.status = 200;
    exchange.replyHeaders = [];
    exchange.replyBody = new Numbers(Number(exchange.path.slice(1) || BODY));
    exchange.client.send(exchange);
  });
});
after(() => port.close());

const open: RawClient[] = [];
afterEach(() => {
  for (const client of open.splice(0)) client.close();
  uploads.length = 0;
});

type Setting = readonly [id: number, value: number];

async function connected(...entries: readonly Setting[]): Promise<RawClient> {
  const client = await RawClient.open(
    port.port,
    Buffer.concat(entries.map(([id, value]) => setting(id, value))),
  );
  open.push(client);
  return client;
}

const at = (path: string, fields = GET) =>
  fields.map(([name, value]) => [name, name === ":path" ? path : value] as const);

/** Nothing more comes than that many bytes of the stream. */
async function stopsAt(client: RawClient, stream: number, bytes: number): Promise<void> {
  await client.until(() => client.body(stream).length >= bytes);
  await client.settle();
  assert.equal(client.body(stream).length, bytes);
}

// --- Their windows.

test("RFC 9113 6.9.2: no more than the first window is sent, and a grant lets exactly as much through", async () => {
  const client = await connected();
  client.send(headers(1, GET));
  await stopsAt(client, 1, WINDOW);
  client.send(grant(1, 1000));
  await stopsAt(client, 1, WINDOW);
  client.send(grant(0, 400));
  await stopsAt(client, 1, WINDOW + 400);
  client.send(grant(0, 10_000));
  await stopsAt(client, 1, WINDOW + 1000);
  client.send(grant(1, WINDOW_MAX - 1000), grant(0, WINDOW_MAX - 9400));
  await client.until(() => client.ended(1));
  assert.equal(client.body(1).length, BODY);
  assert.ok(isRight(client.body(1)));
});

test("RFC 9113 6.9: a window of 0 lets the head through and no byte, and the end of an empty body", async () => {
  const client = await connected([INITIAL_WINDOW_SIZE, 0]);
  client.send(headers(1, at("/10")), headers(3, at("/0")));
  await client.until(() => client.heads.length === 2 && client.ended(3));
  await stopsAt(client, 1, 0);
  client.send(grant(1, 10));
  await client.until(() => client.ended(1));
  assert.ok(isRight(client.body(1)));
});

test("RFC 9113 6.9: windows of one byte at a time are served byte by byte", async () => {
  const client = await connected([INITIAL_WINDOW_SIZE, 1]);
  client.send(headers(1, at("/40")));
  for (let i = 1; i < 40; i++) {
    await client.until(() => client.body(1).length >= i);
    assert.equal(client.body(1).length, i);
    client.send(grant(1, 1));
  }
  await client.until(() => client.ended(1));
  assert.ok(isRight(client.body(1)) && client.body(1).length === 40);
});

test("RFC 9113 6.9: a body that fills the window exactly ends without another grant", async () => {
  for (const ready of [0, 100]) {
    const client = await connected([INITIAL_WINDOW_SIZE, ready]);
    client.send(headers(1, at("/100")));
    if (ready === 0) client.send(grant(1, 100));
    assert.ok(await client.until(() => client.ended(1)));
    assert.equal(client.body(1).length, 100);
  }
});

test("RFC 9113 6.9.2: a smaller initial window makes windows negative, and they must become positive first", async () => {
  const client = await connected([INITIAL_WINDOW_SIZE, 1000]);
  client.send(headers(1, GET));
  await stopsAt(client, 1, 1000);
  client.send(settings([INITIAL_WINDOW_SIZE, 100]));
  client.send(headers(3, GET));
  await stopsAt(client, 3, 100);
  client.send(grant(1, 900));
  await stopsAt(client, 1, 1000);
  client.send(grant(1, 1));
  await stopsAt(client, 1, 1001);
  client.send(settings([INITIAL_WINDOW_SIZE, 0]), settings([INITIAL_WINDOW_SIZE, 150]));
  await stopsAt(client, 1, 1051);
  await stopsAt(client, 3, 150);
});

test("RFC 9113 6.9.2: a larger initial window reaches streams that wait, but not the connection's window", async () => {
  const client = await connected([INITIAL_WINDOW_SIZE, 10]);
  client.send(headers(1, GET));
  await stopsAt(client, 1, 10);
  client.send(settings([INITIAL_WINDOW_SIZE, WINDOW_MAX]));
  await stopsAt(client, 1, WINDOW);
  client.send(grant(0, WINDOW_MAX - WINDOW));
  await client.until(() => client.ended(1));
  assert.ok(isRight(client.body(1)));
});

test("RFC 9113 6.9.1: the connection's window is shared, and no stream starves another when it opens", async () => {
  const client = await connected([INITIAL_WINDOW_SIZE, WINDOW_MAX]);
  const ids = [1, 3, 5, 7];
  client.send(...ids.map((id) => headers(id, at("/40000"))));
  const total = () => ids.reduce((sum, id) => sum + client.body(id).length, 0);
  await client.until(() => total() >= WINDOW);
  await client.settle();
  assert.equal(total(), WINDOW);
  for (let i = 0; i < 10; i++) client.send(grant(0, 10_000));
  await client.until(() => ids.every((id) => client.ended(id)));
  assert.equal(total(), 160_000);
  for (const id of ids) assert.ok(isRight(client.body(id)));
});

test("RFC 9113 5.2: a stream whose client takes nothing does not hold others up", async () => {
  const client = await connected([INITIAL_WINDOW_SIZE, 0]);
  client.send(headers(1, GET), headers(3, GET), grant(3, WINDOW - 1));
  await stopsAt(client, 3, WINDOW - 1);
  client.send(headers(5, at("/100")), grant(5, 100), grant(0, 100));
  assert.ok(await client.until(() => client.ended(5)));
  assert.equal(client.body(1).length, 0);
});

test("RFC 9113 6.9: what a reset stream did not use of the connection's window serves the others", async () => {
  const client = await connected([INITIAL_WINDOW_SIZE, 60_000]);
  client.send(headers(1, GET));
  await stopsAt(client, 1, 60_000);
  client.send(headers(3, GET));
  await stopsAt(client, 3, WINDOW - 60_000);
  client.send(reset(3), grant(0, 100), headers(5, at("/100")));
  assert.ok(await client.until(() => client.ended(5)));
});

test("RFC 9113 4.2: no frame is larger than the client's MAX_FRAME_SIZE, or 16,384 bytes", async () => {
  for (const most of [undefined, 20_000, 2 ** 24 - 1]) {
    const client = await connected(
      [INITIAL_WINDOW_SIZE, WINDOW_MAX],
      ...(most === undefined ? [] : [[MAX_FRAME_SIZE, most] as const]),
    );
    client.send(grant(0, WINDOW_MAX - WINDOW), headers(1, GET));
    await client.until(() => client.ended(1));
    const largest = Math.max(...client.frames.map(({ payload }) => payload.length));
    assert.ok(largest <= (most ?? 16_384), `${largest} bytes`);
    assert.ok(isRight(client.body(1)) && client.body(1).length === BODY);
  }
});

for (const [about, stream, before] of [
  ["the connection's", 0, []],
  ["a stream's", 1, [headers(1, at("/wait", POST), false)]],
] as const) {
  test(`RFC 9113 6.9.1: ${about} window may be 2^31-1, and not a byte more`, async () => {
    const client = await connected();
    client.send(...before, grant(stream, WINDOW_MAX - WINDOW));
    await client.settle();
    assert.equal(
      client.frames.some(({ type }) => type === TYPE.goaway || type === TYPE.reset),
      false,
    );
    client.send(grant(stream, 1));
    const end = await client.find(({ type }) => type === TYPE.goaway || type === TYPE.reset);
    assert.equal(end?.payload.readUInt32BE(end.type === TYPE.reset ? 0 : 4), CODE.flow);
    assert.ok(stream === 1 || end?.type === TYPE.goaway);
  });
}

// --- Ours.

/** Our windows as the client learns of them: the stream's from SETTINGS, the connection's also from WINDOW_UPDATE. */
async function windows(client: RawClient): Promise<{ stream: number; connection: number }> {
  await client.settle();
  const { payload } = client.frames.find(({ type, flags }) => type === TYPE.settings && flags === 0)!;
  let stream = WINDOW;
  for (let i = 0; i < payload.length; i += 6) {
    if (payload.readUInt16BE(i) === INITIAL_WINDOW_SIZE) stream = payload.readUInt32BE(i + 2);
  }
  return { stream, connection: WINDOW + granted(client, 0) };
}

const granted = (client: RawClient, stream: number) =>
  client.frames.reduce(
    (sum, one) => sum + (one.type === TYPE.window && one.stream === stream ? one.payload.readUInt32BE(0) : 0),
    0,
  );

function sendBytes(client: RawClient, stream: number, bytes: number): void {
  for (let left = bytes; left > 0; left -= 16_384)
    client.send(data(stream, Buffer.alloc(Math.min(left, 16_384)), false));
}

const codeOf = (one: { type: number; payload: Buffer } | undefined) =>
  one?.payload.readUInt32BE(one.type === TYPE.reset ? 0 : 4);

for (const path of ["/wait", "/lazy"]) {
  test(`RFC 9113 6.9: a stream's window may be filled to the last byte and not beyond it, ${path}`, async () => {
    const client = await connected();
    const { stream } = await windows(client);
    client.send(headers(1, at(path, POST), false));
    sendBytes(client, 1, stream);
    await client.settle();
    assert.equal(
      client.frames.some(({ type }) => type === TYPE.goaway || type === TYPE.reset),
      false,
    );
    assert.ok(granted(client, 1) <= 16_384, `${granted(client, 1)} bytes granted again, none taken`);
    sendBytes(client, 1, granted(client, 1) + 1);
    const end = await client.find(({ type }) => type === TYPE.goaway || type === TYPE.reset);
    assert.equal(codeOf(end), CODE.flow);
    await client.settle();
    const upload = uploads[0]!;
    if (path === "/lazy") assert.notEqual(upload.end ?? "cut", "whole");
  });
}

test("RFC 9113 6.9: padding counts, its length included, and is given back", async () => {
  const client = await connected();
  const { stream } = await windows(client);
  client.send(headers(1, at("/", POST), false));
  const padded = frame(TYPE.data, PADDED, 1, Buffer.concat([Buffer.from([255]), Buffer.alloc(256)]));
  const rounds = 40 * Math.ceil(stream / padded.length);
  for (let sent = 0, i = 0; i < rounds; i++) {
    const bytes = padded.length - 9;
    await client.until(() => sent + bytes <= stream + granted(client, 1) || client.closed);
    sent += bytes;
    client.send(padded);
  }
  client.send(data(1, "", true));
  await client.settle();
  assert.equal(client.closed, false);
  assert.deepEqual([uploads[0]?.bytes, uploads[0]?.end], [rounds, "whole"]);
});

test("RFC 9113 6.9: an upload of many windows comes whole, if the client keeps to them", async () => {
  const client = await connected();
  const first = await windows(client);
  client.send(headers(1, at("/", POST), false));
  const total = 3_000_000;
  const base = granted(client, 0);
  for (let sent = 0; sent < total; ) {
    const room = () =>
      Math.min(first.stream + granted(client, 1), first.connection + granted(client, 0) - base) - sent;
    assert.ok(await client.until(() => room() > 0));
    const bytes = Math.min(room(), 16_384, total - sent);
    client.send(data(1, Buffer.alloc(bytes), false));
    sent += bytes;
  }
  client.send(data(1, ""));
  await client.until(() => uploads[0]?.end !== undefined || client.closed);
  await client.settle();
  assert.deepEqual([uploads[0]?.bytes, uploads[0]?.end], [total, "whole"]);
});

test("RFC 9113 6.9: what is sent on streams that are over is given back to the connection", async () => {
  const client = await connected();
  const { connection } = await windows(client);
  const base = granted(client, 0);
  let sent = 0;
  for (let id = 1; sent < connection * 2; id += 2) {
    client.send(headers(id, at("/wait", POST), false), data(id, Buffer.alloc(16_000), false), reset(id));
    sent += 16_000;
    await client
      .until(() => sent <= connection + granted(client, 0) - base - 16_000, 2000)
      .catch(() => {
        assert.fail(`${sent} bytes sent, ${granted(client, 0) - base} given back`);
      });
    assert.equal(client.closed, false);
    if (id > 150) break;
  }
});

test("RFC 9113 6.9: bytes of a body that nobody wants are given back to the connection", async () => {
  const client = await connected();
  const { connection } = await windows(client);
  const base = granted(client, 0);
  let sent = 0;
  for (let id = 1; id < 80 && sent < connection * 2; id += 2) {
    client.send(headers(id, at("/wait", POST), false), data(id, Buffer.alloc(16_000), false));
    sent += 16_000;
    await client.settle();
    const { exchange } = uploads.at(-1)!;
    exchange.status = 403;
    exchange.replyHeaders = [];
    exchange.client.send(exchange);
    await client.until(() => client.statuses(id).length > 0);
    client.send(reset(id));
    await client
      .until(() => sent <= connection + granted(client, 0) - base - 16_000, 2000)
      .catch(() => {
        assert.fail(`${sent} bytes sent, ${granted(client, 0) - base} given back`);
      });
  }
  client.send(headers(201, at("/10")));
  await client.until(() => client.ended(201));
});

test("RFC 9113 6.9: empty DATA that ends the stream needs no window", async () => {
  const client = await connected();
  const { stream } = await windows(client);
  client.send(headers(1, at("/", POST), false));
  sendBytes(client, 1, stream);
  client.send(frame(TYPE.data, END_STREAM, 1));
  await client.settle();
  assert.deepEqual([uploads[0]?.bytes, uploads[0]?.end], [stream, "whole"]);
});

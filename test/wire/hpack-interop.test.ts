import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type ServerHttp2Stream } from "node:http2";
import { type Duplex, duplexPair } from "node:stream";
import { test } from "node:test";
import { HpackDecoder } from "../../src/wire/hpack-decoder.ts";
import { blockBytesMax, HpackEncoder } from "../../src/wire/hpack-encoder.ts";
import {
  ACK,
  END_HEADERS,
  END_STREAM,
  type Frame,
  frame,
  HELLO,
  setting,
  TYPE,
} from "../conformance/http2-frames.ts";

const TABLE_SIZE = 1;
const MAX_LIST = 6;

/** One end of a connection that writes and reads field blocks by our HPACK, and knows just enough of HTTP/2 for it. */
class Peer {
  readonly #socket: Duplex;
  readonly #encoder: HpackEncoder;
  readonly #decoder: HpackDecoder;
  readonly #onList: (stream: number, list: string[]) => void;
  #rest = Buffer.alloc(0);
  #fragments: Buffer[] = [];

  /** `skip`: bytes that come before the first frame. */
  constructor(
    socket: Duplex,
    tables: { readonly encoder: number; readonly decoder: number },
    skip: number,
    onList: (stream: number, list: string[]) => void,
  ) {
    this.#socket = socket;
    this.#encoder = new HpackEncoder(tables.encoder);
    this.#decoder = new HpackDecoder(tables.decoder);
    this.#onList = onList;
    let left = skip;
    socket.on("data", (bytes: Buffer) => {
      this.#read(bytes.subarray(Math.min(left, bytes.length)));
      left = Math.max(0, left - bytes.length);
    });
    if (skip === 0) socket.write(HELLO);
    socket.write(
      frame(
        TYPE.settings,
        0,
        0,
        Buffer.concat([setting(TABLE_SIZE, tables.decoder), setting(MAX_LIST, 65536)]),
      ),
    );
  }

  send(stream: number, list: readonly string[]): void {
    const block = Buffer.alloc(blockBytesMax(list));
    const end = this.#encoder.encode(list, block, 0);
    const first = block.subarray(0, Math.min(end, 16384));
    const whole = first.length === end;
    this.#socket.write(frame(TYPE.headers, END_STREAM | (whole ? END_HEADERS : 0), stream, first));
    if (!whole) this.#socket.write(frame(TYPE.continuation, END_HEADERS, stream, block.subarray(16384, end)));
  }

  #read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) break;
      const payload = this.#rest.subarray(9, end);
      this.#take({
        type: this.#rest[3]!,
        flags: this.#rest[4]!,
        stream: this.#rest.readUInt32BE(5),
        payload,
      });
      this.#rest = this.#rest.subarray(end);
    }
  }

  #take({ type, flags, stream, payload }: Frame): void {
    assert.ok(type !== TYPE.goaway && type !== TYPE.reset, "nothing is refused");
    if (type === TYPE.settings && flags === ACK) this.#decoder.settingsAcknowledged();
    if (type === TYPE.settings && flags === 0) {
      for (let at = 0; at < payload.length; at += 6)
        if (payload.readUInt16BE(at) === TABLE_SIZE)
          this.#encoder.peerTableSize(payload.readUInt32BE(at + 2));
      this.#socket.write(frame(TYPE.settings, ACK, 0));
    }
    if (type !== TYPE.headers && type !== TYPE.continuation) return;
    assert.equal(flags & 0x08, 0, "no padding");
    this.#fragments.push(payload.subarray(flags & 0x20 ? 5 : 0));
    if ((flags & END_HEADERS) === 0) return;
    const block = Buffer.concat(this.#fragments);
    this.#fragments = [];
    const list: string[] = [];
    assert.ok(this.#decoder.decode(block, 0, block.length, list, 1e6, 1000), block.toString("hex"));
    this.#onList(stream, list);
  }
}

// Each byte that a value may have, among enough others that its Huffman code is worth writing.
const EVERY_BYTE = Array.from({ length: 256 }, (_, byte) => byte)
  .filter((byte) => byte === 9 || (byte > 31 && byte !== 127))
  .flatMap((byte) => [`x-${byte % 3}`, `${"0".repeat(12)}${String.fromCharCode(byte)}aeiost`]);

/** What a sender says in its requests or replies, one after the other. */
const LISTS: readonly string[][] = [
  ["x-a", "1", "x-b", "2", "server", "nginx", "vary", "accept-encoding"],
  ["x-a", "1", "x-b", "2", "server", "nginx", "vary", "accept-encoding"],
  ["x-a", "2", "x-b", "1", "server", "nginx", "set-cookie", "a=b; Secure", "set-cookie", "c=d"],
  EVERY_BYTE,
  EVERY_BYTE,
  ["x-large", "v".repeat(5000), "x-a", "1", "server", "nginx"],
  ...Array.from({ length: 60 }, (_, i) => [
    "x-id",
    `${i * 7919}`,
    "x-few",
    `${i % 5}`,
    "x-b",
    "y".repeat(i * 10),
  ]),
  ["x-a", "1", "x-b", "2", "server", "nginx", "vary", "accept-encoding", "x-empty", ""],
];

const REQUEST = [":method", "GET", ":scheme", "http", ":authority", "app.test", ":path", "/some/path?q=1"];
const TABLES = [0, 100, 4096, 65536];

/** Turns a flat list into what `node:http2` takes. */
function record(list: readonly string[]): Record<string, string | string[]> {
  const found = new Map<string, string[]>();
  for (let i = 0; i < list.length; i += 2)
    found.set(list[i]!, [...(found.get(list[i]!) ?? []), list[i + 1]!]);
  return Object.fromEntries([...found].map(([name, all]) => [name, all.length === 1 ? all[0]! : all]));
}

/** The same pairs, grouped by name as `record` groups them. */
function grouped(list: readonly string[]): string[] {
  return Object.entries(record(list)).flatMap(([name, all]) =>
    [all].flat().flatMap((value) => [name, value]),
  );
}

for (const size of TABLES)
  test(`HPACK and a server of nghttp2 understand each other with tables of ${size} bytes`, async () => {
    const [near, far] = duplexPair();
    const server = createServer({
      settings: { headerTableSize: size, maxHeaderListSize: 1e6 },
      maxHeaderListPairs: 1000,
    });
    const seen: string[][] = [];
    server.on("stream", (stream: ServerHttp2Stream, _headers, _flags, raw: string[]) => {
      seen.push(raw);
      const list = LISTS[seen.length - 1]!;
      stream.respond({ ":status": 200, ...record(list) }, { endStream: true, sendDate: false } as object);
    });
    server.emit("connection", far);
    const replies: string[][] = [];
    let wake = (): void => {};
    const peer = new Peer(near, { encoder: size, decoder: size }, 0, (_stream, list) => {
      replies.push(list);
      wake();
    });
    for (const [i, list] of LISTS.entries()) {
      const answered = new Promise<void>((resolve) => {
        wake = resolve;
      });
      peer.send(2 * i + 1, [...REQUEST, ...list]);
      await answered;
      assert.deepEqual(seen[i], [...REQUEST, ...list]);
      assert.deepEqual(withoutDate(replies[i]!), [":status", "200", ...grouped(list)]);
    }
    near.destroy();
    far.destroy();
  });

function withoutDate(list: readonly string[]): string[] {
  const at = list.indexOf("date");
  return at < 0 ? [...list] : [...list.slice(0, at), ...list.slice(at + 2)];
}

for (const size of TABLES)
  test(`HPACK and a client of nghttp2 understand each other with tables of ${size} bytes`, async () => {
    const [near, far] = duplexPair();
    const seen: string[][] = [];
    const peer = new Peer(far, { encoder: 4096, decoder: size }, HELLO.length, (stream, list) => {
      seen.push(list);
      peer.send(stream, [":status", "200", ...LISTS[seen.length - 1]!]);
    });
    const client = connect("http://app.test", {
      createConnection: () => near,
      settings: { headerTableSize: size, maxHeaderListSize: 1e6 },
      maxHeaderListPairs: 1000,
    });
    for (const [i, list] of LISTS.entries()) {
      // Said in the middle of the connection, the peer's table changes under what is in it.
      if (i % 8 === 4) client.settings({ headerTableSize: Math.floor(size / (i % 3 === 0 ? 1 : 3)) });
      const request = client.request({ ...record([...REQUEST, ...list]) });
      const [, , raw] = (await once(request, "response")) as [unknown, unknown, string[]];
      assert.deepEqual(raw, [":status", "200", ...list]);
      assert.deepEqual(seen[i], [...REQUEST, ...grouped(list)]);
      request.resume();
    }
    client.destroy();
    far.destroy();
  });

import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, test } from "node:test";
import {
  ACK,
  block,
  END_HEADERS,
  END_STREAM,
  frame,
  headers,
  setting,
  TYPE,
  uint32,
} from "../conformance/http2-frames.ts";
import { Plane, TestServer } from "../gateway/plane.ts";
import { Http2Client } from "./http2-backend.ts";

/** What HTTP/2 servers send without being asked for it, frame by frame. */

const ALTSVC = 0xa;
const ORIGIN = 0xc;
const PREFACE_BYTES = 24;

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

const ok = (stream: number) => [
  headers(stream, [[":status", "200"]], false),
  frame(TYPE.data, END_STREAM, stream, Buffer.from("hello")),
];

/** A server of raw frames: `answer` gives what it sends for a request on a stream. */
class FrameServer {
  readonly server: Server;
  readonly sockets: Socket[] = [];
  /** Streams that were reset, and the codes of GOAWAYs. */
  readonly reset: number[] = [];
  readonly goaways: number[] = [];
  settings: Buffer = Buffer.alloc(0);

  constructor(answer: (stream: number) => Buffer[]) {
    this.server = createServer((socket) => {
      this.sockets.push(socket);
      socket.on("error", () => {});
      socket.write(frame(TYPE.settings, 0, 0));
      let rest: Buffer = Buffer.alloc(0);
      let begun = false;
      socket.on("data", (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk]);
        if (!begun) {
          if (rest.length < PREFACE_BYTES) return;
          rest = rest.subarray(PREFACE_BYTES);
          begun = true;
        }
        while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
          const end = 9 + rest.readUIntBE(0, 3);
          this.#take(socket, rest[3]!, rest[4]!, rest.readUInt32BE(5), rest.subarray(9, end), answer);
          rest = rest.subarray(end);
        }
      });
    });
  }

  #take(
    socket: Socket,
    type: number,
    flags: number,
    stream: number,
    payload: Buffer,
    answer: (stream: number) => Buffer[],
  ): void {
    if (type === TYPE.settings && (flags & ACK) === 0) {
      this.settings = payload;
      socket.write(frame(TYPE.settings, ACK, 0));
    } else if (type === TYPE.reset) this.reset.push(stream);
    else if (type === TYPE.goaway) this.goaways.push(payload.readUInt32BE(4));
    else if (type === TYPE.headers) socket.write(Buffer.concat(answer(stream)));
  }

  async start(): Promise<number> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    open.push({
      close: () => {
        this.server.close();
        for (const socket of this.sockets) socket.destroy();
      },
    });
    return (this.server.address() as AddressInfo).port;
  }
}

async function through(server: FrameServer): Promise<Http2Client> {
  const plane = await new Plane({
    servers: [new TestServer(await server.start(), { scheme: "h2c" })],
  }).start();
  const client = new Http2Client(`http://127.0.0.1:${plane.port}`);
  open.push(client, plane);
  return client;
}

function altsvc(stream: number, origin: string): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(origin.length);
  return frame(ALTSVC, 0, stream, Buffer.concat([length, Buffer.from(`${origin}h2=":8443"`)]));
}

function origins(count: number): Buffer {
  const entry = Buffer.concat([Buffer.from([0, 19]), Buffer.from("https://evil.test:1")]);
  return frame(ORIGIN, 0, 0, Buffer.concat(Array<Buffer>(count).fill(entry)));
}

test("H2-20 a server is told that pushes are not wanted", async () => {
  const server = new FrameServer(ok);
  const client = await through(server);
  await client.ask({ ":path": "/" });
  assert.ok(server.settings.includes(setting(2, 0)));
});

test("H2-20 a push all the same ends the connection, and none of it reaches a client", async () => {
  let times = 0;
  const promised = Buffer.concat([
    uint32(2),
    block([
      [":method", "GET"],
      [":scheme", "http"],
      [":authority", "app.test"],
      [":path", "/pushed"],
    ]),
  ]);
  const server = new FrameServer((stream) =>
    times++ > 0
      ? ok(stream)
      : [
          frame(TYPE.push, END_HEADERS, stream, promised),
          headers(2, [[":status", "200"]], false),
          frame(TYPE.data, END_STREAM, 2, Buffer.from("pushed")),
          ...ok(stream),
        ],
  );
  const client = await through(server);
  const pushed: unknown[] = [];
  client.session.on("stream", (stream) => pushed.push(stream));
  const first = await client.ask({ ":method": "POST", ":path": "/" });
  assert.equal(first.status, 502);
  assert.equal((await client.ask({ ":path": "/" })).text, "hello");
  assert.equal(pushed.length, 0);
  assert.deepEqual(server.goaways, [1]);
  assert.equal(server.sockets.length, 2);
});

test("H2-20 other origins and other services that a server names are not listened to", async () => {
  const server = new FrameServer((stream) => [
    origins(3),
    altsvc(0, "http://app.test"),
    altsvc(stream, ""),
    frame(0xee, 0xff, 0, Buffer.from("unknown")),
    ...ok(stream),
  ]);
  const client = await through(server);
  const told: unknown[] = [];
  client.session.on("altsvc", (value) => told.push(value));
  client.session.on("origin", (value) => told.push(value));
  for (let i = 0; i < 3; i++) {
    const reply = await client.ask({ ":path": "/" });
    assert.deepEqual([reply.status, reply.text, reply.headers["alt-svc"]], [200, "hello", undefined]);
  }
  assert.deepEqual(told, []);
  assert.equal(server.sockets.length, 1);
});

test("H2-20 a flood of them costs no memory, and other requests go on", async () => {
  const flood = Buffer.concat([
    ...Array<Buffer>(40).fill(origins(700)),
    ...Array<Buffer>(200).fill(altsvc(0, "http://app.test")),
  ]);
  const server = new FrameServer((stream) => [flood, ...ok(stream)]);
  const client = await through(server);
  const ask = async () => assert.equal((await client.ask({ ":path": "/" })).text, "hello");
  for (let i = 0; i < 5; i++) await ask();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 60; i++) await ask();
  const megabytes = (process.memoryUsage().heapUsed - before) / 1024 / 1024;
  assert.ok(megabytes < 48, `${megabytes} MB more`);
});

test("H2-20 floods of settings and pings from a server end its connection or are answered, and nothing else", async () => {
  const floods = [
    Buffer.concat(Array<Buffer>(2000).fill(frame(TYPE.settings, 0, 0, setting(3, 100)))),
    Buffer.concat(Array<Buffer>(2000).fill(frame(TYPE.ping, 0, 0, Buffer.alloc(8)))),
  ];
  for (const flood of floods) {
    let times = 0;
    const server = new FrameServer((stream) => (times++ === 0 ? [flood, ...ok(stream)] : ok(stream)));
    const client = await through(server);
    const first = await client.ask({ ":path": "/" });
    assert.ok(first.status === 200 || first.status === 502, `${first.status}`);
    assert.equal((await client.ask({ ":path": "/" })).text, "hello");
  }
});

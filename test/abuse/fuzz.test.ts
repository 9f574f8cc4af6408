import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createNetServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { after, test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type Reading, read } from "../conformance/http1-reader.ts";
import {
  block,
  END_HEADERS,
  END_STREAM,
  frame,
  GET,
  headers,
  POST,
  setting,
  TYPE,
  uint32,
} from "../conformance/http2-frames.ts";
import { eventually, startProduct } from "../e2e/harness.ts";
import { wait } from "./kit.ts";
import { Noise } from "./noise.ts";
import { repliesIn } from "./replies.ts";

/**
 * Mangled bytes at every door of the whole product: no thread may die of them, nothing may be left behind, and whoever
 * asks properly is served all the same. By hand, for longer: `FUZZ_SECONDS=120 FUZZ_SEED=7 node --test <this file>`.
 */

const SECONDS = Number(process.env["FUZZ_SECONDS"] ?? 1);
const SEEDS = (process.env["FUZZ_SEED"] ?? "11,19").split(",").map(Number);
/** Longer than any limit set below, on a machine that is busy with other things. */
const END_SECONDS = 30;
const CLIENTS = 12;

// --- The applications: one that answers properly, one whose replies are mangled.

/** Whole requests of HTTP/1.1 that the proper one has had, and as many as clients can have sent at most. */
let asked = 0;
let askedMost = 0;
const upright: Server = createServer((request, response) => {
  request.on("error", () => {});
  response.on("error", () => {});
  request.resume();
  request.on("end", () => {
    if (request.headers["x-one"] !== undefined) asked++;
    response.end("ok");
  });
});
upright.on("upgrade", (_, socket: Socket) => {
  socket.on("error", () => {});
  socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  socket.pipe(socket);
});
upright.on("clientError", (_, socket) => socket.destroy());

const REPLIES = [
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\nuntil the end",
  "HTTP/1.1 304 Not Modified\r\nETag: a\r\n\r\n",
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi",
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n",
  "HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n",
  "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\nVary: *\r\n\r\n\x1f\x8b\x08",
];
const REPLY_BITS = [
  "\r\n",
  "\n",
  "\0",
  "HTTP2-Settings: x\r\n",
  "TE: gzip\r\n",
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Connection: close\r\n",
  "Connection: x, Upgrade\r\n",
  "Content-Type: a/b\r\nContent-Type: c/d\r\n",
  "Date: x\r\nDate: y\r\n",
  "X_y.z: \xff\r\n",
  "HTTP/1.1 102 P\r\n\r\n",
  "999",
  "100",
  "600",
  " ",
];

let twisted = new Noise(1);
const crooked = createNetServer((socket) => {
  const noise = new Noise(twisted.next());
  socket.on("error", () => {});
  socket.on("data", () => {
    const reply = noise.mangle(Buffer.from(noise.pick(REPLIES), "latin1"), REPLY_BITS);
    for (const piece of noise.cut(reply)) socket.write(piece);
    const next = noise.below(8);
    if (next === 0) socket.resetAndDestroy();
    else if (next < 3) socket.end();
  });
});

// --- What clients say.

const H1 = [
  "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n",
  "GET /a/%2e%2e/b?c=d HTTP/1.1\r\nHost: app.test:80\r\nCookie: a=b\r\nAccept-Encoding: gzip\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nhello",
  "PUT / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x85aaaaabcde\x88\x80aaaa",
  "GET /1 HTTP/1.1\r\nHost: app.test\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: app.test\r\n\r\nGET /3 HTTP/1.0\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: 1.1.1.1, a\r\nConnection: close, x-real-ip\r\n\r\n",
];
const H1_BITS = [
  "\r\n",
  "\r",
  "\n",
  "\0",
  ":",
  " ",
  "\t",
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Expect: 100-continue\r\n",
  "Upgrade: h2c\r\n",
  "Host: b\r\n",
  "ffffffff\r\n",
  "0\r\n\r\n",
  "%00",
  "/../",
  "HTTP/1.0",
  "x".repeat(9000),
];
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const SETTINGS = frame(TYPE.settings, 0, 0, setting(4, 1000));
const WEBSOCKET: typeof GET = [
  [":method", "CONNECT"],
  [":protocol", "websocket"],
  ...GET.slice(1),
  ["sec-websocket-version", "13"],
];
const H2 = [
  [SETTINGS, headers(1, GET), headers(3, GET)],
  [
    SETTINGS,
    headers(1, POST, false),
    frame(TYPE.data, 0, 1, Buffer.from("hel")),
    frame(TYPE.data, END_STREAM, 1, Buffer.from("lo")),
  ],
  [SETTINGS, headers(1, GET), frame(TYPE.reset, 0, 1, uint32(8)), frame(TYPE.ping, 0, 0, Buffer.alloc(8))],
  [
    SETTINGS,
    headers(1, WEBSOCKET, false),
    frame(TYPE.data, 0, 1, Buffer.from("\x81\x85aaaaabcde", "latin1")),
  ],
  [
    SETTINGS,
    headers(1, POST, false),
    frame(TYPE.data, 0, 1, Buffer.from("x")),
    frame(TYPE.headers, END_HEADERS | END_STREAM, 1, block([["x-trailer", "1"]])),
    frame(TYPE.window, 0, 0, uint32(1000)),
    frame(TYPE.goaway, 0, 0, Buffer.alloc(8)),
  ],
  [
    SETTINGS,
    frame(TYPE.headers, END_STREAM, 1, block(GET)),
    frame(TYPE.continuation, END_HEADERS, 1, block([["expect", "100-continue"]])),
  ],
].map((frames) => Buffer.concat([PREFACE, ...frames]));
const H2_BITS = [
  headers(5, GET),
  headers(1, [["x-a", "b"]]),
  frame(TYPE.data, 0, 5, Buffer.alloc(20)),
  frame(TYPE.reset, 0, 5, uint32(0)),
  frame(TYPE.window, 0, 1, uint32(0x7fffffff)),
  frame(TYPE.settings, 0, 0, setting(4, 0)),
  frame(TYPE.priority, 0, 1, Buffer.alloc(5)),
  frame(TYPE.push, 0, 1, Buffer.alloc(8)),
  frame(0x77, 0xff, 1, Buffer.alloc(3)),
];
const PROXY = [
  Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n"),
  Buffer.from("PROXY UNKNOWN\r\n"),
  Buffer.from("0d0a0d0a000d0a515549540a2111000cc0000201c000020204d20050", "hex"),
  Buffer.from("0d0a0d0a000d0a515549540a20000000", "hex"),
];

type Door = "web" | "secure" | "proxied" | "hello";
const DOORS: readonly Door[] = ["web", "web", "secure", "proxied", "hello"];

/** The first flight of a TLS client, caught on its way. */
async function helloBytes(): Promise<Buffer> {
  const server = createNetServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = connectTls({
    port,
    host: "127.0.0.1",
    servername: "app.test",
    ALPNProtocols: ["h2", "http/1.1"],
  });
  client.on("error", () => {});
  const [socket] = (await once(server, "connection")) as [Socket];
  const [bytes] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  server.close();
  return bytes;
}

const listen = async (server: { listen(port: number, host: string): unknown; address(): unknown }) => {
  server.listen(0, "127.0.0.1");
  await once(server as Server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};
const urls = [await listen(upright), await listen(crooked)];
const hello = await helloBytes();
const product = await startProduct({
  threads: 2,
  flags: [
    "--entryPoints.secure.address=127.0.0.1:0",
    "--entryPoints.secure.http.tls=true",
    "--entryPoints.proxied.address=127.0.0.1:0",
    "--entryPoints.proxied.proxyProtocol.insecure=true",
    ...["web", "secure", "proxied"].flatMap((name) => [
      `--entryPoints.${name}.transport.respondingTimeouts.headerTimeout=500ms`,
      `--entryPoints.${name}.transport.respondingTimeouts.bodyIdleTimeout=500ms`,
      `--entryPoints.${name}.transport.respondingTimeouts.tunnelIdleTimeout=500ms`,
      `--entryPoints.${name}.transport.respondingTimeouts.writeStallTimeout=500ms`,
      `--entryPoints.${name}.transport.maxConnectionsPerIP=0`,
    ]),
  ],
  file: `
http:
  routers:
    upright: { rule: "Host(\`app.test\`) && !Header(\`x-crooked\`, \`1\`)", service: upright }
    crooked: { rule: "HeaderRegexp(\`x-crooked\`, \`1\`)", service: crooked }
    through: { rule: "Host(\`app.test\`) && HeaderRegexp(\`x-crooked\`, \`2\`)", service: crooked, middlewares: [zip, spool, again, grpc, pages] }
  middlewares:
    zip: { compress: { minResponseBodyBytes: 1 } }
    spool: { buffering: { memRequestBodyBytes: 2, memResponseBodyBytes: 2, maxResponseBodyBytes: 100000 } }
    again: { retry: { attempts: 2 } }
    grpc: { grpcWeb: { allowOrigins: ["*"] } }
    pages: { errors: { status: ["500-599"], service: upright, query: "/{status}" } }
  serversTransports:
    brisk: { forwardingTimeouts: { responseHeaderTimeout: 500ms, idleReadTimeout: 500ms } }
  services:
    upright: { loadBalancer: { servers: [ { url: "${urls[0]}" } ] } }
    crooked: { loadBalancer: { serversTransport: brisk, servers: [ { url: "${urls[1]}" } ] } }
`,
});
after(async () => {
  await product[Symbol.asyncDispose]();
  upright.closeAllConnections();
  upright.close();
  crooked.close();
});

async function open(door: Door): Promise<Duplex> {
  const port = product.ports.get(door === "hello" ? "secure" : door)!;
  if (door !== "secure") {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    socket.on("error", () => {});
    await once(socket, "connect").catch(() => {});
    return socket;
  }
  const socket = connectTls({
    port,
    host: "127.0.0.1",
    servername: "app.test",
    rejectUnauthorized: false,
    ALPNProtocols: door === "secure" ? ["h2", "http/1.1"] : [],
  });
  socket.on("error", () => {});
  await once(socket, "secureConnect").catch(() => {});
  return socket;
}

/** One connection of one client: something good to begin with, spoiled by noise, and an end at any time. */
async function visit(noise: Noise, turned: "" | "1" | "2"): Promise<void> {
  const door = noise.pick(DOORS);
  const socket = await open(door);
  const http2 = noise.below(3) === 0;
  const seeds = [http2 ? noise.pick(H2) : mark(Buffer.from(noise.pick(H1), "latin1"), "X-One: 1")];
  const marked = turned === "" ? seeds : seeds.map((bytes) => turn(bytes, http2, turned));
  // What a server says wrongly is only seen when it has been asked properly.
  const mangled = (bytes: Buffer) =>
    turned !== "" && noise.below(4) > 0 ? bytes : noise.mangle(bytes, http2 ? H2_BITS : H1_BITS);
  const all: Buffer[] = [];
  if (door === "hello") all.push(noise.mangle(hello, [hello.subarray(0, 50)]));
  if (door === "proxied")
    all.push(noise.below(3) === 0 ? noise.mangle(noise.pick(PROXY), ["\r\n"]) : noise.pick(PROXY));
  const said = marked.map(mangled);
  if (noise.below(4) === 0) said.push(noise.bytes(noise.below(3000)));
  all.push(...said);
  const ended = new Promise((resolve) => socket.on("close", resolve));
  let got = "";
  socket.on("data", (chunk: Buffer) => {
    got += chunk.toString("latin1");
  });
  if (noise.below(8) === 0) socket.pause();
  const isHttp1 = !http2 && door !== "hello" && (socket as TLSSocket).alpnProtocol !== "h2";
  const sent = isHttp1 ? await read([Buffer.concat(said).toString("latin1")]) : undefined;
  askedMost += sent?.requests.filter(({ complete }) => complete).length ?? 0;
  for (const piece of noise.cut(Buffer.concat(all))) {
    if (socket.destroyed) break;
    await new Promise<void>((resolve) => socket.write(piece, () => setImmediate(resolve)));
  }
  await Promise.race([ended, wait(noise.below(60))]);
  if (noise.below(3) === 0 && door !== "secure") (socket as Socket).resetAndDestroy();
  else if (noise.below(2) === 0) socket.end();
  await Promise.race([ended, wait(20)]);
  socket.destroy();
  if (sent !== undefined) assertAsked(got, sent, Buffer.concat(all).toString("latin1"));
}

/** No more replies than requests, but for a last one to what was none, and not a byte that belongs to no reply. */
function assertAsked(got: string, { requests }: Reading, sent: string): void {
  const { replies, rest } = repliesIn(
    got,
    requests.map(({ exchange }) => exchange.method),
  );
  const about = `${JSON.stringify(got)} for ${JSON.stringify(sent)}`;
  const refusal = replies[requests.length];
  assert.ok(replies.length <= requests.length + 1, about);
  if (refusal !== undefined) assert.ok(refusal.closes && refusal.status >= 400, about);
  // A head may have been cut short.
  assert.ok(rest === "" || "HTTP/1.1 ".startsWith(rest.slice(0, 9)), about);
}

/** The same request with another header. */
const mark = (bytes: Buffer, header: string) =>
  Buffer.from(
    bytes.toString("latin1").replaceAll("Host: app.test\r\n", `Host: app.test\r\n${header}\r\n`),
    "latin1",
  );

/** The same request for the application whose replies are mangled. */
function turn(bytes: Buffer, http2: boolean, turned: string): Buffer {
  if (!http2) return mark(bytes, `X-Crooked: ${turned}`);
  const field: readonly [string, string] = ["x-crooked", turned];
  return Buffer.concat([
    PREFACE,
    SETTINGS,
    headers(1, [...GET, field]),
    headers(3, [...POST, field], false),
    headers(5, [...WEBSOCKET, field], false),
  ]);
}

for (const [what, turned] of [
  ["clients", ""],
  ["servers", "1"],
  ["servers behind middlewares that touch bodies", "2"],
] as const) {
  for (const seed of SEEDS)
    test(`noise from ${what} harms nobody else (seed ${seed})`, () => makeNoise(turned, seed));
}

async function makeNoise(turned: "" | "1" | "2", seed: number): Promise<void> {
  const noise = new Noise(seed);
  twisted = new Noise(seed + 1);
  asked = 0;
  askedMost = 0;
  const untilMs = performance.now() + SECONDS * 1000;
  let visits = 0;
  const client = async () => {
    do {
      // One that is not read may never get its bytes away.
      await Promise.race([visit(new Noise(noise.next()), turned), wait(5000)]);
      visits++;
    } while (performance.now() < untilMs);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  // Pages for replies of the other one are asked for in a request's own words.
  if (turned === "") assert.ok(asked > 0 && asked <= askedMost, `${asked} requests of ${askedMost}`);
  const about = `seed ${seed}, ${visits} visits`;
  assert.equal((await product.get("app.test")).body, "ok", about);
  await eventually(() => {
    for (const { service, inFlight } of product.runtime.servers())
      assert.equal(inFlight, 0, `${service}, ${about}`);
  }, END_SECONDS);
  assert.deepEqual(
    product.log.filter(({ level }) => level === "error"),
    [],
    about,
  );
}

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, test } from "node:test";
import { connect as connectTls } from "node:tls";
import type { BodySink, BodySource } from "../../src/model/body.ts";
import type { Exchange } from "../../src/model/exchange.ts";
import { Acceptor } from "../../src/tls/acceptor.ts";
import {
  block,
  END_HEADERS,
  END_STREAM,
  frame,
  grant,
  headers,
  PADDED,
  POST,
  RawClient,
  reset,
  settings,
  TYPE,
} from "../conformance/http2-frames.ts";
import { eventually } from "../e2e/harness.ts";
import { gather, Http2Port } from "../listen/http2-site.ts";
import { makeCertificate, specOf, tlsSpec } from "../tls/certificates.ts";
import { bytesFrom, Talker } from "./http2-talker.ts";
import { Noise } from "./noise.ts";

/**
 * Connections made up by chance. Of the first kind everything is allowed, and everything must be answered, to the byte;
 * in the second kind one thing and another is wrong. By hand, for longer: `FUZZ_SECONDS=120 FUZZ_SEED=7 node --test`.
 */

const SECONDS = Number(process.env["FUZZ_SECONDS"] ?? 1);
const SEED = Number(process.env["FUZZ_SEED"] ?? 17);
const STEPS = 60;

// --- The server.

/** So many bytes in chunks of chance, some of which come later. */
class Chance implements BodySource {
  readonly length: number;
  readonly #total: number;
  readonly #noise: Noise;
  readonly #trailers: string[] | undefined;
  #sink: BodySink | undefined;
  #sent = 0;

  constructor(total: number, noise: Noise, isKnown: boolean, trailers: string[] | undefined) {
    this.length = isKnown ? total : -1;
    this.#total = total;
    this.#noise = noise;
    this.#trailers = trailers;
  }

  flow(sink: BodySink): void {
    this.#sink = sink;
    this.resume();
  }

  resume(): void {
    for (;;) {
      const sink = this.#sink;
      if (sink === undefined) return;
      if (this.#sent === this.#total) {
        this.#sink = undefined;
        return sink.end(this.#trailers);
      }
      const to = Math.min(
        this.#total,
        this.#sent + 1 + this.#noise.below(this.#noise.pick([1, 100, 20_000, 70_000])),
      );
      const chunk = bytesFrom(this.#sent, to);
      this.#sent = to;
      if (!sink.data(chunk)) return;
      // The buffer is ours again, and something else is in it soon.
      chunk.fill(0xee);
      if (this.#noise.below(5) === 0) return void setImmediate(() => this.resume());
    }
  }

  cancel(): void {
    this.#sink = undefined;
  }
}

function reply(exchange: Exchange, body: BodySource): void {
  exchange.status = 200;
  exchange.replyHeaders = ["X-Path", exchange.path];
  exchange.replyBody = body;
  exchange.client.send(exchange);
}

/** Takes a body, or a part of it, with pauses. */
function sip(exchange: Exchange, noise: Noise, end: () => void): void {
  const { requestBody } = exchange;
  requestBody.flow({
    data() {
      if (noise.below(3) > 0) return true;
      setImmediate(() => requestBody.resume());
      return false;
    },
    end,
    fail() {},
  });
}

/** `/mode/length/seed`. */
function serve(exchange: Exchange): void {
  const [, mode, length, seed] = exchange.path.split("/");
  const noise = new Noise(Number(seed));
  const body = () =>
    new Chance(
      Number(length),
      noise,
      noise.below(2) === 0,
      noise.below(3) === 0 ? ["X-Sum", "1"] : undefined,
    );
  switch (mode) {
    case "whole":
      gather(exchange.requestBody).then(
        () => reply(exchange, body()),
        () => {},
      );
      break;
    case "sip":
      return sip(exchange, noise, () => reply(exchange, body()));
    case "late":
      return void setTimeout(() => sip(exchange, noise, () => reply(exchange, body())), noise.below(5));
    case "early":
      return reply(exchange, body());
    case "told":
      exchange.client.inform(exchange, 103, ["Link", "</a>"]);
      return sip(exchange, noise, () => reply(exchange, body()));
    case "mirror":
      return reply(exchange, exchange.requestBody);
    case "tunnel": {
      // It tells itself when it is over.
      const tunnel = exchange.client.takeOver(exchange);
      tunnel.on("close", () => record(exchange).done.push(exchange));
      return void tunnel.pipe(tunnel);
    }
    case "cut":
      reply(exchange, body());
      return void setTimeout(() => exchange.client.abort(exchange), noise.below(4));
  }
}

// --- The connections.

/** Sends the frames cut anywhere, now and then with a pause. */
async function sendCut(client: RawClient, noise: Noise, frames: readonly Buffer[]): Promise<void> {
  const bytes = Buffer.concat(frames);
  for (let at = 0; at < bytes.length; ) {
    const size = noise.below(3) === 0 ? 1 + noise.below(12) : 1 + noise.below(60_000);
    client.send(bytes.subarray(at, at + size));
    at += size;
    if (noise.below(4) === 0) await new Promise(setImmediate);
  }
}

const certificate = await makeCertificate({ names: ["app.test"] });
const record = ({ connection }: Exchange) => (connection.tls === undefined ? plain : secure).record;
const plain = await Http2Port.open(serve);
const secure = await Http2Port.open(serve, undefined, new Acceptor(tlsSpec([specOf(certificate)])));
after(() => {
  plain.close();
  secure.close();
});

async function connected(port: Http2Port): Promise<RawClient> {
  if (port === plain) return await RawClient.open(port.port);
  const socket = connectTls({
    port: port.port,
    servername: "app.test",
    ALPNProtocols: ["h2"],
    rejectUnauthorized: false,
  });
  await once(socket, "secureConnect");
  return RawClient.over(socket);
}

/** Steps that are all allowed. `isLazy`: with large windows, replies and bodies, and the client does not read meanwhile. */
async function honest(port: Http2Port, seed: number, isLazy: boolean): Promise<void> {
  const noise = new Noise(seed);
  const client = await connected(port);
  const talker = new Talker(client, noise, isLazy ? 1_500_000 : 200_000);
  await client.settle();
  // A word of ours in the middle of another frame would be a mistake of this test.
  client.acknowledges = false;
  if (isLazy) {
    client.send(...talker.openWide());
    client.socket.pause();
  }
  for (let i = 0; i < (isLazy ? STEPS / 4 : STEPS); i++) {
    const frames: Buffer[] = [];
    for (let k = 1 + noise.below(6); k > 0; k--) frames.push(...talker.step());
    await sendCut(client, noise, frames);
    if (!isLazy && noise.below(6) === 0) await client.settle();
  }
  client.socket.resume();
  await talker.finish();
  const { fouls, goaway } = talker.referee;
  assert.deepEqual([fouls, goaway, talker.complaints()], [[], undefined, []], `seed ${seed}`);
  client.close();
}

const WRONG: readonly Buffer[] = [
  frame(TYPE.data, 0, 0, Buffer.from("x")),
  frame(TYPE.data, PADDED, 1, Buffer.from([200, 1])),
  frame(TYPE.data, END_STREAM, 1, Buffer.from("x")),
  frame(TYPE.headers, END_HEADERS, 1, block([["x-late", "1"]])),
  frame(TYPE.headers, END_HEADERS | END_STREAM, 2, block(POST)),
  frame(TYPE.headers, END_STREAM, 181, block(POST)),
  frame(TYPE.headers, END_HEADERS | END_STREAM, 183, Buffer.from([0xff, 0xff, 0xff])),
  headers(185, [...POST, ["Upper", "1"]]),
  headers(187, [...POST, ["connection", "close"]]),
  headers(189, [...POST, ["content-length", "5"]]),
  frame(TYPE.continuation, END_HEADERS, 1),
  frame(TYPE.push, END_HEADERS, 1, Buffer.alloc(8)),
  frame(TYPE.goaway, 0, 0, Buffer.alloc(8)),
  frame(TYPE.ping, 0, 0, Buffer.alloc(7)),
  frame(TYPE.settings, 0, 0, Buffer.alloc(5)),
  settings([4, 2 ** 31]),
  settings([5, 1]),
  grant(0, 0),
  grant(1, 0),
  grant(0, 2 ** 31 - 1),
  grant(1, 2 ** 31 - 1),
  grant(1, 2 ** 30),
  reset(0),
  reset(1),
  reset(3),
  reset(999),
  Buffer.from("GET / HTTP/1.1\r\n\r\n"),
];

/** Some of what comes is wrong, or mangled, and then the client leaves in one way or another. */
async function wrong(port: Http2Port, seed: number): Promise<void> {
  const noise = new Noise(seed);
  const client = await connected(port);
  const talker = new Talker(client, noise, 100_000);
  if (noise.below(4) === 0) client.socket.pause();
  for (let i = 0; i < 12 && !client.closed; i++) {
    const frames: Buffer[] = [];
    for (let k = 1 + noise.below(6); k > 0; k--) frames.push(...talker.step());
    if (noise.below(3) === 0) frames.splice(noise.below(frames.length + 1), 0, noise.pick(WRONG));
    const bytes = Buffer.concat(frames);
    await sendCut(client, noise, [noise.below(3) === 0 ? noise.mangle(bytes, WRONG) : bytes]);
  }
  client.socket.resume();
  if (noise.below(3) > 0) await new Promise((resolve) => setTimeout(resolve, noise.below(20)));
  if (noise.below(2) === 0) client.socket.end();
  else client.close();
}

/** With seeds that follow one another, for a while; afterwards nothing is left, and others are served. */
async function forAWhile(port: Http2Port, seed: number, one: (seed: number) => Promise<void>): Promise<void> {
  const untilMs = Date.now() + SECONDS * 1000;
  for (let i = seed * 100_000 + 1; Date.now() < untilMs; i++) await one(i);
  await eventually(() => assert.equal(port.record.done.length, port.record.handled.length), 20);
  await eventually(() => assert.equal(port.open, 0), 20);
  port.record.clear();
  const client = await connected(port);
  client.send(headers(1, [...POST.slice(0, 3), [":path", "/whole/5/1"]]));
  assert.ok(await client.until(() => client.ended(1)));
  client.close();
}

for (const [about, port] of [
  ["", plain],
  [" over TLS", secure],
] as const) {
  test(`H2-06 connections of chance${about} in which all is allowed are answered to the byte`, () =>
    forAWhile(port, SEED, (seed) => honest(port, seed, false)));

  test(`H2-06 connections of chance${about} whose clients do not read for a while get all to the byte`, () =>
    forAWhile(port, SEED, (seed) => honest(port, seed, true)));

  test(`H2-06 connections of chance${about} in which things are wrong leave nothing behind`, () =>
    forAWhile(port, SEED, (seed) => wrong(port, seed)));
}

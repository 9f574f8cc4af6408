import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { BodySink, BodySource } from "../../src/model/body.ts";
import type { Exchange } from "../../src/model/exchange.ts";
import { answer } from "../listen/http2-site.ts";
import {
  CODE,
  data,
  frame,
  GET,
  grant,
  headers,
  POST,
  ping,
  type RawClient,
  reset,
  settings,
  TYPE,
} from "./http2-frames.ts";
import { hello, replyTo, Setup } from "./http2-setup.ts";

/** What limits against floods must not hit: clients that are only wordy, or that did not know yet. */

const site = new Setup();
const CHUNK = Buffer.alloc(16_384, "x");

/** A body of so many chunks, as fast as they are taken. */
function large(chunks: number): BodySource {
  let left = chunks;
  let sink: BodySink | undefined;
  const body: BodySource = {
    length: chunks * CHUNK.length,
    flow(to) {
      sink = to;
      body.resume();
    },
    resume() {
      while (left > 0) {
        left--;
        if (!sink!.data(CHUNK)) return;
      }
      const to = sink;
      sink = undefined;
      to?.end(undefined);
    },
    cancel() {},
  };
  return body;
}

const download = (chunks: number) => (exchange: Exchange) => {
  exchange.status = 200;
  exchange.replyHeaders = [];
  exchange.replyBody = large(chunks);
  exchange.client.send(exchange);
};

const isCut = ({ frames, closed }: RawClient) =>
  closed || frames.some(({ type }) => type === TYPE.goaway || type === TYPE.reset);

/** Takes a stream's body, and says so for every `step` bytes, to the stream and to the connection. */
async function takeInSteps(client: RawClient, stream: number, total: number, step: number): Promise<void> {
  let granted = 0;
  let at = 0;
  let taken = 0;
  while (taken < total) {
    await client.until(() => client.frames.length > at || isCut(client));
    assert.equal(isCut(client), false, `cut off after ${taken} bytes`);
    for (; at < client.frames.length; at++) {
      const one = client.frames[at]!;
      if (one.type === TYPE.data && one.stream === stream) taken += one.payload.length;
    }
    const words: Buffer[] = [];
    for (; granted + step <= taken; granted += step) words.push(grant(stream, step), grant(0, step));
    client.send(...words);
  }
}

test("H2-06 a client of large windows that grants 4 KiB at a time, as Go's does, gets all of 10 MB", async () => {
  const chunks = 640;
  site.handler = download(chunks);
  const client = await site.connected();
  client.send(settings([4, 4 * 1024 * 1024]), grant(0, 2 ** 30), headers(1, GET));
  await takeInSteps(client, 1, chunks * CHUNK.length, 4096);
  assert.ok(await client.until(() => client.ended(1)));
});

test("H2-06 a client that grants 1 KiB at a time of a small window gets all of 1 MB", async () => {
  site.handler = download(64);
  const client = await site.connected();
  client.send(headers(1, GET));
  await takeInSteps(client, 1, 64 * CHUNK.length, 1024);
  assert.ok(await client.until(() => client.ended(1)));
});

test("H2-06 a client that pings with every part of its reply is not taken for a flood", async () => {
  site.handler = download(256);
  const client = await site.connected(undefined);
  client.send(settings([4, 2 ** 31 - 1]), grant(0, 2 ** 31 - 1 - 65_535), headers(1, GET));
  let pings = 0;
  while (!client.ended(1)) {
    const seen = client.frames.filter(({ type }) => type === TYPE.data).length;
    for (; pings < seen; pings++) client.send(ping(`${pings}`));
    await client.until(() => client.frames.filter(({ type }) => type === TYPE.data).length > seen);
    assert.equal(isCut(client), false, `cut off after ${pings} pings`);
  }
});

test("H2-06 an upload in the smallest of pieces is not taken for a flood", async () => {
  const client = await site.connected();
  client.send(headers(1, POST, false));
  const piece = data(1, "x", false);
  for (let i = 0; i < 50; i++) {
    client.send(Buffer.concat(Array<Buffer>(200).fill(piece)));
    await sleep(0);
  }
  client.send(data(1, ""));
  assert.equal(await replyTo(client, 1), `/ ${"x".repeat(10_000)}`);
});

test("H2-06 a connection that is used for thousands of requests, with a word of each kind for each, goes on", async () => {
  const client = await site.connected();
  for (let id = 1; id < 6000; id += 2) {
    client.send(
      headers(id, POST, false),
      frame(TYPE.priority, 0, id, Buffer.from([0, 0, 0, 0, 16])),
      data(id, "a", false),
      frame(TYPE.data, 1, id),
      grant(0, 3),
    );
    if (id % 200 === 1) await client.until(() => client.ended(id));
    assert.equal(isCut(client), false, `stream ${id}`);
  }
  await client.until(() => client.ended(5999));
});

test("H2-01 a page that is left with all its requests under way costs no connection", async () => {
  site.handler = () => {};
  const client = await site.connected();
  const most = site.port.settings.http2.maxConcurrentStreams;
  const ids = Array.from({ length: most }, (_, i) => 2 * i + 1);
  client.send(...ids.map((id) => headers(id, GET)));
  client.send(...ids.map((id) => reset(id)));
  await client.settle();
  site.handler = hello;
  client.send(headers(2 * most + 1, GET));
  assert.equal(await replyTo(client, 2 * most + 1), "/ ");
});

test("RFC 9113 5.1: what is on its way to a stream that we answered early does no harm, however small its pieces", async () => {
  site.handler = (exchange) => answer(exchange, 413, "no");
  const client = await site.connected();
  for (let id = 1; id < 20; id += 2) {
    client.send(headers(id, POST, false), ...Array.from({ length: 60 }, () => data(id, "0123456789", false)));
    client.send(grant(id, 100), reset(id));
  }
  await client.settle();
  site.handler = hello;
  client.send(headers(101, GET));
  assert.equal(await replyTo(client, 101), "/ ");
});

test("H2-06 a client that asks on and on before it reads is read again when it does, and has every answer", async () => {
  const large = Array.from({ length: 16 }, (_, i) => [`x-${i}`, "v".repeat(1000)]).flat();
  site.handler = (exchange) => answer(exchange, 200, "hello", large);
  const client = await site.connected();
  client.send(settings([4, 2 ** 20]), grant(0, 2 ** 30));
  client.socket.pause();
  const requests = 1000;
  for (let i = 0; i < requests; i++) {
    client.send(headers(2 * i + 1, GET));
    if (i % 20 === 0) await new Promise(setImmediate);
  }
  await sleep(50);
  assert.ok(site.handled.length < requests, "far ahead of a client that does not read");
  client.socket.resume();
  await client.until(() => client.ended(2 * requests - 1), 20_000);
  assert.equal(client.heads.length, requests);
  assert.equal(site.handled.length, requests);
});

// --- The end of a connection.

afterEach(async () => {
  if (site.port.entryPoint.site.draining) await site.reopen();
});

/** A connection with a request under way, which is then drained by us to the end. */
async function drained(): Promise<RawClient> {
  site.handler = () => {};
  const client = await site.connected();
  client.send(headers(1, POST, false));
  await client.settle();
  site.port.entryPoint.drain();
  const isGoaway = (last: number) =>
    client.frames.some(({ type, payload }) => type === TYPE.goaway && payload.readUInt32BE(0) === last);
  await client.until(() => isGoaway(2 ** 31 - 1));
  const asked = await client.find(({ type, flags }) => type === TYPE.ping && flags === 0);
  client.send(frame(TYPE.ping, 1, 0, asked!.payload));
  await client.until(() => isGoaway(1));
  return client;
}

for (const [about, ...frames] of [
  ["a whole request", headers(3, GET)],
  ["a request with a body", headers(3, POST, false), data(3, "abc", false), data(3, "def")],
  ["a request that is cancelled", headers(3, GET), reset(3)],
  ["a request with a window", headers(3, GET), grant(3, 10)],
  ["two requests", headers(3, POST, false), headers(5, GET), data(3, "abc")],
] as const) {
  test(`RFC 9113 6.8: ${about} that crossed our last GOAWAY is dropped, and the one under way finishes`, async () => {
    const client = await drained();
    client.send(...frames, data(1, "abc"));
    await client.find(({ type }) => type === TYPE.goaway);
    await sleep(30);
    assert.equal(site.handled.length, 1);
    answer(site.last, 200, "hello");
    assert.equal(await replyTo(client, 1), "hello");
    const codes = client.frames
      .filter(({ type }) => type === TYPE.goaway)
      .map(({ payload }) => payload.readUInt32BE(4));
    assert.deepEqual(codes, [CODE.none, CODE.none]);
    await client.until(() => client.closed);
  });
}

test("H2-09 a client that has said goodbye and does not close is closed within seconds", async () => {
  const client = await site.connected(undefined, undefined, true);
  client.send(headers(1, GET));
  await replyTo(client, 1);
  client.send(frame(TYPE.goaway, 0, 0, Buffer.alloc(8)));
  for (let i = 0; i < 600 && site.port.open > 0; i++) await sleep(10);
  assert.equal(site.port.open, 0);
});

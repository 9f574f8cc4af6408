import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { data, headers, POST, RawClient } from "../conformance/http2-frames.ts";
import { gather, Http2Port } from "../listen/http2-site.ts";

/** Bodies that wait, in the smallest pieces that there are: they must hold not much more than they say, and flow at once. */

const STREAMS = 10;
/** Less than the window of each. */
const PIECES = 60_000;
const MEGABYTES_MAX = 10;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

function megabytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1024 / 1024;
}

test("H2-05 uploads that wait in pieces of one byte cost little memory, and no time when they flow", async () => {
  const port = await Http2Port.open(() => {});
  after(() => port.close());
  const client = await RawClient.open(port.port);
  for (let i = 0; i < STREAMS; i++) client.send(headers(2 * i + 1, POST, false));
  await client.settle();
  const before = megabytes();
  for (let i = 0; i < STREAMS; i++) {
    const some = Buffer.concat(Array<Buffer>(1000).fill(data(2 * i + 1, "x", false)));
    for (let sent = 0; sent < PIECES; sent += 1000) {
      client.send(some);
      if (sent % 10_000 === 0) await client.settle();
    }
  }
  await client.settle();
  client.frames.length = 0;
  const more = megabytes() - before;
  assert.ok(more <= MEGABYTES_MAX, `${more.toFixed(1)} MB for ${(STREAMS * PIECES) / 1000} KB`);
  for (let i = 0; i < STREAMS; i++) client.send(data(2 * i + 1, ""));
  await client.settle();
  const { user } = process.cpuUsage();
  const bodies = await Promise.all(port.record.handled.map(({ requestBody }) => gather(requestBody)));
  const ms = (process.cpuUsage().user - user) / 1000;
  assert.deepEqual(
    bodies.map(({ text }) => text.length),
    Array<number>(STREAMS).fill(PIECES),
  );
  assert.ok(ms < 3000, `${ms} ms`);
  client.close();
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { ipv6Subnet } from "../../src/lib/ipv6-subnet.ts";
import { TokenBuckets } from "../../src/lib/token-buckets.ts";

test("four threads that take from one bucket together get exactly what is in it", async () => {
  const memory = new SharedArrayBuffer(TokenBuckets.bytes);
  const source = `
    import { parentPort, workerData } from "node:worker_threads";
    const { TokenBuckets } = await import(workerData.module);
    const buckets = new TokenBuckets(workerData.memory, { perSecond: 0.001, burst: 1000, delayMsMax: 0, tickMs: () => 1e9 });
    let taken = 0;
    for (let i = 0; i < 1000; i++) if (buckets.take("a", 1) === 0) taken++;
    parentPort.postMessage(taken);`;
  const module = new URL("../../src/lib/token-buckets.ts", import.meta.url).href;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const taken = await Promise.all(
    Array.from({ length: 4 }, () => {
      const worker = new Worker(url, { workerData: { memory, module } });
      return new Promise<number>((resolve, reject) => worker.on("message", resolve).on("error", reject));
    }),
  );
  assert.equal(
    taken.reduce((a, b) => a + b),
    1000,
  );
});

test("a bucket says what is left and when it will be full", () => {
  let now = 5000;
  const options = { perSecond: 10, burst: 4, delayMsMax: 0, tickMs: () => now };
  const buckets = new TokenBuckets(new SharedArrayBuffer(TokenBuckets.bytes), options);
  assert.equal(buckets.take("a", 1), 0);
  assert.equal(buckets.remaining, 3);
  assert.equal(buckets.fullMs, 100);
  for (let i = 0; i < 3; i++) buckets.take("a", 1);
  assert.equal(buckets.take("a", 1), 100, "the wait for the next token");
  assert.equal(buckets.remaining, 0);
  assert.equal(buckets.fullMs, 400);
  now += 100;
  assert.equal(buckets.take("a", 1), 0);
  assert.equal(buckets.take("a", 2), 0, "another owner has another bucket");
});

test("a subnet of an IPv6 address is the same for all of its addresses", () => {
  assert.equal(ipv6Subnet("2001:db8:1:2:3:4:5:6", 64), ipv6Subnet("2001:db8:1:2::", 64));
  assert.notEqual(ipv6Subnet("2001:db8:1:2::", 64), ipv6Subnet("2001:db8:1:3::", 64));
  assert.equal(ipv6Subnet("2001:db8:1:3::", 63), ipv6Subnet("2001:db8:1:2::1", 63));
  assert.equal(ipv6Subnet("::1", 128), "0:0:0:0:0:0:0:1/128");
  assert.equal(ipv6Subnet("192.0.2.1", 8), "192.0.2.1");
});

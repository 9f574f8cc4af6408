import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { SharedTable } from "../../src/lib/shared-table.ts";

const table = (slots = 64) => new SharedTable(new SharedArrayBuffer(SharedTable.bytesFor(slots)), slots);

test("a key keeps its value, and two owners of one key have one each", () => {
  const shared = table();
  const slot = shared.claim("a", 1, 0n, false);
  assert.ok(shared.swap(slot, 0n, 7n));
  assert.equal(shared.load(shared.find("a", 1)), 7n);
  assert.equal(shared.find("a", 2), -1);
  assert.notEqual(shared.claim("a", 2, 0n, false), slot);
});

test("two views of the same memory see the same keys and the same secret", () => {
  const memory = new SharedArrayBuffer(SharedTable.bytesFor(64));
  const [one, two] = [new SharedTable(memory, 64), new SharedTable(memory, 64)];
  one.swap(one.claim("k", 0, 0n, false), 0n, 5n);
  assert.equal(two.load(two.find("k", 0)), 5n);
  assert.deepEqual(one.secret, two.secret);
  assert.notDeepEqual(one.secret, table().secret);
});

test("a full table gives up the slot with the least value, or none if that is not allowed", () => {
  const shared = table(8);
  for (let i = 0; i < 8; i++) {
    const slot = shared.claim(`k${i}`, 0, 0n, false);
    assert.ok(slot >= 0 && shared.swap(slot, shared.load(slot), BigInt(100 + i)));
  }
  assert.equal(shared.claim("new", 0, 50n, false), -1);
  const slot = shared.claim("new", 0, 50n, true);
  assert.equal(shared.load(slot), 50n, "what the other key had used does not count");
  assert.equal(shared.find("k0", 0), -1);
  assert.ok(shared.find("k1", 0) >= 0);
});

test("an idle key keeps its slot while there are others that nobody has had", () => {
  const shared = table(8);
  const slots = Array.from({ length: 8 }, (_, i) => shared.claim(`k${i}`, 0, 0n, false));
  assert.equal(new Set(slots).size, 8);
  for (const [i, slot] of slots.entries()) assert.equal(shared.find(`k${i}`, 0), slot);
});

test("a slot whose value has run out is taken by the next key", () => {
  const shared = table(8);
  for (let i = 0; i < 8; i++) shared.swap(shared.claim(`k${i}`, 0, 0n, false), 0n, BigInt(10 + i));
  assert.ok(shared.claim("new", 0, 10n, false) >= 0);
  assert.equal(shared.claim("newer", 0, 10n, false) >= 0, true);
});

test("four threads that count one key together lose nothing", async () => {
  const memory = new SharedArrayBuffer(SharedTable.bytesFor(1024));
  const source = `
    import { workerData } from "node:worker_threads";
    const { SharedTable } = await import(workerData.module);
    const table = new SharedTable(workerData.memory, 1024);
    for (let i = 0; i < 5000; i++) {
      const slot = table.claim("key" + (i % 5), 0, 0n, false);
      for (;;) { const value = table.load(slot); if (table.swap(slot, value, value + 1n)) break; }
    }`;
  const module = new URL("../../src/lib/shared-table.ts", import.meta.url).href;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  await Promise.all(
    Array.from({ length: 4 }, () => {
      const worker = new Worker(url, { workerData: { memory, module } });
      return new Promise((resolve, reject) => worker.on("exit", resolve).on("error", reject));
    }),
  );
  const shared = new SharedTable(memory, 1024);
  for (let i = 0; i < 5; i++) assert.equal(shared.load(shared.find(`key${i}`, 0)), 4000n);
});

test("four threads that bring the same new key at the same moment get one slot for it", async () => {
  const rounds = 2000;
  const tableBytes = SharedTable.bytesFor(1024);
  const memory = new SharedArrayBuffer(tableBytes);
  const gate = new SharedArrayBuffer(4 * rounds);
  const source = `
    import { parentPort, workerData } from "node:worker_threads";
    const { SharedTable } = await import(workerData.module);
    const table = new SharedTable(workerData.memory, 1024);
    const gate = new Int32Array(workerData.gate);
    const slots = [];
    for (let i = 0; i < gate.length; i++) {
      const arrived = Atomics.add(gate, i, 1) + 1;
      if (arrived === 4) Atomics.notify(gate, i);
      else for (let n = arrived; n < 4; n = Atomics.load(gate, i)) Atomics.wait(gate, i, n, 5);
      const slot = table.claim("key" + i, 0, 0n, true);
      for (;;) { const value = table.load(slot); if (table.swap(slot, value, value + 1n)) break; }
      slots.push(slot);
    }
    parentPort.postMessage(slots);`;
  const module = new URL("../../src/lib/shared-table.ts", import.meta.url).href;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const slots = await Promise.all(
    Array.from({ length: 4 }, () => {
      const worker = new Worker(url, { workerData: { memory, gate, module } });
      return new Promise<number[]>((resolve, reject) => worker.on("message", resolve).on("error", reject));
    }),
  );
  const shared = slots[0]!.filter((slot, i) => slots.every((of) => of[i] === slot));
  assert.equal(shared.length, rounds);
});

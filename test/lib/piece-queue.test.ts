import assert from "node:assert/strict";
import { test } from "node:test";
import { PieceQueue } from "../../src/lib/piece-queue.ts";

test("pieces of all sizes come out as they went in, in few buffers", () => {
  const queue = new PieceQueue();
  const sizes = [1, 1, 5000, 0, 300, 4095, 4096, 20_000, 1, ...Array<number>(60_000).fill(1)];
  const all = Buffer.concat(
    sizes.map((size, i) => {
      const piece = Buffer.alloc(size, i);
      queue.push(piece);
      return piece;
    }),
  );
  assert.equal(queue.bytes, all.length);
  const out: Buffer[] = [];
  for (let piece = queue.shift(); piece !== undefined; piece = queue.shift()) out.push(piece);
  assert.deepEqual(Buffer.concat(out), all);
  assert.equal(queue.bytes, 0);
  assert.ok(out.length < 15, `${out.length} buffers`);
});

test("what is taken out while more comes in stays in order", () => {
  const queue = new PieceQueue();
  let pushed = "";
  let shifted = "";
  for (let i = 0; i < 1000; i++) {
    queue.push(Buffer.from(`${i},`));
    pushed += `${i},`;
    if (i % 7 === 0) shifted += queue.shift()?.toString() ?? "";
  }
  for (let piece = queue.shift(); piece !== undefined; piece = queue.shift()) shifted += piece.toString();
  assert.equal(shifted, pushed);
});

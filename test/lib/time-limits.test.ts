import assert from "node:assert/strict";
import { test } from "node:test";
import { type Timed, TimeLimits } from "../../src/lib/time-limits.ts";

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

class Item implements Timed {
  limitAtMs: number;
  limitIndex = -1;
  isOver = false;

  constructor(limits: TimeLimits, ms: number) {
    this.limitAtMs = limits.nowMs + ms;
    limits.add(this);
  }

  timedOut(): void {
    this.isOver = true;
  }
}

test("a limit is over after its time, and not before", async () => {
  const limits = new TimeLimits(5);
  const soon = new Item(limits, 20);
  const late = new Item(limits, 60_000);
  while (!soon.isOver) await wait(5);
  assert.equal(late.isOver, false);
  limits.remove(soon);
  limits.remove(late);
  assert.equal(limits.size, 0);
});

test("the first limit after a long rest is counted from now", async (t) => {
  const limits = new TimeLimits(5);
  limits.remove(new Item(limits, 10));
  const now = performance.now.bind(performance);
  t.mock.method(performance, "now", () => now() + 60_000);
  const item = new Item(limits, 30_000);
  await wait(30);
  assert.equal(item.isOver, false);
  limits.remove(item);
});

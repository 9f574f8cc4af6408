import assert from "node:assert/strict";
import { test } from "node:test";
import { retryDelayMs } from "../../src/gateway/retry.ts";
import type { RetryPolicy } from "../../src/model/middleware.ts";

const policy = (attemptsMax: number, initialIntervalMs: number) =>
  ({ attemptsMax, initialIntervalMs }) as RetryPolicy;

/** The least and the most of many waits before the next try: spread by half to either side of the middle. */
function waits(attemptsMax: number, attempts: number): readonly [number, number] {
  const all = Array.from({ length: 4000 }, () => retryDelayMs(policy(attemptsMax, 1000), attempts));
  return [Math.min(...all), Math.max(...all)];
}

test("waits between tries grow by a factor that makes the one after the last allowed twice the first", () => {
  // Of five tries: 2 ** (1 / 4) from one wait to the next.
  for (const [attempts, middle] of [
    [1, 1000],
    [2, 1189],
    [3, 1414],
    [4, 1682],
  ] as const) {
    const [least, most] = waits(5, attempts);
    assert.ok(least >= middle * 0.499 && least < middle * 0.55, `${attempts}: ${least}`);
    assert.ok(most <= middle * 1.501 && most > middle * 1.45, `${attempts}: ${most}`);
  }
});

test("with two tries the only wait is the first", () => {
  const [least, most] = waits(2, 1);
  assert.ok(least >= 499 && most <= 1501);
});

test("an interval of 0 does not wait", () => {
  assert.equal(retryDelayMs(policy(5, 0), 4), 0);
});

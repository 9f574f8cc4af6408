import { setTimeout as wait } from "node:timers/promises";

/** Time, so that tests can make a year pass in a millisecond. */
export interface Clock {
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number;
  /** Monotonic, milliseconds: does not jump when somebody sets the clock. */
  tickMs(): number;
  /** Rejects when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

// setTimeout overflows to 1 ms above 2^31 ms.
const SLEEP_MAX_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  tickMs: () => performance.now(),
  sleep: (ms, signal) => wait(Math.min(Math.max(ms, 0), SLEEP_MAX_MS), undefined, { signal }),
};

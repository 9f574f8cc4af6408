// `performance.now()` starts at 0 in every thread; the system's monotonic clock does not.
const OFFSET_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Monotonic clock in milliseconds, the same in all threads of the process. */
export function tickMs(): number {
  return performance.now() + OFFSET_MS;
}

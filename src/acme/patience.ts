import type { AcmeProblem } from "./problem.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
const STEPS_MS = [MINUTE_MS, 10 * MINUTE_MS, 100 * MINUTE_MS, DAY_MS];
const JITTER = 0.2;

/** Failures in a row after which the CA's staging directory must say yes first. */
export const STAGING_AFTER = 2;
/** Failures in a row after which the next CA of the list is asked. */
const NEXT_CA_AFTER = 5;

/** Milliseconds until a name is tried again after its `count`th failure in a row. */
export function waitAfter(
  problem: AcmeProblem,
  count: number,
  hasValidCertificate: boolean,
  random: () => number,
): number {
  if (problem.retryAfterMs !== undefined) return problem.retryAfterMs * (1 + JITTER * random());
  const step = problem.kind === "permanent" ? DAY_MS : STEPS_MS[Math.min(count, STEPS_MS.length) - 1]!;
  const ms = step * (1 + JITTER * (2 * random() - 1));
  // Nobody waits for a renewal: an hour between two tries keeps a wrong clock from becoming a storm.
  return hasValidCertificate ? Math.max(ms, HOUR_MS) : ms;
}

/** Which CA of the list is asked after so many failures in a row. */
export const caAfter = (failures: number, cas: number) => Math.floor(failures / NEXT_CA_AFTER) % cas;

/** The challenge types, beginning with another one after each failure. */
export function rotate(types: readonly string[], failures: number): readonly string[] {
  const first = types.length === 0 ? 0 : failures % types.length;
  return [...types.slice(first), ...types.slice(0, first)];
}

const LEAST_MS = 1000;
const MOST_MS = 24 * 3_600_000;

/**
 * `Retry-After` in milliseconds from now, between one second and one day; undefined when it is absent or junk.
 * A CA's mistake (a year, the past) must neither park a name for ever nor make us ask in a loop.
 */
export function readRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^-?\d{1,18}$/.test(text)) return clamp(Number(text) * 1000);
  // Date.parse takes nearly anything; HTTP dates always begin with a day's name.
  if (!/^(?:mon|tue|wed|thu|fri|sat|sun)/i.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : clamp(at - nowMs);
}

const clamp = (ms: number) => Math.min(Math.max(ms, LEAST_MS), MOST_MS);

export function formatMs(ms: number): string {
  if (ms < 0) return "";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return `${Math.round(ms / 60_000)} min`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

export function formatBytes(bytes: number): string {
  let left = bytes;
  let unit = 0;
  while (left >= 1000 && unit < UNITS.length - 1) {
    left /= 1000;
    unit++;
  }
  return `${left >= 100 || unit === 0 ? Math.round(left) : left.toFixed(1)} ${UNITS[unit]}`;
}

export function formatNumber(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toFixed(value >= 100_000 ? 0 : 1)} k`;
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
}

const DAY_MS = 24 * 3_600_000;

/** `in 3 days`, `2 hours ago`. */
export function fromNow(ms: number, nowMs = Date.now()): string {
  const size = Math.abs(ms - nowMs);
  if (size < 60_000) return ms >= nowMs ? "in less than a minute" : "just now";
  const text =
    size < 3_600_000
      ? count(Math.round(size / 60_000), "minute")
      : size < 2 * DAY_MS
        ? count(Math.round(size / 3_600_000), "hour")
        : count(Math.round(size / DAY_MS), "day");
  return ms >= nowMs ? `in ${text}` : `${text} ago`;
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : noun.endsWith("x") ? "es" : "s"}`;
}

export const formatDate = (text: string | number) =>
  new Date(text).toLocaleDateString(undefined, { dateStyle: "medium" });
export const formatTime = (ms: number) => new Date(ms).toLocaleTimeString(undefined, { hour12: false });

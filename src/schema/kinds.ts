import { isIP } from "node:net";
import { Unreadable } from "./reader.ts";
import { scalar } from "./scalar.ts";

export const text = scalar("text", (value) => value, { json: { type: ["string", "number", "boolean"] } });

/** Go's ParseBool: what Traefik's labels and flags accept. */
export const bool = scalar(
  "true or false",
  (value) => {
    if (/^(?:1|t|T|TRUE|true|True)$/.test(value)) return true;
    if (/^(?:0|f|F|FALSE|false|False)$/.test(value)) return false;
    throw new Unreadable("expected true or false");
  },
  { json: { type: "boolean" }, choices: ["true", "false"] },
);

export const int = wholeNumber("whole number", -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
export const count = wholeNumber("number from 0", 0, Number.MAX_SAFE_INTEGER);
export const percent = wholeNumber("percentage from 0 to 100", 0, 100);
export const port = wholeNumber("port number", 1, 65535);
export const statusCode = wholeNumber("HTTP status from 100 to 599", 100, 599);

function wholeNumber(name: string, least: number, most: number) {
  return scalar(
    name,
    (value) => {
      const number = /^[+-]?\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
      if (!Number.isSafeInteger(number)) throw new Unreadable("expected a whole number such as 50");
      if (number < least || number > most) throw new Unreadable(`expected a number from ${least} to ${most}`);
      return number;
    },
    { json: { type: "integer", minimum: least, maximum: most } },
  );
}

const INT64_MAX = 2n ** 63n - 1n;

/** 64 bits, kept exact: Traefik's priorities use the whole range. */
export const int64 = scalar(
  "whole number",
  (value) => {
    if (!/^[+-]?\d{1,19}$/.test(value)) throw new Unreadable("expected a whole number such as 50");
    const number = BigInt(value);
    if (number > INT64_MAX || number < -INT64_MAX - 1n)
      throw new Unreadable("expected a number of at most 64 bits");
    return number;
  },
  { json: { type: "integer" }, show: (value) => Number(value) },
);

export const float = scalar(
  "number",
  (value) => {
    const number =
      value.length < 40 && /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(value) ? Number(value) : NaN;
    if (!Number.isFinite(number)) throw new Unreadable("expected a number such as 0.5");
    return number;
  },
  { json: { type: "number" } },
);

const MS_PER: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds. Written as Go writes them (`300ms`, `1h30m`, `1.5s`), or as whole seconds without a unit. */
export const duration = scalar("duration", readDuration, {
  json: { type: ["string", "integer"] },
  show: formatDuration,
});

export function readDuration(value: string): number {
  const total = /^[+-]?\d{1,12}$/.test(value) ? Number(value) * 1000 : sumOfUnits(value);
  if (total === undefined) throw new Unreadable("expected a duration such as 10s, 1m30s or 500ms");
  if (Math.abs(total) > LONGEST_MS) throw new Unreadable("expected a duration of at most 2500000h");
  return total;
}

// What Go's 64 bits of nanoseconds hold.
const LONGEST_MS = 9_223_372_036_854;

function sumOfUnits(value: string): number | undefined {
  // The length also bounds the pattern's backtracking.
  if (value.length > 60) return undefined;
  const parts = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/.exec(value);
  if (parts === null) return undefined;
  let total = 0;
  for (const [, amount, unit] of parts[2]!.matchAll(/([\d.]+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    total += Number(amount) * MS_PER[unit!]!;
  }
  return parts[1] === "-" ? -total : total;
}

/** As Go prints a duration: `1h0m0s`, `1m40s`, `100ms`, `0s`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0s";
  const sign = ms < 0 ? "-" : "";
  const size = Math.abs(ms);
  if (size < 1e-3) return `${sign}${trim(size * 1e6)}ns`;
  if (size < 1) return `${sign}${trim(size * 1e3)}µs`;
  if (size < 1000) return `${sign}${trim(size)}ms`;
  const hours = Math.floor(size / 3_600_000);
  const minutes = Math.floor((size % 3_600_000) / 60_000);
  const seconds = `${trim((size % 60_000) / 1000)}s`;
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`;
}

const trim = (value: number) => String(Number(value.toFixed(9)));

const BYTES_PER: Record<string, number> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
};

/** Bytes. A bare number, or one with a unit: `64KiB`, `10MB`, `1g`. Negative means no limit where the option says so. */
export const size = scalar(
  "size in bytes",
  (value) => {
    const [, amount, unit] = /^([+-]?\d+)\s?([kmg]?i?b?)$/i.exec(value) ?? [];
    const factor = BYTES_PER[unit?.toLowerCase() ?? "?"];
    const bytes = amount === undefined || factor === undefined ? NaN : Number(amount) * factor;
    if (!Number.isSafeInteger(bytes)) throw new Unreadable("expected a size such as 1048576 or 1MiB");
    return bytes;
  },
  { json: { type: ["integer", "string"] } },
);

/** One of a few words, in any case; the value has the spelling given here. */
export function choice<const C extends readonly string[]>(...choices: C) {
  const byKey = new Map(choices.map((word) => [word.toLowerCase(), word]));
  return scalar(
    `one of ${choices.filter((word) => word !== "").join(", ")}`,
    (value): C[number] => {
      const word = byKey.get(value.toLowerCase());
      if (word === undefined)
        throw new Unreadable(`expected one of ${choices.filter((word) => word !== "").join(", ")}`);
      return word;
    },
    { json: { type: "string", enum: choices }, choices },
  );
}

/** An address or a CIDR range, as text that `lib/cidr.ts` reads. */
export const cidr = scalar("IP address or CIDR range", (value) => {
  const [address, bits, ...rest] = value.split("/");
  const family = isIP(address ?? "");
  const most = family === 6 ? 128 : 32;
  const bitsOk = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most);
  if (family === 0 || rest.length > 0 || !bitsOk) {
    throw new Unreadable("expected an IP address or a CIDR range such as 10.0.0.0/8");
  }
  return value;
});

export const headerName = scalar("header name", (value) => {
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(value))
    throw new Unreadable("expected a header name such as X-Api-Key");
  return value;
});

export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

/** `500` or `500-599`. */
export const statusRange = scalar<StatusRange>(
  "status or range of statuses",
  (value) => {
    const [, from, to] = /^(\d{3})(?:-(\d{3}))?$/.exec(value) ?? [];
    const range = { from: Number(from), to: Number(to ?? from) };
    if (!(range.from >= 100 && range.from <= range.to && range.to <= 599))
      throw new Unreadable("expected a status such as 503 or a range such as 500-599");
    return range;
  },
  { show: ({ from, to }) => (from === to ? String(from) : `${from}-${to}`) },
);

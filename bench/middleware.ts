/**
 * What middlewares cost a request, in nanoseconds: `node bench/middleware.ts`. Each is measured alone, request and
 * reply, on an exchange with a browser's twelve headers; the cost of making the exchange is measured and taken off.
 */
import type { Exchange } from "../src/model/exchange.ts";
import type { Hooks, Middleware } from "../src/model/middleware.ts";
import type { Options } from "../src/schema/option.ts";
import { fakeHost, make, request } from "../test/middleware/harness.ts";

const ROUNDS = 200_000;
const REPEATS = 5;

/** The most that each may cost. */
const BAR_NS = { headers: 300, limit: 1000 };

const REQUEST_HEADERS = [
  ["User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"],
  ["Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
  ["Accept-Language", "en-GB,en;q=0.5"],
  ["Accept-Encoding", "gzip, deflate, br, zstd"],
  ["Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"],
  ["Upgrade-Insecure-Requests", "1"],
  ["Sec-Fetch-Dest", "document"],
  ["Sec-Fetch-Mode", "navigate"],
  ["Sec-Fetch-Site", "none"],
  ["X-Forwarded-Proto", "https"],
  ["X-Forwarded-Host", "app.example.com"],
  ["X-Real-Ip", "203.0.113.7"],
].flat();
const REPLY_HEADERS = [
  "Content-Type",
  "text/html; charset=utf-8",
  "Date",
  "Sat, 21 Nov 2026 12:00:00 GMT",
  "Server",
  "app",
];

function exchangeNow(): Exchange {
  const exchange = request({
    url: "http://app.example.com/api/users?page=2",
    headers: REQUEST_HEADERS.slice(),
  });
  exchange.status = 200;
  return exchange;
}

/** Nanoseconds for one exchange through the hooks; the best of a few repeats. */
function measure(hooks: Hooks, exchanges: readonly Exchange[]): number {
  let best = Number.POSITIVE_INFINITY;
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const begun = process.hrtime.bigint();
    for (const template of exchanges) {
      // Refreshed and not made anew: a fresh exchange costs more than what is measured.
      template.headers = REQUEST_HEADERS.slice();
      template.replyHeaders = REPLY_HEADERS.slice();
      template.path = "/api/users";
      template.notes = undefined;
      hooks.onRequest?.(template);
      hooks.onResponse?.(template);
      hooks.onDone?.(template);
    }
    best = Math.min(best, Number(process.hrtime.bigint() - begun) / exchanges.length);
  }
  return best;
}

const FOLDER = new URL("../src/middleware/", import.meta.url);
const load = async (file: string): Promise<Middleware<Options>> =>
  (await import(new URL(`${file}.ts`, FOLDER).href)).default;

const CASES: readonly (readonly [file: string, options: Record<string, unknown>, bar: number])[] = [
  ["add-prefix", { prefix: "/v1" }, BAR_NS.headers],
  ["strip-prefix", { prefixes: "/other,/api" }, BAR_NS.headers],
  ["replace-path", { path: "/x" }, BAR_NS.headers],
  ["encoded-characters", {}, BAR_NS.headers],
  ["redirect-scheme", { scheme: "https" }, BAR_NS.headers],
  ["ip-allow-list", { sourceRange: "10.0.0.0/8,203.0.113.0/24" }, BAR_NS.headers],
  [
    "headers",
    { customRequestHeaders: { "X-App": "1" }, customResponseHeaders: { Server: "" } },
    BAR_NS.headers,
  ],
  [
    "headers",
    { frameDeny: "true", contentTypeNosniff: "true", referrerPolicy: "no-referrer", stsSeconds: "100" },
    BAR_NS.headers,
  ],
  ["pass-tls-client-cert", { pem: "true" }, BAR_NS.headers],
  ["rate-limit", { average: "1000000000", burst: "1000000000", responseHeaders: "false" }, BAR_NS.limit],
  ["rate-limit", { average: "1000000000", burst: "1000000000" }, BAR_NS.limit],
  ["in-flight-req", { amount: "10" }, BAR_NS.limit],
  ["circuit-breaker", { expression: "NetworkErrorRatio() > 0.5" }, BAR_NS.limit],
];

const exchanges = Array.from({ length: ROUNDS / 100 }, exchangeNow);
const many = Array.from({ length: 100 }, () => exchanges).flat();
const { tickMs } = await import("../src/lib/tick.ts");
const host = { ...fakeHost(), nowMs: Date.now, tickMs };
const nothing: Hooks = { onRequest: () => undefined, onResponse: () => undefined, onDone: () => {} };
measure(nothing, many);

let missed = 0;
for (const [file, options, bar] of CASES) {
  const hooks = make(await load(file), options, host);
  measure(hooks, many);
  const ns = measure(hooks, many) - measure(nothing, many);
  if (ns > bar) missed++;
  const what = `${file} ${JSON.stringify(options)}`.slice(0, 90);
  console.log(
    `${String(Math.round(ns)).padStart(6)} ns  (at most ${bar})  ${what}${ns > bar ? "  MISSED" : ""}`,
  );
}
process.exitCode = missed === 0 ? 0 : 1;

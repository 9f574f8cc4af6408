/**
 * Does a match cost the same among 10 routers and among 10,000? And how long does a table of 10,000 take to compile?
 *
 *     taskset -c 1 node bench/routing.ts
 */

import type { Exchange } from "../src/model/exchange.ts";
import { type CompiledRouter, compileTable } from "../src/routing/table.ts";
import { exchangeOf, routerOf } from "../test/routing/requests.ts";

interface Shape {
  readonly name: string;
  readonly rule: (i: number) => string;
  readonly request: (i: number) => Exchange;
}

const SHAPES: readonly Shape[] = [
  {
    name: "a host each",
    rule: (i) => `Host(\`app-${i}.example.com\`)`,
    request: (i) => exchangeOf({ host: `app-${i}.example.com`, path: "/api/v1/items/42" }),
  },
  {
    name: "one host, a prefix each",
    rule: (i) => `Host(\`example.com\`) && PathPrefix(\`/service-${i}/\`)`,
    request: (i) => exchangeOf({ host: "example.com", path: `/service-${i}/items/42` }),
  },
  {
    name: "a host each, five prefixes and a method",
    rule: (i) => `Host(\`app-${i}.example.com\`) && (${prefixes()}) && Method(\`GET\`)`,
    request: (i) => exchangeOf({ host: `app-${i}.example.com`, path: "/p3/items" }),
  },
  {
    name: "a wildcard each",
    rule: (i) => `Host(\`*.tenant-${i}.example.com\`)`,
    request: (i) => exchangeOf({ host: `www.tenant-${i}.example.com`, path: "/" }),
  },
  {
    name: "a host each, nothing matches",
    rule: (i) => `Host(\`app-${i}.example.com\`)`,
    request: (i) => exchangeOf({ host: `gone-${i}.example.com`, path: "/" }),
  },
];

function prefixes(): string {
  return Array.from({ length: 5 }, (_, i) => `PathPrefix(\`/p${i}\`)`).join(" || ");
}

const MATCHES = 2_000_000;
const REQUESTS = 1024;

/** Nanoseconds a match, the best of five rounds. */
function measure(routers: readonly CompiledRouter[], requests: readonly Exchange[]): number {
  const table = compileTable(routers);
  let best = Number.POSITIVE_INFINITY;
  let matched = 0;
  for (let round = 0; round < 5; round++) {
    const start = performance.now();
    for (let i = 0; i < MATCHES; i++) {
      if (table.match(requests[i % REQUESTS]!) !== undefined) matched++;
    }
    best = Math.min(best, ((performance.now() - start) * 1e6) / MATCHES);
  }
  if (matched > 0 && matched < 5 * MATCHES) throw new Error("some requests matched and some did not");
  return best;
}

console.log(
  "ns a match".padEnd(44),
  "10".padStart(8),
  "10,000".padStart(8),
  "spread".padStart(8),
  "compile 10,000".padStart(16),
);
for (const { name, rule, request } of SHAPES) {
  const routers = (count: number) =>
    Array.from({ length: count }, (_, i) => routerOf({ name: `r${i}`, rule: rule(i) }));
  // The same requests for both, so that only the number of routers differs; then requests for all of them, which
  // adds what a larger table costs in cache misses.
  const requests = Array.from({ length: REQUESTS }, (_, i) => request(i % 10));
  const few = measure(routers(10), requests);
  const many = measure(routers(10_000), requests);
  const spread = measure(
    routers(10_000),
    Array.from({ length: REQUESTS }, (_, i) => request(i * 9)),
  );
  const all = routers(10_000);
  const start = performance.now();
  compileTable(all);
  const compiled = `${(performance.now() - start).toFixed(0)} ms`;
  console.log(
    name.padEnd(44),
    few.toFixed(0).padStart(8),
    many.toFixed(0).padStart(8),
    spread.toFixed(0).padStart(8),
    compiled.padStart(16),
  );
}

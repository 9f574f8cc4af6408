import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { compileTable } from "../../src/routing/table.ts";
import { parseTarget } from "../../src/wire/target.ts";
import { exchangeOf, type RequestFacts, routerOf } from "./requests.ts";

/** Rules and requests with the winner that Traefik's documentation leads to; how they are written: `corpus/hosts.yaml`. */
interface Case {
  readonly about: string;
  readonly syntax?: "v2";
  readonly routers: Record<string, string | RouterOptions>;
  readonly requests: readonly string[];
}

interface RouterOptions {
  readonly rule: string;
  readonly priority?: bigint;
  readonly precedence?: bigint;
  readonly created?: bigint;
  readonly tls?: boolean;
  readonly entryPoints?: readonly string[];
}

const FOLDER = new URL("corpus/", import.meta.url).pathname;
let pairs = 0;

for (const file of globSync(`${FOLDER}*.yaml`).sort()) {
  const cases = parse(readFileSync(file, "utf8"), { intAsBigInt: true }) as readonly Case[];
  for (const { about, syntax, routers, requests } of cases) {
    pairs += requests.length;
    test(`${basename(file, ".yaml")}: ${about}`, () => {
      const compiled = Object.entries(routers).map(([name, written]) => {
        const options = typeof written === "string" ? { rule: written } : written;
        const { precedence, created, ...rest } = options as RouterOptions;
        return routerOf({
          name,
          ...rest,
          ruleSyntax: syntax ?? "v3",
          precedence: Number(precedence ?? 0),
          createdAtMs: Number(created ?? 0),
        });
      });
      const table = compileTable(compiled);
      for (const line of requests) {
        const { facts, winner } = readRequest(line);
        const found = facts === undefined ? "refused" : (table.match(exchangeOf(facts))?.name ?? "none");
        assert.equal(found, winner, line);
      }
    });
  }
}

test("the corpus has at least 500 pairs of rule and request", () => {
  assert.ok(pairs >= 500, String(pairs));
});

const POLICY = { sanitizePath: true, encodeQuerySemicolons: false, refusedEscapes: new Set<string>() };

/** The request as the wire understands it, so that the corpus holds for bytes as clients send them. */
function readRequest(line: string): { facts: RequestFacts | undefined; winner: string } {
  const [, request, winner] = /^(.*?)\s*->\s*(\S+)$/.exec(line)!;
  const [first, ...details] = request!.split(" | ");
  const [, method, target] = /^(?:([A-Za-z]+) )?(.*)$/.exec(first!)!;
  const slash = target!.indexOf("/");
  const host = slash === -1 ? target! : target!.slice(0, slash);
  const raw = slash === -1 ? "/" : target!.slice(slash);
  const parsed = parseTarget(method ?? "GET", bytes(raw), host === "" ? undefined : bytes(host), POLICY);
  if (parsed.fault !== undefined) return { facts: undefined, winner: winner! };
  const facts: { -readonly [K in keyof RequestFacts]: RequestFacts[K] } & { headers: string[] } = {
    method: method ?? "GET",
    host: parsed.host,
    path: parsed.path,
    headers: [],
  };
  if (parsed.query !== undefined) facts.query = parsed.query;
  for (const detail of details) {
    if (detail === "tls") facts.tls = true;
    else if (detail.startsWith("ip ")) facts.clientIp = detail.slice(3);
    else if (detail.startsWith("on ")) facts.entryPoint = detail.slice(3);
    else {
      const [, name, value] = /^([^:]+):\s*(.*)$/.exec(detail)!;
      facts.headers.push(name!, bytes(value!));
    }
  }
  return { facts, winner: winner! };
}

/** Requests are bytes, one character each. */
function bytes(text: string): string {
  return Buffer.from(text).toString("latin1");
}

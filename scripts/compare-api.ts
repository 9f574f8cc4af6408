/**
 * Holds the API against Traefik's, field by field.
 *
 *   npm run compare-api                                              the recorded answers in test/golden/traefik-api
 *   npm run compare-api -- http://127.0.0.1:8080 http://other:8080   a running Waybill against a running Traefik
 *
 * Whatever Traefik says must be said too, with the same name, type and value; what is said beyond that is ours.
 */
import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { parse } from "yaml";
import { openSite } from "../test/admin/site.ts";

/** A value that differs from machine to machine: that it is there is all. */
const ANY = "<any>";
/** Traefik shows what Waybill hides. */
const MASK = "***";

export interface Recorded {
  readonly path: string;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface RecordedCase {
  readonly name: string;
  readonly flags: readonly string[];
  /** In YAML, for the provider `docker`. */
  readonly configuration: string;
  readonly answers: readonly Recorded[];
}

export const recordedCases: readonly RecordedCase[] = globSync("test/golden/traefik-api/*.yml")
  .sort()
  .map((file) => {
    const { flags = [], configuration = "", answers } = parse(readFileSync(file, "utf8")) as RecordedCase;
    return { name: basename(file, ".yml"), flags, configuration, answers };
  });

/** Every difference of a recorded configuration, in a line each. */
export async function compareCase({ flags, configuration, answers }: RecordedCase): Promise<string[]> {
  await using site = await openSite({
    flags,
    ...(configuration !== "" && { yaml: { docker: configuration } }),
  });
  const differences: string[] = [];
  for (const { path, status = 200, headers = {}, body } of answers) {
    const found = await site.ask(path);
    if (found.status !== status)
      differences.push(`${path}: expected status ${status}, found ${found.status}`);
    differences.push(...compareFields(headers, found.headers, `${path} headers`));
    if (body === undefined) continue;
    const answer: unknown = JSON.parse(found.body);
    // Who asks for some in an order wants no others.
    if (path.includes("?") && Array.isArray(body) && Array.isArray(answer) && body[0]?.name !== undefined)
      differences.push(...compareFields(body.map(nameOf), answer.map(nameOf), `${path} names`));
    differences.push(...compareFields(body, answer, path));
  }
  return differences;
}

export function compareFields(expected: unknown, found: unknown, at: string): string[] {
  if (expected === ANY) return found === undefined || found === "" ? [`${at}: expected a value`] : [];
  if (found === MASK && typeof expected === "string") return [];
  if (Array.isArray(expected)) return compareLists(expected, found, at);
  if (typeof expected === "object" && expected !== null) {
    if (typeof found !== "object" || found === null || Array.isArray(found))
      return [differs(expected, found, at)];
    return Object.entries(expected).flatMap(([name, value]) =>
      compareFields(value, (found as Record<string, unknown>)[name], `${at} ${name}`),
    );
  }
  return expected === found ? [] : [differs(expected, found, at)];
}

/** Objects with names are compared by them, for each proxy has some of its own; other lists by their order. */
function compareLists(expected: readonly unknown[], found: unknown, at: string): string[] {
  if (!Array.isArray(found)) return [differs(expected, found, at)];
  const isNamed = expected.length > 0 && expected.every((item) => nameOf(item) !== undefined);
  if (!isNamed && expected.length !== found.length) return [differs(expected, found, at)];
  return expected.flatMap((item, i) => {
    const other = isNamed ? found.find((one) => nameOf(one) === nameOf(item)) : found[i];
    return compareFields(item, other, `${at} ${nameOf(item) ?? i}`);
  });
}

const nameOf = (item: unknown) => (item as { name?: unknown } | null | undefined)?.name;

const differs = (expected: unknown, found: unknown, at: string) =>
  `${at}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`;

// --- Two that run.

const COLLECTIONS = ["http/routers", "http/services", "http/middlewares", "tcp/routers", "udp/routers"];

async function compareRunning(ours: string, theirs: string): Promise<string[]> {
  const differences: string[] = [];
  for (const path of ["overview", "entrypoints", ...COLLECTIONS]) {
    const [found, expected] = await Promise.all([get(ours, path), get(theirs, path)]);
    differences.push(...compareFields(withoutInternals(expected), found, `/api/${path}`));
  }
  return differences;
}

async function get(base: string, path: string): Promise<unknown> {
  const token = process.env["WAYBILL_API_TOKEN"];
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const reply = await fetch(`${base.replace(/\/+$/, "")}/api/${path}`, { headers });
  return reply.json();
}

/** How each proxy makes its own pages is its own affair. */
function withoutInternals(body: unknown): unknown {
  if (!Array.isArray(body)) return body;
  return body.filter((item) => !String(nameOf(item)).endsWith("@internal"));
}

if (import.meta.main) {
  const [ours, theirs] = process.argv.slice(2);
  const differences =
    ours !== undefined && theirs !== undefined
      ? await compareRunning(ours, theirs)
      : (await Promise.all(recordedCases.map(compareCase))).flat();
  for (const difference of differences) console.log(difference);
  console.log(differences.length === 0 ? "No field differs." : `${differences.length} fields differ.`);
  process.exitCode = differences.length === 0 ? 0 : 1;
}

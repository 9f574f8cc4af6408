import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import { makePages } from "../../src/cli/pages.ts";
import { describeProblem } from "../../src/schema/problem.ts";
import { type Product, startProduct } from "../e2e/harness.ts";
import { type Ask, ask, movedAside, readSetup } from "./setup.ts";

/**
 * Compose files as people have them for Traefik: flags, variables, files and labels go through the real start, with an
 * engine of our own. What each expects stands below `x-expect` in it.
 */
const files = globSync("test/migration/*.yml").sort();

for (const file of files) {
  test(`a compose file for Traefik works here: ${basename(file, ".yml").replaceAll("-", " ")}`, async () => {
    using setup = readSetup(file);
    const { expected, containers, hostname } = setup;
    const { said, words, ports, aside } = movedAside(setup);
    assert.deepEqual(words, []);
    assertSaid(
      said.map(([severity, text]) => `${severity} ${text}`),
      (expected.warnings ?? []).map((text) => `^warning .*${text}`),
    );
    await using product = await startProduct({
      written: setup,
      flags: aside,
      containers,
      threads: 1,
      pages: makePages,
      env: { HOSTNAME: hostname, ...Object.fromEntries(setup.variables) },
    });
    assertSaid(labelProblems(product), expected.problems ?? []);
    for (const one of expected.asks) await check(one, product, ports);
  });
}

/** Every line as expected, and nothing else. */
function assertSaid(lines: readonly string[], patterns: readonly string[]): void {
  const left = patterns.filter((pattern) => !lines.some((line) => new RegExp(pattern, "s").test(line)));
  const unexpected = lines.filter((line) => !patterns.some((pattern) => new RegExp(pattern, "s").test(line)));
  assert.deepEqual({ unexpected, left }, { unexpected: [], left: [] });
}

const labelProblems = ({ runtime }: Product) => runtime.report().problems.map(describeProblem);

async function check(one: Ask, product: Product, ports: ReadonlyMap<number, string>): Promise<void> {
  const { protocol, port } = new URL(one.url);
  const written = port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);
  const { status, headers, body } = await ask(one, product.ports.get(ports.get(written)!)!);
  const about = `${one.method ?? "GET"} ${one.url}: ${status} ${headers.location ?? ""} ${body.slice(0, 300)}`;
  if (one.refused) return assert.ok(status >= 400, about);
  assert.equal(status, one.status ?? 200, about);
  if (one.from !== undefined)
    assert.match(body, new RegExp(`^Name: (?:.*-)?${one.from}(?:-1)?$`, "m"), about);
  if (one.sends !== undefined) assert.match(body, new RegExp(`^${one.sends}$`, "im"), about);
  if (one.target !== undefined) assert.ok(body.includes(`GET ${one.target} HTTP/1.1`), about);
  // The ports are not those that are written.
  const location = String(headers.location).replace(/:\d+(?=\/)/, "");
  if (one.location !== undefined) assert.equal(location, one.location, about);
  if (one.body !== undefined) assert.ok(body.includes(one.body), about);
  for (const [name, value] of Object.entries(one.header ?? {})) {
    assert.match(
      String(headers[name]),
      new RegExp(`^${value.replace(/[()"]/g, "\\$&")}$`),
      `${name} of ${about}`,
    );
  }
}

import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { FAULTS } from "../../src/model/fault.ts";
import { load } from "./harness.ts";

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly image?: string;
        readonly command?: string | readonly string[];
        readonly environment?: Record<string, string> | readonly string[];
      }
    >
  >;
}

const composeFiles = ["docker-compose.yml", ...globSync("examples/*/docker-compose*.yml").sort()];

const wordsOf = (command: string | readonly string[] = []) =>
  typeof command === "string" ? command.split(/\s+/) : command;

for (const file of composeFiles) {
  test(`the settings in ${file} are right`, () => {
    const { services } = parse(readFileSync(file, "utf8")) as Compose;
    const ours = Object.values(services).filter(({ image }) =>
      /^(?:waybill|traefik)(?::|$)/.test(image ?? ""),
    );
    assert.ok(ours.length > 0);
    for (const { command, environment } of ours) {
      const pairs = Array.isArray(environment)
        ? environment.map((line: string) => line.split(/=(.*)/s, 2) as [string, string])
        : Object.entries(environment ?? {});
      const { said, words } = load({ argv: wordsOf(command), env: Object.fromEntries(pairs) });
      assert.deepEqual([said, words], [[], []]);
    }
  });
}

for (const file of globSync("examples/*/{waybill,traefik}.{yml,yaml,toml}").sort()) {
  test(`the settings file ${file} is right`, () => {
    const path = `/etc/waybill/${basename(file)}`;
    const { said } = load({ argv: [`--configFile=${path}`], files: { [path]: readFileSync(file, "utf8") } });
    assert.deepEqual(said, []);
  });
}

test("the page of faults has every code of the catalogue and no other", () => {
  const page = readFileSync("docs/faults.md", "utf8");
  const listed = [...page.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, code]) => code);
  assert.deepEqual(listed.sort(), Object.keys(FAULTS).sort());
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { settingsOptions } from "../../src/model/settings.ts";
import { listOptions } from "../../src/schema/describe.ts";
import { load } from "./harness.ts";

/** The same settings as flags, variables and files: what comes of them must be the same. */

/** A value of every option that takes one text, by what the option says of itself. */
function sampleOf(kind: string): readonly string[] | undefined {
  if (kind === "true or false") return ["true", "false"];
  if (kind === "duration") return ["7s", "1m30s", "250ms"];
  if (kind === "number from 0" || kind === "whole number") return ["1", "77"];
  if (kind === "number") return ["0.25", "1"];
  if (kind === "size in bytes") return ["4096", "64KiB"];
  if (kind.startsWith("HTTP status")) return ["204", "503"];
  if (kind.startsWith("one of ")) return kind.slice("one of ".length).split(", ");
  if (kind === "text") return ["plain", "with.dot", "a/b:c"];
  if (kind === "list of text") return ["one", "one,two"];
  if (kind.includes("CIDR")) return ["10.0.0.0/8", "10.0.0.1,192.0.2.0/24"];
  return undefined;
}

const rows = listOptions(settingsOptions)
  .filter(({ about, kind }) => about.refused === undefined && kind !== "switch")
  .flatMap(({ path, kind }) => {
    const samples = sampleOf(kind);
    return samples === undefined
      ? []
      : [{ path: path.replaceAll("<name>", "web").replaceAll("[n]", "[0]"), samples }];
  });

const written = fc
  .subarray(rows, { minLength: 1, maxLength: 12 })
  .chain((chosen) =>
    fc.tuple(
      ...chosen.map(({ path, samples }) =>
        fc.record({ path: fc.constant(path), value: fc.constantFrom(...samples), upper: fc.boolean() }),
      ),
    ),
  );

type Written = readonly { readonly path: string; readonly value: string; readonly upper: boolean }[];

const flags = (all: Written) =>
  all.map(({ path, value, upper }) => `--${upper ? spelledOddly(path) : path}=${value}`);

/** Every name but the user's own in capitals. */
const spelledOddly = (path: string) =>
  path
    .split(".")
    .map((name) => (name === "web" ? name : name.toUpperCase()))
    .join(".");

const variables = (prefix: string, all: Written) =>
  Object.fromEntries(
    all.map(({ path, value }) => [
      `${prefix}_${path.replaceAll("[0]", "_0").replaceAll(".", "_").toUpperCase()}`,
      value,
    ]),
  );

/** The same as nested data; JSON is YAML. */
function tree(all: Written): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const { path, value } of all) {
    const names = path.split(".");
    let at = root;
    names.forEach((name, i) => {
      const isList = name.endsWith("[0]");
      const key = isList ? name.slice(0, -3) : name;
      if (i === names.length - 1) at[key] = value;
      else {
        at[key] = at[key] ?? (isList ? [{}] : {});
        at = (isList ? (at[key] as unknown[])[0] : at[key]) as Record<string, unknown>;
      }
    });
  }
  return root;
}

const shown = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) => {
    if (inner instanceof Map) return Object.fromEntries(inner);
    return typeof inner === "bigint" ? String(inner) : inner;
  });

test("flags, WAYBILL_ and TRAEFIK_ variables, YAML and TOML files of the same options make the same settings", () => {
  assert.ok(rows.length > 100);
  fc.assert(
    fc.property(written, (all) => {
      const expected = load({ argv: flags(all) });
      const text = JSON.stringify(tree(all));
      const others = [
        load({ env: variables("WAYBILL", all) }),
        load({ env: variables("TRAEFIK", all) }),
        load({ argv: ["--configFile=/s.yml"], files: { "/s.yml": text } }),
        load({ argv: ["--CONFIGFILE", "/s.toml"], files: { "/s.toml": tomlOf(tree(all)) } }),
      ];
      for (const other of others) {
        assert.equal(shown(other.settings), shown(expected.settings));
        assert.equal(other.problems.length, expected.problems.length);
      }
    }),
    { numRuns: 150 },
  );
});

/** Inline tables all the way down. */
function tomlOf(root: Record<string, unknown>): string {
  const value = (one: unknown): string => {
    if (Array.isArray(one)) return `[${one.map(value).join(", ")}]`;
    if (typeof one === "object" && one !== null) {
      return `{ ${Object.entries(one)
        .map(([name, inner]) => `${name} = ${value(inner)}`)
        .join(", ")} }`;
    }
    return JSON.stringify(one);
  };
  return Object.entries(root)
    .map(([name, inner]) => `${name} = ${value(inner)}\n`)
    .join("");
}

test("names of one's own keep their letters in flags and files, and are lower case from variables", () => {
  const names = (given: Parameters<typeof load>[0]) => [...load(given).settings.entryPoints.keys()];
  assert.deepEqual(names({ argv: ["--entrypoints.Web-Secure.ADDRESS=:443"] }), ["Web-Secure"]);
  assert.deepEqual(names({ env: { TRAEFIK_ENTRYPOINTS_WEB_ADDRESS: ":80" } }), ["web"]);
  const both = {
    argv: ["--entryPoints.Web.address=:80"],
    env: { WAYBILL_ENTRYPOINTS_WEB_ASDEFAULT: "true" },
  };
  assert.deepEqual(names(both), ["Web"]);
  assert.equal(load(both).settings.entryPoints.get("Web")?.asDefault, true);
});

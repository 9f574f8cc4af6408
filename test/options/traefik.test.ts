import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { complaintsOf, gather } from "../control/gather.ts";
import { everyOption } from "./declared.ts";

/** Traefik 3.7's options outside Kubernetes and the like, one a line: `*` for a name of the user's own. */
const listed = (name: string) =>
  readFileSync(join(import.meta.dirname, name), "utf8")
    .trim()
    .split("\n");

const options = await everyOption();
const known = new Set<string>();
/** Groups that are refused whole are not taken apart. */
const refused = new Set<string>();
for (const { path, about } of options) {
  const names = path.toLowerCase().replaceAll("<name>", "*").replaceAll("[n]", "[0]").split(".");
  for (let length = 1; length <= names.length; length++) {
    const name = names.slice(0, length).join(".");
    known.add(name).add(name.replace(/\[0\]$/, ""));
  }
  if (about.refused !== undefined || about.obsolete !== undefined) refused.add(names.join("."));
}

for (const [file, least] of [
  ["traefik-settings.txt", 340],
  ["traefik-dynamic.txt", 200],
] as const) {
  test(`every option of Traefik in ${file} is declared here, to work or to be refused by name`, () => {
    const all = listed(file);
    assert.ok(all.length >= least, String(all.length));
    assert.deepEqual(
      all.filter((option) => !isDeclared(option.toLowerCase())),
      [],
    );
  });
}

function isDeclared(option: string): boolean {
  if (known.has(option) || known.has(option.replaceAll(/\.\*$/g, ""))) return true;
  const names = option.split(".");
  return names.some((_, i) => {
    const path = names.slice(0, i + 1).join(".");
    return refused.has(path) || refused.has(path.replaceAll(/\.\*$/g, ""));
  });
}

test("the page of compatibility has a row for every option of Traefik, or for the group that it is refused with", () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/reference/compatibility.md"), "utf8");
  const rows = new Map(
    [...page.matchAll(/^\| `([^`]+)` \| (.+) \|$/gm)].map(([, path, state]) => [
      path!.toLowerCase().replaceAll("<name>", "*").replaceAll("[n]", "[0]"),
      state!,
    ]),
  );
  for (const state of rows.values())
    assert.match(
      state,
      /^(?:works(?:, with a difference: \[.+)?|refused: .+|no effect, with a warning: .+)$/,
    );
  const files = ["traefik-settings.txt", "traefik-dynamic.txt", "traefik-streams.txt"];
  const missing = files.flatMap(listed).filter((option) => {
    const path = option.toLowerCase();
    const names = path.split(".");
    const above = names.map((_, i) => names.slice(0, i + 1).join("."));
    const hasBelow = [...rows.keys()].some((row) => row.startsWith(`${path}.`) || row.startsWith(`${path}[`));
    return (
      !hasBelow &&
      !above.some((one) => rows.has(one) || rows.has(`${one}.*`) || rows.has(one.replace(/\.\*$/, "")))
    );
  });
  assert.deepEqual(missing, []);
});

test("every option of TCP and UDP is refused in files and labels, and takes nothing of HTTP with it", () => {
  for (const option of listed("traefik-streams.txt")) {
    const [root, kind, , ...names] = option.split(".");
    const below = names.reduceRight<unknown>((inner, name) => ({ [name.replace("[0]", "")]: inner }), "1");
    const file = JSON.stringify({
      [root!]: { [kind!]: { x: below } },
      http: { routers: { app: { rule: "Path(`/`)", service: "noop@internal" } } },
    });
    const made = gather({ file });
    assert.match(complaintsOf(made).join(), /TCP and UDP .* are not part of Waybill/, option);
    assert.equal(made.report.routers.get("app@file")?.status, "enabled");
  }
});

test("a plug-in's middleware is refused with its reason", () => {
  const made = gather({ file: "http: { middlewares: { own: { plugin: { demo: { x: 1 } } } } }" });
  assert.match(complaintsOf(made).join(), /plug-ins are Go programs/);
});

import type { Kind, Option, Options } from "../../src/schema/option.ts";
import { declarations } from "./declared.ts";

/**
 * Makes one option do nothing, for the tests that are run after it: `IGNORED=api.basePath node --import
 * ./test/options/ignore-option.ts test/admin/pages.test.ts`. Whatever is written there reads as if nothing were.
 */
const path = process.env["IGNORED"] ?? "";
const found = path === "" ? undefined : findOption(path, await declarations());
if (path !== "" && found === undefined) throw new Error(`there is no option ${path}`);
if (found !== undefined) {
  const { options, name } = found;
  const { about, kind } = options[name]!;
  (options as Record<string, Option<unknown>>)[name] = { about, kind: ignoring(kind) };
}

function findOption(path: string, all: ReadonlyMap<string, Options>) {
  const prefixes = [...all.keys()].filter((prefix) => prefix === "" || path.startsWith(`${prefix}.`));
  const prefix = prefixes.sort((a, b) => b.length - a.length)[0]!;
  const names = path
    .slice(prefix === "" ? 0 : prefix.length + 1)
    .replaceAll("[n]", "")
    .split(".")
    .filter((name) => name !== "<name>");
  const last = names.pop()!;
  let options: Options | undefined = all.get(prefix);
  for (const name of names) {
    let kind: Kind<unknown> | undefined = options?.[name]?.kind;
    while (kind?.of !== undefined) kind = kind.of;
    options = kind?.options;
  }
  return options?.[last] === undefined ? undefined : { options, name: last };
}

function ignoring(kind: Kind<unknown>): Kind<unknown> {
  return {
    ...kind,
    read: (node, reader, about) =>
      node.place.source === "default" ? kind.read(node, reader, about) : undefined,
  };
}

import { nearest } from "../lib/nearest.ts";
import { Node, type Place } from "../schema/node.ts";
import type { Options } from "../schema/option.ts";
import { type Problem, quote } from "../schema/problem.ts";
import { kindAt } from "./resolve.ts";

export interface Variables {
  /** One tree a prefix, the one that counts less first. */
  readonly trees: readonly Node[];
  readonly configFile: string | undefined;
}

/** Reads `TRAEFIK_*` and `WAYBILL_*`: the option's path in capitals with `_` for every dot. */
export function readEnvironment(
  env: ReadonlyMap<string, string>,
  options: Options,
  report: (problem: Problem) => void,
): Variables {
  const trees = ["TRAEFIK_", "WAYBILL_"].map((prefix) => readPrefix(env, prefix, options, report));
  return { trees, configFile: env.get("WAYBILL_CONFIGFILE") || env.get("TRAEFIK_CONFIGFILE") || undefined };
}

function readPrefix(
  env: ReadonlyMap<string, string>,
  prefix: string,
  options: Options,
  report: (problem: Problem) => void,
): Node {
  const tree = new Node("", { source: "environment", key: "" });
  const roots = Object.keys(options);
  const known = new Set(roots.map((name) => name.toLowerCase()));
  // Sorted, because the order of the environment means nothing; with 2 before 10, because that of lists does.
  for (const variable of [...env.keys()].sort(byNumber)) {
    const value = env.get(variable)!;
    // Compose files pass variables on that are not set as empty ones.
    if (!variable.startsWith(prefix) || value === "") continue;
    const root = variable.slice(prefix.length).toLowerCase().split("_", 1)[0]!;
    if (known.has(root)) put(tree, variable, prefix.length, value, options);
    else warnIfNear(variable, root, roots, report);
  }
  return tree;
}

const byNumber = new Intl.Collator("en", { numeric: true }).compare;

function put(tree: Node, variable: string, start: number, value: string, options: Options): void {
  const path: string[] = [];
  let node = tree;
  let end = start - 1;
  for (const part of variable.slice(start).split("_")) {
    end += 1 + part.length;
    const place: Place = { source: "environment", key: variable.slice(0, end) };
    const isItem = /^\d{1,9}$/.test(part) && kindAt(options, path)?.form === "list";
    node = isItem ? itemAt(node, place) : node.child(part.toLowerCase(), place);
    path.push(part);
  }
  node.value = value;
}

function itemAt(list: Node, place: Place): Node {
  list.items ??= [];
  const before = list.items.find((item) => item.place.key === place.key);
  if (before !== undefined) return before;
  const item = new Node(list.name, place);
  list.items.push(item);
  return item;
}

// Links between containers make variables too, so an unknown one is a mistake only if it looks like an option.
function warnIfNear(
  variable: string,
  root: string,
  roots: readonly string[],
  report: (problem: Problem) => void,
): void {
  const suggestion = nearest(root, roots);
  if (suggestion === undefined || root === "secret") return;
  report({
    code: "unknown-option",
    severity: "warning",
    place: { source: "environment", key: variable },
    message: `${quote(root)} is not an option and has no effect`,
    suggestion: variable.slice(0, variable.indexOf("_") + 1) + suggestion.toUpperCase(),
  });
}

import { type Entry, growTree } from "../schema/label-tree.ts";
import { Node } from "../schema/node.ts";
import type { Kind, Options } from "../schema/option.ts";
import { type Problem, quote } from "../schema/problem.ts";
import { kindAt } from "./resolve.ts";

export interface Flags {
  readonly tree: Node;
  readonly configFile: string | undefined;
  /** `-h` or `--help` anywhere. */
  readonly help: boolean;
  /** Words that are not options. */
  readonly words: readonly string[];
}

/** Reads `--name=value`, `--name value`, `-name`: names in any case, lists repeated or with commas. */
export function readFlags(
  argv: readonly string[],
  options: Options,
  report: (problem: Problem) => void,
): Flags {
  const entries = new Map<string, Entry>();
  const words: string[] = [];
  let configFile: string | undefined;
  let help = false;

  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === "--") {
      words.push(...argv.slice(i + 1));
      break;
    }
    const [flag, dashes, name, given] = /^(--?)([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (flag === undefined || dashes === undefined || name === undefined) {
      words.push(word);
      continue;
    }
    if (name === "h" || name.toLowerCase() === "help") {
      help = true;
      continue;
    }
    const kind = name.toLowerCase() === "configfile" ? "file" : kindOf(name, options);
    let value = given;
    if (value === undefined && takesValue(kind)) {
      const next = argv[i + 1];
      // A word after an option that does not exist was meant as its value: one mistake, one problem.
      if (next !== undefined && (kind !== undefined || !next.startsWith("-"))) value = argv[++i];
      else if (kind !== undefined) {
        report(missingValue(dashes + name));
        continue;
      }
    }
    if (kind === "file") configFile = value;
    else
      add(
        entries,
        { key: dashes + name, start: dashes.length, value: value ?? "true", place: { source: "flag" } },
        kind,
      );
  }

  const tree = new Node("", { source: "flag", key: "" });
  growTree(tree, entries.values(), report);
  return { tree, configFile, help, words };
}

function kindOf(name: string, options: Options): Kind<unknown> | undefined {
  return kindAt(
    options,
    name.split(".").flatMap((part) => part.replace(/\[(\d+)\]$/, ".$1").split(".")),
  );
}

function takesValue(kind: Kind<unknown> | "file" | undefined): boolean {
  if (kind === undefined || kind === "file") return true;
  const isSwitch = kind.choices?.[0] === "true" || kind.form === "group" || kind.form === "map";
  return !isSwitch;
}

/** A list grows when it is repeated; of anything else the last word counts. */
function add(entries: Map<string, Entry>, entry: Entry, kind: Kind<unknown> | undefined): void {
  const path = entry.key.slice(entry.start).toLowerCase();
  const before = entries.get(path);
  const value = before && kind?.form === "list" ? `${before.value},${entry.value}` : entry.value;
  entries.set(path, { ...entry, value });
}

const missingValue = (flag: string): Problem => ({
  code: "bad-value",
  severity: "error",
  place: { source: "flag", key: flag },
  message: `expected a value after it, such as ${quote(`${flag}=...`)}`,
});

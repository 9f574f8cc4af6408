import { Node, type Place } from "../../src/schema/node.ts";
import type { Options, Values } from "../../src/schema/option.ts";
import { describeProblem, type Problem } from "../../src/schema/problem.ts";
import { readOptions } from "../../src/schema/read-options.ts";
import { Unreadable } from "../../src/schema/reader.ts";

export type Written =
  | string
  | number
  | boolean
  | null
  | readonly Written[]
  | { readonly [name: string]: Written };

const PLACE: Place = { source: "file", key: "", file: "test.yml", line: 1, column: 1 };

/** A tree as a file would give it, of plain JSON. */
export function tree(written: Written, name = "", place: Place = PLACE): Node {
  const node = new Node(name, place);
  if (Array.isArray(written)) {
    node.items = written.map((item, index) => tree(item, name, { ...place, key: `${place.key}[${index}]` }));
  } else if (typeof written === "object" && written !== null) {
    node.children = new Map();
    for (const [key, value] of Object.entries(written)) {
      const path = place.key === "" ? key : `${place.key}.${key}`;
      node.children.set(key.toLowerCase(), tree(value, key, { ...place, key: path }));
    }
  } else {
    node.value = written as string | number | boolean | null;
  }
  return node;
}

export interface Reading<O extends Options> {
  readonly values: Values<O>;
  readonly problems: readonly Problem[];
  /** As a person reads them. */
  readonly said: readonly string[];
}

/** Reads options of plain JSON. Secrets come from a map of references. */
export function read<const O extends Options>(
  options: O,
  written: Written | Node,
  secrets: { readonly [reference: string]: string } = {},
): Reading<O> {
  const problems: Problem[] = [];
  const values = readOptions(options, written instanceof Node ? written : tree(written), {
    report: (problem) => void problems.push(problem),
    secret(reference) {
      const found = secrets[reference];
      if (found === undefined) throw new Unreadable("expected a secret that exists");
      return found;
    },
  });
  return { values, problems, said: problems.map(describeProblem) };
}

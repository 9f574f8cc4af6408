import { nearest } from "../lib/nearest.ts";
import { below, leaf, Node } from "./node.ts";
import type { About, Kind, Option, Options, Values } from "./option.ts";
import { listNames, quote } from "./problem.ts";
import { complain, type Reader } from "./reader.ts";

/** Reads every option, reporting every problem rather than stopping at the first. Absent options get their defaults. */
export function readOptions<O extends Options>(options: O, node: Node, reader: Reader): Values<O> {
  const values: Record<string, unknown> = {};
  const known = new Map(Object.keys(options).map((name) => [name.toLowerCase(), name]));
  const unknown = [...(node.children ?? [])].filter(([key]) => !known.has(key)).map(([, child]) => child);
  const meant = new Map(unknown.map((child) => [child, nearest(child.name, known.values())]));
  const mistyped = new Set(meant.values());
  for (const [name, option] of Object.entries(options)) {
    values[name] = readOption(name, option, node, reader, mistyped.has(name));
  }
  for (const [child, suggestion] of meant) {
    complain(
      reader,
      child.place,
      "unknown-option",
      `${quote(child.name)} is not an option here; known options are ${namesOf(options)}`,
      suggestion,
    );
  }
  return values as Values<O>;
}

/** What is missing because it was `mistyped` is said once, where it was written. */
function readOption(
  name: string,
  { about, kind }: Option<unknown>,
  parent: Node,
  reader: Reader,
  mistyped: boolean,
): unknown {
  const node = parent.get(name);
  if (node === undefined || isNothing(node)) {
    if (node !== undefined && kind.enabler) {
      const message = `has nothing after it and stays off; write ${name}: {} to switch it on`;
      complain(reader, node.place, "empty-option", message, undefined, "warning");
    }
    if (about.required && !mistyped) {
      complain(reader, below(parent.place, name), "missing-option", `is required: ${about.doc}`);
    }
    return absent(name, about, kind, parent, reader);
  }
  if (!saysDefault(node, about, kind)) {
    if (about.refused !== undefined) {
      complain(reader, node.place, "unsupported-option", `${name} is not supported: ${about.refused}`);
      return absent(name, about, kind, parent, reader);
    }
    if (about.obsolete !== undefined) {
      const message = `${name} has no effect: ${about.obsolete}`;
      complain(reader, node.place, "obsolete-option", message, undefined, "warning");
    }
  }
  return kind.read(node, reader, about) ?? absent(name, about, kind, parent, reader);
}

// What is switched off, or set to what it would be anyway, asks for nothing.
function saysDefault(node: Node, about: About, kind: Kind<unknown>): boolean {
  if (node.value === undefined || node.value === null) return false;
  const fallback = about.default ?? (kind.enabler ? "false" : undefined);
  return String(node.value).toLowerCase() === fallback?.toLowerCase();
}

function absent(name: string, about: About, kind: Kind<unknown>, parent: Node, reader: Reader): unknown {
  if (about.default !== undefined) {
    return kind.read(leaf(name, { source: "default", key: name }, about.default), reader, about);
  }
  if (about.always) return kind.read(new Node(name, below(parent.place, name)), reader, about);
  return kind.empty?.();
}

// YAML's `docker:` with nothing after it, and a label group that was only ever a prefix of nothing.
function isNothing(node: Node): boolean {
  return (
    (node.value === undefined || node.value === null) &&
    node.children === undefined &&
    node.items === undefined
  );
}

// Options that would be refused are no help to anyone who looks for the right name.
export function namesOf(options: Options): string {
  const useful = Object.entries(options).filter(([, { about }]) => !about.refused && !about.obsolete);
  return listNames(useful.map(([name]) => ({ name })));
}

import { nearest } from "../lib/nearest.ts";
import { Node, type Place } from "./node.ts";
import type { Problem } from "./problem.ts";
import { quote } from "./problem.ts";

/** One dotted name and its value, as a label or a flag spells it. */
export interface Entry {
  /** As it was spelled: `traefik.http.routers.app.rule`, `--entryPoints.web.address`. */
  readonly key: string;
  /** Where the first name of the path begins in `key`. */
  readonly start: number;
  readonly value: string;
  readonly place: Omit<Place, "key">;
}

type Report = (problem: Problem) => void;

// Far deeper than any option, and shallow enough for readers that recurse.
const DEPTH_MAX = 32;
const KEY_SHOWN_MAX = 512;
const SEGMENT = /^([^[\]]+)(?:\[(\d{1,9})\])?$/;

/** Puts the entries into the tree under `root`. Names merge in any case, `[n]` makes lists in numeric order. */
export function growTree(root: Node, entries: Iterable<Entry>, report: Report): void {
  const lists = new Map<Node, Map<number, Node>>();
  for (const entry of entries) {
    const names = entry.key.slice(entry.start).split(".", DEPTH_MAX + 1);
    const fault = names.length > DEPTH_MAX ? `has more than ${DEPTH_MAX} parts` : faultOf(names);
    if (fault !== undefined) {
      report({
        code: "bad-name",
        severity: "error",
        place: placeOf(entry, entry.key.length),
        message: fault,
      });
      continue;
    }
    const node = descend(root, names, entry, lists);
    node.value = entry.value;
  }
  for (const [node, byIndex] of lists) {
    node.items = [...byIndex].sort(([a], [b]) => a - b).map(([, item]) => item);
  }
}

function faultOf(names: readonly string[]): string | undefined {
  if (names.includes("")) return "has a dot too many: names are separated by single dots";
  const odd = names.find((name) => !SEGMENT.test(name));
  return odd && `expected a name or a name with a number such as servers[0], found ${quote(odd)}`;
}

function descend(
  root: Node,
  names: readonly string[],
  entry: Entry,
  lists: Map<Node, Map<number, Node>>,
): Node {
  let node = root;
  let end = entry.start - 1;
  for (const segment of names) {
    end += 1 + segment.length;
    const place = placeOf(entry, end);
    const [, name, index] = SEGMENT.exec(segment)!;
    node = node.child(name!, place);
    if (index !== undefined) node = itemAt(node, Number(index), place, lists);
  }
  return node;
}

function itemAt(list: Node, index: number, place: Place, lists: Map<Node, Map<number, Node>>): Node {
  const byIndex = lists.get(list) ?? new Map<number, Node>();
  lists.set(list, byIndex);
  const item = byIndex.get(index) ?? new Node(list.name, place);
  byIndex.set(index, item);
  return item;
}

function placeOf(entry: Entry, end: number): Place {
  const key = end > KEY_SHOWN_MAX ? `${entry.key.slice(0, KEY_SHOWN_MAX)}...` : entry.key.slice(0, end);
  return { ...entry.place, key };
}

const ROOTS = ["traefik", "waybill"];

/**
 * The tree of a container's labels, from the part after the root on; other people's labels are left out. The label
 * `waybill` itself is the child without a name. Where both roots say the same thing, `waybill.` wins.
 */
export function labelTree(labels: ReadonlyMap<string, string>, workload: string, report: Report): Node {
  const byPath = new Map<string, Entry>();
  const tree = new Node("", { source: "label", key: "", workload });
  for (const key of labels.keys()) if (!isOurs(key)) doubtRoot(key, workload, report);
  // Sorted, so that a `waybill.` label comes after its `traefik.` twin, and of two that differ in case the last counts.
  for (const key of [...labels.keys()].filter(isOurs).sort()) {
    const start = key.indexOf(".") + 1 || key.length + 1;
    const entry: Entry = { key, start, value: labels.get(key)!, place: { source: "label", workload } };
    if (start <= key.length) addLabel(entry, byPath, report);
    else if (key.toLowerCase() === "waybill") tree.child("", placeOf(entry, key.length)).value = entry.value;
    else
      warn(
        entry,
        report,
        "unknown-option",
        "has no effect: options come after it, as in traefik.enable=true",
      );
  }
  growTree(tree, byPath.values(), report);
  return tree;
}

function isOurs(key: string): boolean {
  const dot = key.indexOf(".");
  const length = dot < 0 ? key.length : dot;
  return length === 7 && ROOTS.includes(key.slice(0, length).toLowerCase());
}

const BELOW_ROOT = ["http", "tcp", "udp", "tls", "docker", "swarm", "enable", "port"];

/** `traefic.http...` and `waybil` are labels of nobody's, and nobody else would say so. */
function doubtRoot(key: string, workload: string, report: Report): void {
  const [root = "", ...rest] = key.split(".");
  const [first] = rest;
  const isForeign = first !== undefined && !BELOW_ROOT.includes(first.toLowerCase());
  const meant = isForeign ? undefined : nearest(root, first === undefined ? ["waybill"] : ROOTS);
  if (meant === undefined) return;
  report({
    code: "unknown-label",
    severity: "warning",
    place: { source: "label", key, workload },
    message: `has no effect, because it begins with ${quote(root)}`,
    suggestion: [meant, ...rest].join("."),
  });
}

function addLabel(entry: Entry, byPath: Map<string, Entry>, report: Report): void {
  const root = entry.key.slice(0, entry.start - 1);
  if (root !== root.toLowerCase()) {
    warn(
      entry,
      report,
      "odd-case",
      `is read, but the root is written in small letters: ${root.toLowerCase()}`,
    );
  }
  const path = entry.key.slice(entry.start).toLowerCase();
  const before = byPath.get(path);
  if (before !== undefined && before.value !== entry.value) {
    warn(entry, report, "said-twice", `wins over the label ${quote(before.key)}, which says something else`);
  }
  byPath.set(path, entry);
}

function warn(entry: Entry, report: Report, code: string, message: string): void {
  report({ code, severity: "warning", place: placeOf(entry, entry.key.length), message });
}

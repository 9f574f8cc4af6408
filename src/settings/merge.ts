import { Node, type Place } from "../schema/node.ts";

/** A value that is in force, and the one that it put out of force. */
export interface Override {
  /** Dotted path of the option. */
  readonly option: string;
  readonly by: Place;
  readonly over: Place;
}

/** One tree of two. What `over` says wins: single values and whole lists replace, names come together. */
export function mergeTrees(under: Node, over: Node, overrides: Override[], path = ""): Node {
  const isSaid = hasValue(over);
  // A group switched off below and filled above is on: who fills it wants it.
  const isRevived = !isSaid && over.children !== undefined && /^(?:0|f|false)$/i.test(String(under.value));
  const winner = isSaid || isRevived ? over : under;
  // Variables have no letters but capitals, so they cannot tell how a name of the user's own is spelled.
  const name = under.place.source === "environment" ? over.name : under.name;
  const merged = new Node(name, winner.place);
  merged.value = winner.value;
  merged.items = winner.items;
  if (winner === over && hasValue(under) && under.value !== over.value) {
    overrides.push({ option: path, by: over.place, over: under.place });
  }
  if (under.children || over.children) merged.children = mergeChildren(under, over, overrides, path);
  return merged;
}

function mergeChildren(under: Node, over: Node, overrides: Override[], path: string): Map<string, Node> {
  const children = new Map(under.children);
  for (const [key, child] of over.children ?? []) {
    const before = children.get(key);
    if (before === undefined) children.set(key, child);
    else {
      const name = path === "" ? before.name : `${path}.${before.name}`;
      children.set(key, mergeTrees(before, child, overrides, name));
    }
  }
  return children;
}

const hasValue = (node: Node) =>
  node.items !== undefined || (node.value !== undefined && node.value !== null);

import type { Exchange } from "../../model/exchange.ts";
import type { Route } from "../../model/route.ts";
import type { Condition } from "./conditions.ts";

/** A router as the index holds it, once for every place its rule could match. */
export interface Entry {
  /** From 0, the first to be tried. */
  readonly rank: number;
  readonly route: Route;
  /** What is left to ask once host and path have led here; undefined when nothing is. */
  readonly condition: Condition | undefined;
}

/**
 * Routers by path: a radix tree whose nodes hold the routers with that prefix and those with exactly that path. A
 * look-up costs the length of the path, however many routers there are.
 */
export class PathTree {
  #edge: string;
  #children: Map<number, PathTree> | undefined;
  #starting: Entry[];
  #exactly: Entry[];

  constructor(edge = "") {
    this.#edge = edge;
    this.#children = undefined;
    this.#starting = [];
    this.#exactly = [];
  }

  /** Entries must be added in the order of their ranks. */
  add(kind: "prefix" | "exact", path: string, entry: Entry): void {
    const node = this.#nodeFor(path);
    (kind === "prefix" ? node.#starting : node.#exactly).push(entry);
  }

  /** The entry of the lowest rank that takes the exchange, if it is lower than that of `best`. */
  find(exchange: Exchange, best: Entry | undefined): Entry | undefined {
    const path = exchange.path;
    let found = best;
    let node: PathTree = this;
    let at = 0;
    for (;;) {
      if (node.#starting.length > 0) found = firstThatHolds(node.#starting, exchange, found);
      if (at === path.length) return firstThatHolds(node.#exactly, exchange, found);
      const child = node.#children?.get(path.charCodeAt(at));
      if (child === undefined || !path.startsWith(child.#edge, at)) return found;
      at += child.#edge.length;
      node = child;
    }
  }

  #nodeFor(path: string): PathTree {
    let node: PathTree = this;
    let rest = path;
    while (rest !== "") {
      node.#children ??= new Map();
      let child = node.#children.get(rest.charCodeAt(0));
      if (child === undefined) {
        child = new PathTree(rest);
        node.#children.set(rest.charCodeAt(0), child);
        return child;
      }
      const shared = sharedLength(child.#edge, rest);
      if (shared < child.#edge.length) child.#split(shared);
      rest = rest.slice(shared);
      node = child;
    }
    return node;
  }

  /** Keeps the first part of the edge and moves everything below it into a new child. */
  #split(at: number): void {
    const below = new PathTree(this.#edge.slice(at));
    below.#children = this.#children;
    below.#starting = this.#starting;
    below.#exactly = this.#exactly;
    this.#edge = this.#edge.slice(0, at);
    this.#children = new Map([[below.#edge.charCodeAt(0), below]]);
    this.#starting = [];
    this.#exactly = [];
  }
}

function firstThatHolds(
  entries: readonly Entry[],
  exchange: Exchange,
  best: Entry | undefined,
): Entry | undefined {
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    if (best !== undefined && entry.rank >= best.rank) return best;
    if (entry.condition === undefined || entry.condition.holds(exchange)) return entry;
  }
  return best;
}

function sharedLength(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let i = 0;
  while (i < most && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  return i;
}

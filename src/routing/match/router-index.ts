import type { Exchange } from "../../model/exchange.ts";
import type { Route } from "../../model/route.ts";
import type { Key } from "../keys.ts";
import { type Entry, PathTree } from "./path-tree.ts";

/** Routers that are tried together, found by host and then by path. */
export class RouterIndex {
  readonly #byHost: Map<string, PathTree>;
  /** By what follows the first label, with its dot. */
  readonly #bySuffix: Map<string, PathTree>;
  readonly #anyHost: PathTree;

  constructor() {
    this.#byHost = new Map();
    this.#bySuffix = new Map();
    this.#anyHost = new PathTree();
  }

  /** Entries must be added in the order of their ranks. */
  add(key: Key, entry: Entry): void {
    this.#treeFor(key).add(key.pathIsWhole ? "exact" : "prefix", key.path, entry);
  }

  match(exchange: Exchange): Route | undefined {
    const host = exchange.host;
    const tree = this.#byHost.get(host);
    let best: Entry | undefined;
    if (tree !== undefined) best = tree.find(exchange, undefined);
    if (this.#bySuffix.size > 0) {
      const dot = host.indexOf(".");
      const under = dot > 0 ? this.#bySuffix.get(host.slice(dot)) : undefined;
      if (under !== undefined) best = under.find(exchange, best);
    }
    return this.#anyHost.find(exchange, best)?.route;
  }

  #treeFor({ host }: Key): PathTree {
    if (host === "") return this.#anyHost;
    const [trees, name] = host.startsWith("*.") ? [this.#bySuffix, host.slice(1)] : [this.#byHost, host];
    let tree = trees.get(name);
    if (tree === undefined) {
      tree = new PathTree();
      trees.set(name, tree);
    }
    return tree;
  }
}

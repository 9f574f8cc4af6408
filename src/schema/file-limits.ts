import { Node, type Place } from "./node.ts";
import type { Problem } from "./problem.ts";

/** The file as a whole cannot be read. Thrown by the parsers, caught and reported by `parseFile`. */
export class BadFile extends Error {
  readonly problem: Problem;

  constructor(place: Place, message: string) {
    super(message);
    this.problem = { code: "unreadable-file", severity: "error", place, message };
  }
}

const DEPTH_MAX = 64;
const NODES_MAX = 200_000;

/** Makes the nodes of one file and counts them: aliases can make much of little. */
export class NodeMaker {
  #nodesLeft = NODES_MAX;
  readonly #exactNames: boolean;

  /** `exactNames`: names that differ in case only are two names, as those of environment variables are. */
  constructor(exactNames = false) {
    this.#exactNames = exactNames;
  }

  /** A child under a name that is not taken yet. */
  child(parent: Node, name: string, place: Place, depth: number): Node {
    const taken = parent.get(name);
    this.#count(place, depth);
    if (taken === undefined) return parent.child(name, place);
    if (!this.#exactNames || taken.name === name || parent.children!.has(name))
      throw new BadFile(place, "is written twice");
    const child = new Node(name, place);
    parent.children!.set(name, child);
    return child;
  }

  item(parent: Node, place: Place, depth: number): Node {
    this.#count(place, depth);
    const item = new Node(parent.name, place);
    parent.items ??= [];
    parent.items.push(item);
    return item;
  }

  #count(place: Place, depth: number): void {
    if (depth > DEPTH_MAX) throw new BadFile(place, `is nested more than ${DEPTH_MAX} levels deep`);
    this.#nodesLeft--;
    if (this.#nodesLeft < 0) throw new BadFile(place, `is more than the ${NODES_MAX} values a file may hold`);
  }
}

export function atItem(place: Place, index: number): Place {
  return { ...place, key: `${place.key}[${index}]` };
}

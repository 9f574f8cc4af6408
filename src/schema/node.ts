/** Where a person wrote something: enough to find it again. */
export interface Place {
  /** What kind of source it is: `label`, `flag`, `environment`, `file`, `redis`, `default`. */
  readonly source: "label" | "flag" | "environment" | "file" | "redis" | "http" | "default";
  /** The label, flag or variable as it was spelled, or the dotted path inside a file. */
  readonly key: string;
  /** The container the label is on. */
  readonly workload?: string;
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  /** From 1. */
  readonly column?: number;
}

export type Scalar = string | number | boolean | null;

/**
 * What was written, before anybody knows what it means. Every source (labels, flags, environment, YAML, TOML,
 * JSON, Redis keys) becomes a tree of these, and one reader reads them all.
 */
export class Node {
  /** The name as it was spelled; look-ups use the lower-case key of the parent's map. */
  readonly name: string;
  readonly place: Place;
  value: Scalar | undefined;
  /** Named children by lower-case name. A Map: a child called `__proto__` is just a child. */
  children: Map<string, Node> | undefined;
  /** List items, already in order. */
  items: Node[] | undefined;
  /** The YAML tag that stands before the value, such as `!override`. */
  tag: string | undefined;

  constructor(name: string, place: Place) {
    this.name = name;
    this.place = place;
    this.value = undefined;
    this.children = undefined;
    this.items = undefined;
    this.tag = undefined;
  }

  /** The child of that name in any case, made if it is not there yet. The first spelling is kept. */
  child(name: string, place: Place): Node {
    this.children ??= new Map();
    const key = name.toLowerCase();
    let child = this.children.get(key);
    if (child === undefined) {
      child = new Node(name, place);
      this.children.set(key, child);
    }
    return child;
  }

  get(name: string): Node | undefined {
    return this.children?.get(name.toLowerCase());
  }
}

/** The place of a name that is not there, under one that is. */
export function below(place: Place, name: string): Place {
  if (place.key === "") return { ...place, key: name };
  const key = place.source === "environment" ? `${place.key}_${name.toUpperCase()}` : `${place.key}.${name}`;
  return { ...place, key };
}

/** A node of one text. */
export function leaf(name: string, place: Place, value: string): Node {
  const node = new Node(name, place);
  node.value = value;
  return node;
}

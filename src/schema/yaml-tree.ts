import {
  type ErrorCode,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  type YAMLMap,
  type Scalar as YamlScalar,
} from "yaml";
import { atItem, BadFile, NodeMaker } from "./file-limits.ts";
import { below, Node, type Place, type Scalar } from "./node.ts";

/** The tree of a YAML or JSON text. Throws `BadFile`. */
export function parseYaml(text: string, place: Place, exactNames = false): Node {
  const lines = new LineCounter();
  // A key that is there twice, in any case, is found below with its place.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const [error] = document.errors;
  if (error !== undefined) {
    throw new BadFile({ ...place, ...spot(lines, error.pos[0]) }, explain(error.code, error.message));
  }
  const root = new Node("", place);
  new YamlWalk(lines, exactNames).fill(root, document.contents, 0);
  return root;
}

const WORDS: Partial<Record<ErrorCode, string>> = {
  BLOCK_AS_IMPLICIT_KEY: "expected one value, found a second `: ` on the line; put the value in quotes",
  BAD_SCALAR_START: "expected a value in quotes, because it begins with a character that YAML reserves",
  MULTIPLE_DOCS: "expected one document, found a second `---`",
  RESOURCE_EXHAUSTION: "is nested too deeply",
  TAB_AS_INDENT: "expected spaces, found a tab",
};

const explain = (code: ErrorCode, message: string) => WORDS[code] ?? `expected valid YAML: ${message}`;

function spot(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

class YamlWalk {
  readonly #lines: LineCounter;
  readonly #maker: NodeMaker;
  /** What each anchor stands for at this point of the document. */
  readonly #anchors = new Map<string, unknown>();
  readonly #seen = new WeakSet<object>();

  constructor(lines: LineCounter, exactNames: boolean) {
    this.#lines = lines;
    this.#maker = new NodeMaker(exactNames);
  }

  /** Writes what was parsed into the node made for it. Maps and lists that hold nothing still leave a trace. */
  fill(node: Node, parsed: unknown, depth: number): void {
    const found = this.#follow(parsed, node.place);
    node.tag = (parsed as { tag?: string } | null)?.tag;
    if (isMap(found)) {
      node.children ??= new Map();
      this.#fillMap(node, found, depth);
    } else if (isSeq(found)) {
      node.items = [];
      for (const [index, entry] of found.items.entries()) {
        const place = { ...atItem(node.place, index), ...this.#spotOf(entry) };
        this.fill(this.#maker.item(node, place, depth + 1), entry, depth + 1);
      }
    } else if (isScalar(found)) {
      node.value = scalarValue(found);
    }
  }

  #fillMap(node: Node, map: YAMLMap, depth: number): void {
    for (const { key, value } of map.items) {
      const name = this.#name(key, node.place);
      if (name === "<<") continue;
      const place = { ...below(node.place, name), ...this.#spotOf(key) };
      this.fill(this.#maker.child(node, name, place, depth + 1), value, depth + 1);
    }
    for (const pair of map.items) {
      if (this.#name(pair.key, node.place) === "<<") this.#merge(node, pair, depth);
    }
  }

  /** `<<: *defaults`: what the map itself says wins, then the earlier of several. */
  #merge(node: Node, pair: Pair, depth: number): void {
    const place = { ...node.place, ...this.#spotOf(pair.key) };
    const source = this.#follow(pair.value, place);
    for (const each of isSeq(source) ? source.items : [source]) {
      const map = this.#follow(each, place);
      if (!isMap(map)) throw new BadFile(place, "expected a map to merge after `<<`");
      const merged = new Node("", node.place);
      // Counted like any other nodes, so that merges of merges end.
      this.#fillMap(merged, map, depth + 1);
      node.children ??= new Map();
      for (const [name, child] of merged.children ?? []) {
        if (!node.children.has(name)) node.children.set(name, child);
      }
    }
  }

  #follow(parsed: unknown, place: Place): unknown {
    if (!isAlias(parsed)) {
      const { anchor } = (parsed ?? {}) as { anchor?: string };
      // Not again when an alias leads here: by then the name may stand for something later.
      if (anchor !== undefined && !this.#seen.has(parsed as object)) this.#anchors.set(anchor, parsed);
      if (anchor !== undefined) this.#seen.add(parsed as object);
      return parsed;
    }
    if (!this.#anchors.has(parsed.source)) {
      throw new BadFile({ ...place, ...this.#spotOf(parsed) }, `no anchor &${parsed.source} comes before it`);
    }
    return this.#anchors.get(parsed.source);
  }

  #name(key: unknown, place: Place): string {
    const found = this.#follow(key, place);
    if (isScalar(found)) return found.source ?? String(found.value);
    throw new BadFile({ ...place, ...this.#spotOf(key) }, "expected a name before the colon");
  }

  #spotOf(parsed: unknown): { line: number; column: number } | undefined {
    const range = (parsed as { range?: readonly number[] } | null | undefined)?.range;
    return range?.[0] === undefined ? undefined : spot(this.#lines, range[0]);
  }
}

// Digits stay as they were written: 1.10 is a version and 9223372036854775807 a priority.
function scalarValue({ value, source }: YamlScalar): Scalar {
  if (typeof value === "number") return source !== undefined && /^[+-]?[\d.]+$/.test(source) ? source : value;
  return typeof value === "string" || typeof value === "boolean" || value === null ? value : String(value);
}

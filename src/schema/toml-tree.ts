import { type AST, ParseError, parseTOML } from "toml-eslint-parser";
import { atItem, BadFile, NodeMaker } from "./file-limits.ts";
import { below, Node, type Place, type Scalar } from "./node.ts";

/** The tree of a TOML text. Throws `BadFile`. */
export function parseToml(text: string, place: Place): Node {
  const root = new Node("", place);
  const walk = new TomlWalk();
  for (const part of parse(text, place).body[0].body) {
    if (part.type === "TOMLKeyValue") walk.pair(root, part, 0);
    else walk.table(root, part);
  }
  return root;
}

function parse(text: string, place: Place): AST.TOMLProgram {
  try {
    return parseTOML(text);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    const spot = { line: error.lineNumber, column: error.column + 1 };
    throw new BadFile({ ...place, ...spot }, `expected valid TOML: ${error.message}`);
  }
}

type Located = { readonly loc: { readonly start: { readonly line: number; readonly column: number } } };

const spot = ({ loc }: Located) => ({ line: loc.start.line, column: loc.start.column + 1 });

/** The parser has refused what TOML does not allow to be written twice; names that differ by case meet here. */
class TomlWalk {
  readonly #maker = new NodeMaker();

  /** `[a.b]` and `[[a.b]]`, whose numbers the parser has already worked out. */
  table(root: Node, table: AST.TOMLTable): void {
    const keys = table.key.keys;
    let node = root;
    let depth = 0;
    let named = 0;
    for (const step of table.resolvedKey) {
      depth++;
      if (typeof step === "number") node = this.#item(node, step, table, depth);
      else node = this.#enter(node, step, keys[named++] ?? table, depth);
    }
    if (node.items === undefined) node.children ??= new Map();
    for (const pair of table.body) this.pair(node, pair, depth);
  }

  /** `a.b = value`. */
  pair(parent: Node, { key, value }: AST.TOMLKeyValue, depth: number): void {
    let node = parent;
    const last = key.keys.length - 1;
    for (const [index, part] of key.keys.entries()) {
      depth++;
      const name = part.type === "TOMLBare" ? part.name : part.value;
      if (index < last) node = this.#enter(node, name, part, depth);
      else node = this.#maker.child(node, name, { ...below(node.place, name), ...spot(part) }, depth);
    }
    this.#fill(node, value, depth);
  }

  #fill(node: Node, content: AST.TOMLContentNode, depth: number): void {
    if (content.type === "TOMLValue") {
      node.value = scalarValue(content);
    } else if (content.type === "TOMLArray") {
      node.items = [];
      for (const [index, element] of content.elements.entries()) {
        const place = { ...atItem(node.place, index), ...spot(element) };
        this.#fill(this.#maker.item(node, place, depth + 1), element, depth + 1);
      }
    } else {
      node.children = new Map();
      for (const pair of content.body) this.pair(node, pair, depth);
    }
  }

  #enter(node: Node, name: string, at: Located, depth: number): Node {
    const place = { ...below(node.place, name), ...spot(at) };
    return node.get(name) ?? this.#maker.child(node, name, place, depth);
  }

  #item(node: Node, index: number, at: Located, depth: number): Node {
    const place = { ...atItem(node.place, index), ...spot(at) };
    return node.items?.[index] ?? this.#maker.item(node, place, depth);
  }
}

function scalarValue(value: AST.TOMLValue): Scalar {
  if (value.kind === "integer") return String(value.bigint);
  if (value.kind === "float") return /^[+-]?[\d.]+$/.test(value.number) ? value.number : value.value;
  if (value.kind === "string" || value.kind === "boolean") return value.value;
  return value.datetime;
}

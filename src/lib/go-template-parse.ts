import { readGoString } from "./go-literal.ts";
import { nearest } from "./nearest.ts";

/** A template's parts, as Go's text/template has them. Offsets are UTF-16 units of the whole text. */
export type TemplateNode =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "show"; readonly pipe: Pipe }
  | {
      readonly kind: "if" | "with" | "range";
      readonly pipe: Pipe;
      readonly body: readonly TemplateNode[];
      readonly otherwise: readonly TemplateNode[];
    }
  | { readonly kind: "template"; readonly name: string; readonly pipe: Pipe | undefined; readonly at: number }
  | { readonly kind: "jump"; readonly jump: "break" | "continue" };

export interface Pipe {
  /** Names with their `$`, for `$x := ...` and `range $i, $x := ...`. */
  readonly variables: readonly string[];
  /** `=` instead of `:=`. */
  readonly assigns: boolean;
  readonly commands: readonly Command[];
  readonly at: number;
}

/** A call with arguments, or one value alone. */
export type Command = readonly Operand[];

export type Operand = { readonly at: number; readonly fields: readonly string[] } & (
  | { readonly kind: "dot" }
  | { readonly kind: "variable"; readonly name: string }
  | { readonly kind: "literal"; readonly value: string | number | boolean | undefined }
  | { readonly kind: "function"; readonly name: string }
  | { readonly kind: "pipe"; readonly pipe: Pipe }
);

export class TemplateError extends Error {
  readonly at: number;
  readonly suggestion: string | undefined;

  constructor(message: string, at: number, suggestion?: string) {
    super(message);
    this.at = at;
    this.suggestion = suggestion;
  }
}

const DEPTH_MAX = 100;
const KEYWORDS = new Set([
  "if",
  "else",
  "end",
  "range",
  "with",
  "template",
  "define",
  "block",
  "break",
  "continue",
]);

type Ending = { readonly word: "end" | "else" | "eof"; readonly at: number };

export class TemplateParser {
  /** By the names that `define` and `block` give. */
  readonly defined = new Map<string, readonly TemplateNode[]>();
  readonly #text: string;
  readonly #functions: ReadonlyMap<string, unknown>;
  #at = 0;
  #depth = 0;
  #loops = 0;
  /** The last action ended in `-}}`. */
  #trimsNext = false;
  #variables: string[] = ["$"];

  constructor(text: string, functions: ReadonlyMap<string, unknown>) {
    this.#text = text;
    this.#functions = functions;
  }

  parse(): readonly TemplateNode[] {
    const { nodes, ending } = this.#list();
    if (ending.word !== "eof") throw new TemplateError(`{{${ending.word}}} closes nothing here`, ending.at);
    return nodes;
  }

  #list(): { nodes: TemplateNode[]; ending: Ending } {
    const nodes: TemplateNode[] = [];
    for (;;) {
      const open = this.#text.indexOf("{{", this.#at);
      this.#takeText(nodes, open === -1 ? this.#text.length : open);
      if (open === -1) return { nodes, ending: { word: "eof", at: this.#text.length } };
      this.#at = open + 2;
      if (/^-\s/.test(this.#text.slice(this.#at, this.#at + 2))) this.#at++;
      if (this.#skipComment(open)) continue;
      this.#skipSpace();
      const at = this.#at;
      const word = this.#peekWord();
      if (word === "end" || word === "else") {
        this.#at += word.length;
        if (word === "end") this.#close();
        return { nodes, ending: { word, at } };
      }
      const node = KEYWORDS.has(word) ? this.#keyword(word, at) : this.#shown();
      if (node !== undefined) nodes.push(node);
    }
  }

  #takeText(nodes: TemplateNode[], to: number): void {
    let text = this.#text.slice(this.#at, to);
    if (this.#trimsNext) text = text.replace(/^[ \t\r\n]+/, "");
    if (/^\{\{-\s/.test(this.#text.slice(to, to + 4))) text = trimEnd(text);
    this.#trimsNext = false;
    if (text !== "") nodes.push({ kind: "text", text });
  }

  #skipComment(open: number): boolean {
    const start = /^\s*\/\*/.exec(this.#text.slice(this.#at, this.#at + 100));
    if (start === null) return false;
    const end = this.#text.indexOf("*/", this.#at);
    if (end === -1) throw new TemplateError("this comment is never closed", open);
    this.#at = end + 2;
    this.#close();
    return true;
  }

  #keyword(word: string, at: number): TemplateNode | undefined {
    this.#at += word.length;
    if (++this.#depth > DEPTH_MAX) throw new TemplateError(`blocks go deeper than ${DEPTH_MAX} levels`, at);
    try {
      if (word === "if" || word === "with" || word === "range") return this.#block(word, at);
      if (word === "break" || word === "continue") {
        if (this.#loops === 0) throw new TemplateError(`{{${word}}} is outside of a range`, at);
        this.#close();
        return { kind: "jump", jump: word };
      }
      return this.#named(word, at);
    } finally {
      this.#depth--;
    }
  }

  #block(kind: "if" | "with" | "range", at: number): TemplateNode {
    const scope = this.#variables.length;
    const pipe = this.#pipe(kind === "range" ? 2 : 1);
    this.#close();
    if (kind === "range") this.#loops++;
    const { nodes: body, ending } = this.#list();
    if (kind === "range") this.#loops--;
    let otherwise: readonly TemplateNode[] = [];
    if (ending.word === "else") otherwise = this.#otherwise(kind, at);
    else if (ending.word === "eof") throw new TemplateError(`this {{${kind}}} has no {{end}}`, at);
    this.#variables.length = scope;
    return { kind, pipe, body, otherwise };
  }

  #otherwise(kind: string, at: number): readonly TemplateNode[] {
    this.#skipSpace();
    const word = this.#peekWord();
    if ((word === "if" && kind !== "range") || (word === "with" && kind === "with")) {
      // `else if` shares the {{end}} of the block it belongs to.
      const node = this.#keyword(word, this.#at);
      return node === undefined ? [] : [node];
    }
    this.#close();
    const { nodes, ending } = this.#list();
    if (ending.word === "end") return nodes;
    if (ending.word === "else")
      throw new TemplateError("a second {{else}} has nothing to belong to", ending.at);
    throw new TemplateError(`this {{${kind}}} has no {{end}}`, at);
  }

  #named(word: string, at: number): TemplateNode | undefined {
    this.#skipSpace();
    const name = this.#operand();
    if (name.kind !== "literal" || typeof name.value !== "string")
      throw new TemplateError(`{{${word}}} needs a name in quotes`, name.at);
    if (word === "template") {
      const pipe = this.#atClose() ? undefined : this.#pipe(0);
      this.#close();
      return { kind: "template", name: name.value, pipe, at };
    }
    const pipe = word === "block" ? this.#pipe(0) : undefined;
    this.#close();
    const outside = this.#variables;
    this.#variables = ["$"];
    const { nodes, ending } = this.#list();
    this.#variables = outside;
    if (ending.word !== "end") throw new TemplateError(`this {{${word}}} has no {{end}}`, at);
    this.defined.set(name.value, nodes);
    return word === "block" ? { kind: "template", name: name.value, pipe, at } : undefined;
  }

  #shown(): TemplateNode {
    const pipe = this.#pipe(1);
    this.#close();
    return { kind: "show", pipe };
  }

  #pipe(variablesMax: number): Pipe {
    this.#skipSpace();
    const at = this.#at;
    const { variables, assigns } = this.#declaration(variablesMax);
    const commands: Operand[][] = [[]];
    for (;;) {
      this.#skipSpace();
      if (this.#atClose() || this.#text[this.#at] === ")") break;
      if (this.#text[this.#at] === "|") {
        if (commands.at(-1)!.length === 0) throw new TemplateError("nothing comes before this |", this.#at);
        this.#at++;
        commands.push([]);
      } else {
        commands.at(-1)!.push(this.#operand());
      }
    }
    if (commands.at(-1)!.length === 0) throw new TemplateError("expected a value or a function", this.#at);
    for (const command of commands) checkCommand(command, command !== commands[0]);
    if (!assigns) this.#variables.push(...variables);
    return { variables, assigns, commands, at };
  }

  #declaration(most: number): { variables: string[]; assigns: boolean } {
    const declared = /\$\w*(?:\s*,\s*\$\w*)?\s*(:?=)(?!=)/y;
    declared.lastIndex = this.#at;
    const [whole, operator] = declared.exec(this.#text) ?? [];
    if (whole === undefined || most === 0) return { variables: [], assigns: false };
    const variables = [...whole.matchAll(/\$\w*/g)].map(([name]) => name);
    if (variables.length > most) throw new TemplateError("two variables are for range only", this.#at);
    const unknown = operator === "=" ? variables.find((name) => !this.#variables.includes(name)) : undefined;
    if (unknown !== undefined) throw this.#unknownVariable(unknown, this.#at);
    this.#at += whole.length;
    return { variables, assigns: operator === "=" };
  }

  #operand(): Operand {
    const at = this.#at;
    const operand = this.#operandStart(at);
    const fields: string[] = operand.fields.slice();
    const field = /\.([\p{L}_][\p{L}\p{Nd}_]*)/uy;
    for (;;) {
      field.lastIndex = this.#at;
      const found = field.exec(this.#text);
      if (found === null) break;
      fields.push(found[1]!);
      this.#at += found[0].length;
    }
    return { ...operand, fields };
  }

  #operandStart(at: number): Operand {
    const character = this.#text[at];
    if (character === '"' || character === "`") return this.#stringLiteral(at);
    if (character === "(") return this.#parenthesized(at);
    if (character === "$") {
      const name = this.#match(/\$[\p{L}\p{Nd}_]*/uy)!;
      if (!this.#variables.includes(name)) throw this.#unknownVariable(name, at);
      return { kind: "variable", name, at, fields: [] };
    }
    const number = this.#match(/[+-]?(?:0[xX][\da-fA-F]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/y);
    if (number !== undefined) return { kind: "literal", value: toNumber(number), at, fields: [] };
    if (character === "'") return this.#characterLiteral(at);
    if (character === ".") {
      if (!/^\.[\p{L}_]/u.test(this.#text.slice(at, at + 3))) this.#at++;
      return { kind: "dot", at, fields: [] };
    }
    const word = this.#match(/[\p{L}_][\p{L}\p{Nd}_]*/uy);
    if (word === undefined) {
      const advice = character === "-" ? '; a name with a hyphen is written index .Labels "a-b"' : "";
      throw new TemplateError(`${this.#found()} has no meaning here${advice}`, at);
    }
    if (word === "true" || word === "false")
      return { kind: "literal", value: word === "true", at, fields: [] };
    if (word === "nil") return { kind: "literal", value: undefined, at, fields: [] };
    if (!this.#functions.has(word)) {
      const suggestion = nearest(word, this.#functions.keys());
      throw new TemplateError(`there is no function ${word}`, at, suggestion);
    }
    return { kind: "function", name: word, at, fields: [] };
  }

  #stringLiteral(at: number): Operand {
    const literal = readGoString(this.#text, at);
    if ("problem" in literal) throw new TemplateError(literal.problem, literal.offset, literal.suggestion);
    this.#at = literal.to;
    return { kind: "literal", value: literal.value, at, fields: [] };
  }

  #characterLiteral(at: number): Operand {
    const found = this.#match(/'[^'\\\n]'/uy);
    if (found === undefined)
      throw new TemplateError("texts go in double quotes or backticks, not in single quotes", at);
    return { kind: "literal", value: found.codePointAt(1)!, at, fields: [] };
  }

  #parenthesized(at: number): Operand {
    if (++this.#depth > DEPTH_MAX)
      throw new TemplateError(`parentheses go deeper than ${DEPTH_MAX} levels`, at);
    this.#at++;
    const pipe = this.#pipe(0);
    if (this.#text[this.#at] !== ")") throw new TemplateError("this parenthesis is never closed", at);
    this.#at++;
    this.#depth--;
    return { kind: "pipe", pipe, at, fields: [] };
  }

  #atClose(): boolean {
    this.#skipSpace();
    if (this.#at >= this.#text.length)
      throw new TemplateError("this action is never closed by }}", this.#text.length);
    return this.#text.startsWith("}}", this.#at) || this.#text.startsWith("-}}", this.#at);
  }

  #close(): void {
    if (!this.#atClose()) throw new TemplateError(`expected }}, found ${this.#found()}`, this.#at);
    // Only with a space before it is the hyphen a trim marker.
    this.#trimsNext = this.#text[this.#at] === "-";
    this.#at += this.#trimsNext ? 3 : 2;
  }

  #skipSpace(): void {
    this.#match(/\s+/y);
  }

  #peekWord(): string {
    const word = /[a-z]+(?![\w.])/y;
    word.lastIndex = this.#at;
    return word.exec(this.#text)?.[0] ?? "";
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #found(): string {
    const point = this.#text.codePointAt(this.#at);
    return point === undefined ? "the end" : String.fromCodePoint(point);
  }

  #unknownVariable(name: string, at: number): TemplateError {
    const others = this.#variables.filter((known) => known !== "$");
    return new TemplateError(`there is no variable ${name} here`, at, nearest(name, others));
  }
}

function checkCommand(command: Command, piped: boolean): void {
  const [first, second] = command as [Operand, Operand | undefined];
  if (first.kind === "function" || (second === undefined && !piped)) return;
  if (second !== undefined) throw new TemplateError("only a function can have values after it", second.at);
  if (first.kind === "literal") throw new TemplateError("a value cannot be piped into a literal", first.at);
  throw new TemplateError("only a function can take a piped value", first.at);
}

function toNumber(text: string): number {
  return Number(text.replaceAll("_", ""));
}

function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && " \t\r\n".includes(text[end - 1]!)) end--;
  return text.slice(0, end);
}

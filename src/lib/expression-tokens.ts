import type { ExpressionProblem } from "./expression.ts";

export type Token = { readonly from: number; readonly to: number; readonly text: string } & (
  | { readonly kind: "name" | "operator" | "newline" | "end" }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "number"; readonly value: number }
);

/** Used inside the parser only; what callers see is the problem in it. */
export class ExpressionError extends Error {
  readonly problem: ExpressionProblem;

  constructor(message: string, offset: number, suggestion?: string) {
    super(message);
    this.problem = { message, offset, ...(suggestion !== undefined && { suggestion }) };
  }
}

const SPACE = /[ \t\r]+/y;
const COMMENT = /\/\/[^\n]*|\/\*.*?\*\//sy;
const NAME = /[\p{L}_][\p{L}\p{Nd}_]*/uy;
const NUMBER = /(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const OPERATOR = /&&|\|\||[<>=!]=|[!(),<>]/y;

/** Cuts a text into tokens as Go's scanner does, semicolons at line ends included (kind `newline`). */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  // Go ends a statement at a line end after a name, a literal or a closing parenthesis.
  const endLine = () => {
    const last = tokens.at(-1);
    const ends =
      last !== undefined && (last.kind !== "operator" || last.text === ")") && last.kind !== "newline";
    if (ends) tokens.push({ kind: "newline", from: at, to: at + 1, text: "\n" });
  };
  while (at < text.length) {
    const skipped = take(SPACE);
    if (skipped !== undefined) {
      at += skipped.length;
      continue;
    }
    if (text[at] === "\n") {
      endLine();
      at++;
      continue;
    }
    const comment = take(COMMENT);
    if (comment !== undefined) {
      if (comment.includes("\n")) endLine();
      at += comment.length;
      continue;
    }
    const token = takeToken(text, at, take);
    tokens.push(token);
    at = token.to;
  }
  tokens.push({ kind: "end", from: text.length, to: text.length, text: "" });
  return tokens;
}

function takeToken(text: string, from: number, take: (pattern: RegExp) => string | undefined): Token {
  const name = take(NAME);
  if (name !== undefined) return { kind: "name", from, to: from + name.length, text: name };
  const number = take(NUMBER);
  if (number !== undefined) {
    return { kind: "number", from, to: from + number.length, text: number, value: Number(number) };
  }
  const operator = take(OPERATOR);
  if (operator !== undefined) return { kind: "operator", from, to: from + operator.length, text: operator };
  if (text[from] === "`") return rawText(text, from);
  if (text[from] === '"') return quotedText(text, from);
  throw strayCharacter(text, from);
}

function rawText(text: string, from: number): Token {
  const end = text.indexOf("`", from + 1);
  if (end === -1) throw new ExpressionError("this backtick is never closed", from);
  const value = text.slice(from + 1, end).replaceAll("\r", "");
  return { kind: "text", from, to: end + 1, text: text.slice(from, end + 1), value };
}

const SIMPLE_ESCAPES = new Map(
  Object.entries({ a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v", "\\": "\\", '"': '"' }),
);
const NUMERIC_ESCAPE = /x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})/y;

function quotedText(text: string, from: number): Token {
  // \xC3\xA9 is one letter in UTF-8, so the value is put together from bytes.
  const parts: Buffer[] = [];
  let at = from + 1;
  for (;;) {
    const end = nextOf(text, at);
    if (end === -1 || text[end] === "\n")
      throw new ExpressionError("this double quote is never closed", from);
    if (end > at) parts.push(Buffer.from(text.slice(at, end)));
    if (text[end] === '"') {
      const value = Buffer.concat(parts).toString();
      return { kind: "text", from, to: end + 1, text: text.slice(from, end + 1), value };
    }
    const escaped = readEscape(text, end + 1);
    if (escaped === undefined) {
      const found = `\\${text[end + 1] ?? ""}`;
      const advice = "write \\\\ for a backslash, or put the text in backticks";
      throw new ExpressionError(
        `${found} is no escape of a double-quoted text; ${advice}`,
        end,
        `\\${found}`,
      );
    }
    parts.push(escaped.bytes);
    at = escaped.to;
  }
}

function nextOf(text: string, from: number): number {
  for (let i = from; i < text.length; i++) {
    const c = text[i];
    if (c === '"' || c === "\\" || c === "\n") return i;
  }
  return -1;
}

function readEscape(text: string, at: number): { bytes: Buffer; to: number } | undefined {
  const simple = SIMPLE_ESCAPES.get(text[at] ?? "");
  if (simple !== undefined) return { bytes: Buffer.from(simple), to: at + 1 };
  NUMERIC_ESCAPE.lastIndex = at;
  const [whole, hex, octal, short, long] = NUMERIC_ESCAPE.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const to = at + whole.length;
  if (hex !== undefined) return { bytes: Buffer.of(Number.parseInt(hex, 16)), to };
  if (octal !== undefined) {
    const byte = Number.parseInt(octal, 8);
    return byte > 255 ? undefined : { bytes: Buffer.of(byte), to };
  }
  const point = Number.parseInt((short ?? long)!, 16);
  const isPoint = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
  return isPoint ? { bytes: Buffer.from(String.fromCodePoint(point)), to } : undefined;
}

function strayCharacter(text: string, at: number): ExpressionError {
  const character = String.fromCodePoint(text.codePointAt(at)!);
  const quoted = /^['‘’“”´]([^'‘’“”´\n]*)['‘’“”´]/u.exec(text.slice(at, at + 300));
  if (/['‘’“”´]/.test(character)) {
    const suggestion = quoted === null ? undefined : `\`${quoted[1]}\``;
    const advice = "texts go in backticks or in straight double quotes";
    return new ExpressionError(`${character} does not start a text; ${advice}`, at, suggestion);
  }
  if (character === "&" || character === "|") {
    return new ExpressionError(
      `expected ${character}${character}, found a single ${character}`,
      at,
      character.repeat(2),
    );
  }
  if (character === ";") return new ExpressionError("an expression does not end with a semicolon", at);
  if (character === "/" && text[at + 1] === "*")
    return new ExpressionError("this comment is never closed", at);
  if (character === "=") return new ExpressionError("expected a matcher, && or ||, found =", at);
  return new ExpressionError(`${character} has no meaning here`, at);
}

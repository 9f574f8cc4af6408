import type { ExpressionProblem } from "./expression.ts";
import { readGoString } from "./go-literal.ts";

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
  if (text[from] === "`" || text[from] === '"') return readText(text, from);
  throw strayCharacter(text, from);
}

function readText(text: string, from: number): Token {
  const literal = readGoString(text, from);
  if ("problem" in literal) throw new ExpressionError(literal.problem, literal.offset, literal.suggestion);
  return { kind: "text", from, to: literal.to, text: text.slice(from, literal.to), value: literal.value };
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
  if (character === "=") return new ExpressionError("expected && or ||, found a single =", at);
  return new ExpressionError(`${character} has no meaning here`, at);
}

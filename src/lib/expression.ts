import { ExpressionError, type Token, tokenize } from "./expression-tokens.ts";

/**
 * The language of rules and constraints: calls with quoted texts, `!`, `&&`, `||` and parentheses, with the grammar of
 * Go's expressions. What the names mean is the caller's business.
 */
export type Expression =
  | Call
  | { readonly kind: "and" | "or"; readonly operands: readonly Expression[] }
  | { readonly kind: "not"; readonly operand: Expression }
  | {
      readonly kind: "compare";
      readonly operator: string;
      readonly call: Call;
      readonly value: number | string;
    };

export interface Call {
  readonly kind: "call";
  readonly name: string;
  readonly args: readonly Argument[];
  /** Where it is in the text, in UTF-16 units, the end excluded. */
  readonly from: number;
  readonly to: number;
}

export interface Argument {
  readonly value: string | number;
  readonly from: number;
  readonly to: number;
}

/** Why a text is not an expression, or why its caller does not accept it. */
export interface ExpressionProblem {
  /** Without the place: what was expected and what was found. */
  readonly message: string;
  /** From 0, in UTF-16 units. */
  readonly offset: number;
  readonly suggestion?: string;
}

// Far deeper than anyone writes, far shallower than the stack.
const DEPTH_MAX = 100;

export interface ExpressionOptions {
  /** Calls may be compared with numbers, and take numbers: circuit breakers do. */
  readonly comparisons?: boolean;
  /** A call as it may look, for problems. */
  readonly example?: string;
}

export function parseExpression(
  text: string,
  options: ExpressionOptions = {},
): { readonly tree: Expression } | { readonly problem: ExpressionProblem } {
  try {
    return { tree: new Parser(tokenize(text), options).parse() };
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    return { problem: error.problem };
  }
}

/**
 * The problem with its place, for people: `column 7: expected "(" after Host, found "&&"`, then the line of the text
 * and a caret under the place. Columns count characters as an editor does.
 */
export function describeExpressionProblem(text: string, problem: ExpressionProblem): string {
  const lines = text.split("\n");
  let line = 0;
  let start = 0;
  while (line < lines.length - 1 && start + lines[line]!.length < problem.offset) {
    start += lines[line]!.length + 1;
    line++;
  }
  const before = [...lines[line]!.slice(0, problem.offset - start)].length;
  const place = lines.length > 1 ? `line ${line + 1}, column ${before + 1}` : `column ${before + 1}`;
  return `${place}: ${problem.message}\n${excerpt([...lines[line]!], before)}`;
}

const EXCERPT_MAX = 100;

/** The part of the line around the place, with the caret line. */
function excerpt(line: readonly string[], at: number): string {
  const from = line.length <= EXCERPT_MAX || at < EXCERPT_MAX / 2 ? 0 : at - EXCERPT_MAX / 2;
  const shown = line.slice(from, from + EXCERPT_MAX).map((c) => (c < " " ? " " : c));
  const left = from > 0 ? "..." : "";
  const right = from + EXCERPT_MAX < line.length ? "..." : "";
  return `  ${left}${shown.join("")}${right}\n  ${" ".repeat(left.length + at - from)}^`;
}

const OPERATOR_WORDS = new Map([
  ["and", "&&"],
  ["or", "||"],
  ["not", "!"],
]);

class Parser {
  readonly #tokens: readonly Token[];
  readonly #comparisons: boolean;
  /** What is expected where a call may stand. */
  readonly #aCall: string;
  #next = 0;
  #depth = 0;

  constructor(
    tokens: readonly Token[],
    { comparisons = false, example = "Name(`value`)" }: ExpressionOptions,
  ) {
    this.#tokens = tokens;
    this.#comparisons = comparisons;
    this.#aCall = `something such as ${example}`;
  }

  parse(): Expression {
    const tree = this.#or();
    // Go ends the last line with a semicolon of its own.
    if (this.#peek().kind === "newline" && this.#tokens[this.#next + 1]!.kind === "end") this.#next++;
    if (this.#peek().kind !== "end") throw this.#unexpected("&&, || or the end");
    return tree;
  }

  #or(): Expression {
    return this.#chain("or", "||", () => this.#chain("and", "&&", () => this.#unary()));
  }

  // Long chains become one flat node, so that a thousand alternatives are not a thousand levels deep.
  #chain(kind: "and" | "or", operator: string, operand: () => Expression): Expression {
    const operands = [operand()];
    while (this.#peek().text === operator && this.#peek().kind === "operator") {
      this.#next++;
      operands.push(operand());
    }
    return operands.length === 1 ? operands[0]! : { kind, operands };
  }

  #unary(): Expression {
    let negated = false;
    while (this.#isOperator("!")) {
      this.#next++;
      negated = !negated;
    }
    const operand = this.#primary();
    return negated ? { kind: "not", operand } : operand;
  }

  #primary(): Expression {
    const token = this.#peek();
    if (token.kind === "name" && !OPERATOR_WORDS.has(token.text)) return this.#comparison(this.#call());
    if (!this.#isOperator("(")) throw this.#unexpected(this.#aCall);
    if (++this.#depth > DEPTH_MAX) throw this.#error(`parentheses go deeper than ${DEPTH_MAX} levels`);
    this.#next++;
    const inside = this.#or();
    if (!this.#isOperator(")")) throw this.#unexpected('")", "&&" or "||"');
    this.#next++;
    this.#depth--;
    return inside;
  }

  #call(): Call {
    const name = this.#take();
    if (!this.#isOperator("(")) throw this.#unexpected(`"(" after ${name.text}`);
    this.#next++;
    const args: Argument[] = [];
    while (!this.#isOperator(")")) {
      args.push(this.#argument(name.text));
      if (this.#isOperator(",")) this.#next++;
      else if (!this.#isOperator(")")) throw this.#unexpected('"," or ")"');
    }
    return { kind: "call", name: name.text, args, from: name.from, to: this.#take().to };
  }

  #argument(name: string): Argument {
    const token = this.#peek();
    if (token.kind === "text" || (token.kind === "number" && this.#comparisons)) {
      this.#next++;
      return { value: token.value, from: token.from, to: token.to };
    }
    if (token.kind === "name") {
      const suggestion = `${name}(\`${token.text}\`)`;
      throw new ExpressionError(
        `expected a text in backticks or double quotes, found ${token.text}`,
        token.from,
        suggestion,
      );
    }
    throw this.#unexpected("a text in backticks or double quotes");
  }

  #comparison(call: Call): Expression {
    const operator = this.#peek();
    const compares = operator.kind === "operator" && /^(?:[<>]=?|==|!=)$/.test(operator.text);
    if (!compares || !this.#comparisons) return call;
    this.#next++;
    const value = this.#peek();
    if (value.kind !== "number" && value.kind !== "text") throw this.#unexpected("a number or a text");
    this.#next++;
    return { kind: "compare", operator: operator.text, call, value: value.value };
  }

  #peek(): Token {
    return this.#tokens[this.#next]!;
  }

  #take(): Token {
    return this.#tokens[this.#next++]!;
  }

  #isOperator(text: string): boolean {
    const token = this.#peek();
    return token.kind === "operator" && token.text === text;
  }

  #error(message: string): ExpressionError {
    return new ExpressionError(message, this.#peek().from);
  }

  #unexpected(expected: string): ExpressionError {
    const token = this.#peek();
    const after = this.#tokens[this.#next + 1];
    if (token.kind === "newline" && after?.kind === "operator") {
      const fix = after.text === ")" ? "join the two lines" : `write ${after.text} at the end of this line`;
      return this.#error(`the line ends before "${after.text}", which ends the expression; ${fix}`);
    }
    const operator = token.kind === "name" ? OPERATOR_WORDS.get(token.text.toLowerCase()) : undefined;
    if (operator === undefined) return this.#error(`expected ${expected}, found ${describe(token)}`);
    return new ExpressionError(`expected ${expected}, found the word ${token.text}`, token.from, operator);
  }
}

function describe(token: Token): string {
  if (token.kind === "end") return "the end";
  if (token.kind === "newline") return "the end of the line";
  const text = token.text.length > 40 ? `${token.text.slice(0, 37)}...` : token.text;
  return token.kind === "text" || token.kind === "name" || token.kind === "number" ? text : `"${text}"`;
}

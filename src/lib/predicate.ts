import { type Call, describeExpressionProblem, type Expression, parseExpression } from "./expression.ts";

/** A function of a condition such as `NetworkErrorRatio() > 0.3`, over a state of type `S`. */
export interface PredicateFunction<S> {
  /** How many numbers it takes. */
  readonly args: number;
  readonly gives: "truth" | "number" | "text";
  /** Called once for each use, with its arguments. */
  readonly make: (args: readonly number[]) => (state: S) => boolean | number | string;
}

export type Predicate<S> = (state: S) => boolean;

/** Compiles a condition made of calls, comparisons, `&&`, `||` and parentheses, or says why it is none. */
export function compilePredicate<S>(
  text: string,
  functions: ReadonlyMap<string, PredicateFunction<S>>,
): { readonly predicate: Predicate<S> } | { readonly problem: string } {
  const parsed = parseExpression(text, { comparisons: true });
  if ("problem" in parsed) return { problem: describeExpressionProblem(text, parsed.problem) };
  try {
    return { predicate: compile(parsed.tree, functions) };
  } catch (error) {
    if (!(error instanceof Misuse)) throw error;
    return { problem: describeExpressionProblem(text, { message: error.message, offset: error.offset }) };
  }
}

class Misuse extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

type Functions<S> = ReadonlyMap<string, PredicateFunction<S>>;

function compile<S>(tree: Expression, functions: Functions<S>): Predicate<S> {
  switch (tree.kind) {
    case "and": {
      const operands = tree.operands.map((operand) => compile(operand, functions));
      return (state) => operands.every((operand) => operand(state));
    }
    case "or": {
      const operands = tree.operands.map((operand) => compile(operand, functions));
      return (state) => operands.some((operand) => operand(state));
    }
    case "not": {
      const operand = compile(tree.operand, functions);
      return (state) => !operand(state);
    }
    case "call": {
      const { value, gives } = compileCall(tree, functions);
      if (gives !== "truth") throw new Misuse(`${tree.name}() must be compared with a ${gives}`, tree.to);
      return value as Predicate<S>;
    }
    case "compare":
      return compileComparison(tree, functions);
  }
}

function compileComparison<S>(
  { call, operator, value: wanted }: Extract<Expression, { kind: "compare" }>,
  functions: Functions<S>,
): Predicate<S> {
  const { value, gives } = compileCall(call, functions);
  if (gives === "truth") throw new Misuse(`${call.name}() is true or false and is not compared`, call.to);
  if (gives !== (typeof wanted === "string" ? "text" : "number"))
    throw new Misuse(`${call.name}() must be compared with a ${gives}`, call.to);
  const compare = COMPARISONS.get(operator)!;
  return (state) => compare(value(state) as never, wanted as never);
}

const COMPARISONS: ReadonlyMap<string, (a: number | string, b: number | string) => boolean> = new Map([
  ["==", (a, b) => a === b],
  ["!=", (a, b) => a !== b],
  ["<", (a, b) => a < b],
  ["<=", (a, b) => a <= b],
  [">", (a, b) => a > b],
  [">=", (a, b) => a >= b],
]);

function compileCall<S>(call: Call, functions: Functions<S>) {
  const known = functions.get(call.name);
  if (known === undefined) {
    const names = [...functions.keys()].map((name) => `${name}()`).join(", ");
    throw new Misuse(`there is no ${call.name}(); there are ${names}`, call.from);
  }
  const args = call.args.map(({ value, from }) => {
    if (typeof value !== "number") throw new Misuse("expected a number", from);
    return value;
  });
  if (args.length !== known.args)
    throw new Misuse(`${call.name}() takes ${known.args} numbers, found ${args.length}`, call.from);
  return { value: known.make(args), gives: known.gives };
}

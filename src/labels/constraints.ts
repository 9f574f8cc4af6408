import { type Call, describeExpressionProblem, type Expression, parseExpression } from "../lib/expression.ts";
import { compileGoRegexp } from "../lib/go-regexp.ts";
import { nearest } from "../lib/nearest.ts";

export type Labels = ReadonlyMap<string, string>;
export type Constraint = (labels: Labels) => boolean;

const FUNCTIONS = ["Label", "LabelRegex"];

/** Compiles `providers.docker.constraints`, or says what is wrong with it. The empty text is fulfilled by everyone. */
export function compileConstraints(
  text: string,
):
  | { readonly fulfilled: Constraint }
  | { readonly problem: { readonly message: string; readonly suggestion?: string } } {
  if (text.trim() === "") return { fulfilled: () => true };
  const parsed = parseExpression(text);
  if ("problem" in parsed) return { problem: { message: describeExpressionProblem(text, parsed.problem) } };
  try {
    return { fulfilled: compile(parsed.tree) };
  } catch (error) {
    if (!(error instanceof BadCall)) throw error;
    const { message, call } = error;
    const suggestion = nearest(call.name, FUNCTIONS);
    const described = describeExpressionProblem(text, { message, offset: call.from });
    return {
      problem: {
        message: described,
        ...(suggestion !== undefined && suggestion !== call.name && { suggestion }),
      },
    };
  }
}

class BadCall extends Error {
  readonly call: Call;

  constructor(call: Call, message: string) {
    super(message);
    this.call = call;
  }
}

function compile(tree: Expression): Constraint {
  switch (tree.kind) {
    case "and": {
      const all = tree.operands.map(compile);
      return (labels) => all.every((fulfilled) => fulfilled(labels));
    }
    case "or": {
      const any = tree.operands.map(compile);
      return (labels) => any.some((fulfilled) => fulfilled(labels));
    }
    case "not": {
      const operand = compile(tree.operand);
      return (labels) => !operand(labels);
    }
    case "call":
      return compileCall(tree);
    case "compare":
      throw new BadCall(tree.call, "constraints compare nothing with numbers");
  }
}

function compileCall(call: Call): Constraint {
  if (!FUNCTIONS.includes(call.name)) {
    throw new BadCall(call, `expected Label or LabelRegex, found ${call.name}`);
  }
  const [key, value] = call.args.map((argument) => String(argument.value));
  if (key === undefined || value === undefined || call.args.length > 2) {
    throw new BadCall(call, `expected a label and a value in ${call.name}, found ${call.args.length} texts`);
  }
  if (call.name === "Label") return (labels) => (labels.get(key) ?? "") === value;
  const compiled = compileGoRegexp(value);
  if ("problem" in compiled) throw new BadCall(call, compiled.problem);
  return (labels) => compiled.regexp.test(labels.get(key) ?? "");
}

import { type Call, describeExpressionProblem, type Expression, parseExpression } from "../lib/expression.ts";
import { nearest } from "../lib/nearest.ts";
import { All, Any, type Condition, Not } from "./match/conditions.ts";
import { MatcherError, type Matchers } from "./matcher.ts";
import { V2_MATCHERS } from "./matchers-v2.ts";
import { V3_MATCHERS } from "./matchers-v3.ts";

export type RuleSyntax = "v2" | "v3";

/** A rule that parses and whose every matcher is right. */
export interface Rule {
  readonly condition: Condition;
  /** What each leaf of the condition was written as, a negation included. */
  readonly sources: ReadonlyMap<Condition, string>;
  /** Values of `Host(...)` anywhere in the rule, negated ones too, in order and once each. */
  readonly hosts: readonly string[];
  readonly warnings: readonly RuleProblem[];
}

export interface RuleProblem {
  /** What is wrong, with line and column, and below it the line of the rule with a caret. */
  readonly message: string;
  readonly suggestion?: string;
}

export function parseRule(
  text: string,
  syntax: RuleSyntax,
): { readonly rule: Rule } | { readonly problem: RuleProblem } {
  if (text.trim() === "") return { problem: { message: "the rule is empty" } };
  const parsed = parseExpression(text, { example: "Host(`example.com`)" });
  if ("problem" in parsed) return { problem: inWords(text, parsed.problem) };
  const compiler = new Compiler(text, syntax === "v2" ? V2_MATCHERS : V3_MATCHERS);
  try {
    const condition = compiler.compile(parsed.tree, false);
    return {
      rule: { condition, sources: compiler.sources, hosts: [...compiler.hosts], warnings: compiler.warnings },
    };
  } catch (error) {
    if (!(error instanceof MatcherError)) throw error;
    return { problem: inWords(text, error) };
  }
}

/** For those who publish routers: the names a rule serves, and what is wrong with it if anything is. */
export interface RuleCheck {
  readonly hosts: readonly string[];
  readonly problem?: RuleProblem;
  /** The rule is in force, but cannot do what it seems meant to do. */
  readonly warnings: readonly RuleProblem[];
}

export function checkRule(text: string, syntax: RuleSyntax): RuleCheck {
  const parsed = parseRule(text, syntax);
  if ("problem" in parsed) return { hosts: [], problem: parsed.problem, warnings: [] };
  return { hosts: parsed.rule.hosts, warnings: parsed.rule.warnings };
}

function inWords(
  text: string,
  { message, offset, suggestion }: { message: string; offset: number; suggestion?: string | undefined },
): RuleProblem {
  const words = describeExpressionProblem(text, { message, offset });
  return { message: words, ...(suggestion !== undefined && { suggestion }) };
}

class Compiler {
  readonly sources = new Map<Condition, string>();
  readonly hosts = new Set<string>();
  readonly warnings: RuleProblem[] = [];
  readonly #text: string;
  readonly #matchers: Matchers;

  constructor(text: string, matchers: Matchers) {
    this.#text = text;
    this.#matchers = matchers;
  }

  /** Negations are pushed down to the matchers (De Morgan), so that only leaves are negated. */
  compile(tree: Expression, negated: boolean): Condition {
    switch (tree.kind) {
      case "not":
        return this.compile(tree.operand, !negated);
      case "call":
        return this.#leaf(tree, negated);
      case "compare":
        throw new Error("rules are parsed without comparisons");
      default: {
        const parts = tree.operands.map((operand) => this.compile(operand, negated));
        return (tree.kind === "and") !== negated ? new All(parts) : new Any(parts);
      }
    }
  }

  #leaf(call: Call, negated: boolean): Condition {
    const matcher = this.#matchers.byName.get(call.name);
    if (matcher === undefined) throw this.#unknown(call);
    const { condition, hosts, warning } = matcher(call);
    for (const host of hosts ?? []) this.hosts.add(host);
    if (warning !== undefined) this.warnings.push(inWords(this.#text, warning));
    const leaf = negated ? new Not(condition) : condition;
    this.sources.set(leaf, `${negated ? "!" : ""}${this.#text.slice(call.from, call.to)}`);
    return leaf;
  }

  #unknown({ name, from }: Call): MatcherError {
    const { names, advice } = this.#matchers;
    const hint = advice.get(name.toLowerCase());
    if (hint !== undefined) return new MatcherError(`${name} ${hint}`, from);
    const known = `known matchers are ${names.join(", ")}`;
    const suggestion = nearest(name, names);
    return new MatcherError(`${name} is not a matcher; ${known}`, from, suggestion);
  }
}

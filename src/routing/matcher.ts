import { domainToASCII } from "node:url";
import { CidrSet, isCidr } from "../lib/cidr.ts";
import { escapePath } from "../lib/escaped-path.ts";
import type { Argument, Call } from "../lib/expression.ts";
import { compileGoRegexp, type GoRegexp } from "../lib/go-regexp.ts";
import type { Condition } from "./match/conditions.ts";

/** Turns one call in a rule into a condition, or throws a `MatcherError`. */
export type Matcher = (call: Call) => {
  readonly condition: Condition;
  /** Names it serves, for TLS. */
  readonly hosts?: readonly string[];
  readonly warning?: { readonly message: string; readonly offset: number; readonly suggestion?: string };
};

export interface Matchers {
  readonly names: readonly string[];
  readonly byName: ReadonlyMap<string, Matcher>;
  /** What to say of names that belong to another syntax or protocol, by lower-case name. */
  readonly advice: ReadonlyMap<string, string>;
}

/** Names are accepted as they are, in lower case, in upper case, and with only the first letter in upper case. */
export function matchers(
  definitions: { readonly [name: string]: Matcher },
  advice: { readonly [lowerName: string]: string },
): Matchers {
  const byName = new Map<string, Matcher>();
  for (const [name, matcher] of Object.entries(definitions)) {
    const lower = name.toLowerCase();
    for (const spelling of [name, lower, name.toUpperCase(), name[0]! + lower.slice(1)])
      byName.set(spelling, matcher);
  }
  return { names: Object.keys(definitions), byName, advice: new Map(Object.entries(advice)) };
}

/** Never leaves this room: `parseRule` turns it into a problem. */
export class MatcherError extends Error {
  readonly offset: number;
  readonly suggestion: string | undefined;

  constructor(message: string, offset: number, suggestion?: string) {
    super(message);
    this.offset = offset;
    this.suggestion = suggestion;
  }
}

export interface TextArgument extends Argument {
  readonly value: string;
}

/** The arguments, if their number is right and none is empty. `usage` names them: `Header(`name`, `value`)`. */
export function textsOf(call: Call, least: number, most: number, usage: string): readonly TextArgument[] {
  const count = call.args.length;
  if (count < least || count > most) {
    const range =
      least === most
        ? `${least}`
        : most === Number.POSITIVE_INFINITY
          ? `at least ${least}`
          : `${least} or ${most}`;
    const noun = range === "1" || range === "at least 1" ? "value" : "values";
    throw new MatcherError(
      `${call.name} takes ${range} ${noun}, found ${count}: ${usage}`,
      call.from,
      alternatives(call, most),
    );
  }
  return call.args as readonly TextArgument[];
}

export function refuseEmpty(call: Call, args: readonly TextArgument[]): void {
  const empty = args.find((arg) => arg.value === "");
  if (empty !== undefined) throw new MatcherError(`a value of ${call.name} is empty`, empty.from);
}

// In the v2 syntax Host(`a`, `b`) meant either, and many rules still say so.
function alternatives({ name, args }: Call, most: number): string | undefined {
  if (most !== 1 || args.length < 2 || args.length > 10) return undefined;
  return args.map(({ value }) => `${name}(\`${value}\`)`).join(" || ");
}

export function regexpOf({ value, from }: TextArgument): GoRegexp {
  return compile(value, from);
}

export function compile(pattern: string, from: number): GoRegexp {
  const compiled = compileGoRegexp(pattern);
  if ("regexp" in compiled) return compiled.regexp;
  throw new MatcherError(
    `the regular expression is not right: ${compiled.problem}`,
    from,
    compiled.suggestion,
  );
}

/** In lower case and without a trailing dot, as canonical hosts are. */
export function asciiHost(call: Call, { value, from }: TextArgument): string {
  if (value === "." || value === "[]") throw new MatcherError(`${value} is no host`, from);
  if (isAscii(value)) return value.toLowerCase().replace(/\.$/, "");
  const ascii = domainToASCII(value);
  const suggestion = ascii === "" ? undefined : `${call.name}(\`${ascii}\`)`;
  const advice = "browsers send such names in their xn-- form";
  throw new MatcherError(`the host ${JSON.stringify(value)} is not ASCII; ${advice}`, from, suggestion);
}

export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return false;
  }
  return true;
}

/** The path in the form that an exchange's path has: what may not stand in it escaped, escapes in upper case. */
export function pathOf(call: Call, { value, from }: TextArgument): string {
  if (!value.startsWith("/")) {
    throw new MatcherError(
      `a path starts with a slash, found ${JSON.stringify(value)}`,
      from,
      `${call.name}(\`/${value}\`)`,
    );
  }
  return escapeLiteral(value);
}

/** A `%` that starts no escape is itself. */
export function escapeLiteral(text: string): string {
  return escapePath(text.replace(/%(?![0-9A-Fa-f]{2})/g, "%25"))!;
}

export function headerNameOf({ value, from }: TextArgument): string {
  if (/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(value)) return value.toLowerCase();
  throw new MatcherError(`expected a header name such as X-Api-Key, found ${JSON.stringify(value)}`, from);
}

export function rangeOf(args: readonly TextArgument[]): CidrSet {
  for (const { value, from } of args) {
    if (isCidr(value)) continue;
    const expected = "expected an IP address or a range such as 10.0.0.0/8";
    throw new MatcherError(`${expected}, found ${JSON.stringify(value)}`, from);
  }
  return new CidrSet(args.map((arg) => arg.value));
}

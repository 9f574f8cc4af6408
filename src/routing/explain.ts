import type { Exchange } from "../model/exchange.ts";
import type { RouterSpec } from "../model/snapshot.ts";
import {
  All,
  Any,
  ClientIpIn,
  type Condition,
  HeaderIs,
  HeaderMatches,
  HeaderThere,
  HostIs,
  HostMatches,
  HostUnder,
  MethodIs,
  Not,
  QueryIs,
  QueryMatches,
} from "./match/conditions.ts";
import { queryValues, textOf } from "./match/request-text.ts";
import { parseRule, type Rule } from "./rule.ts";

/** What was thought of one router for one exchange. */
export interface Consideration {
  /** `app@docker`. */
  readonly router: string;
  readonly rule: string;
  readonly priority: bigint;
  readonly matched: boolean;
  /** Why not, one sentence a condition that failed; empty if it matched. */
  readonly reasons: readonly string[];
}

/** Tries routers one by one in their order. Slow and plain: it also is what tests hold the index against. */
export function explainMatch(sorted: readonly RouterSpec[], exchange: Exchange): readonly Consideration[] {
  const roots = sorted.filter((spec) => spec.parents.length === 0);
  const considered = consider(roots, (spec) => whyNotHere(spec, exchange) ?? whyNot(spec, exchange));
  return explainChildren(considered, sorted, exchange, []);
}

/** Children are tried as the request stands now; their parent's middlewares may change it before they are. */
function explainChildren(
  considered: readonly Consideration[],
  sorted: readonly RouterSpec[],
  exchange: Exchange,
  ancestors: readonly string[],
): readonly Consideration[] {
  const parent = considered.at(-1);
  if (parent?.matched !== true || ancestors.includes(parent.router)) return considered;
  const children = sorted.filter((spec) => spec.parents.includes(parent.router));
  const below = consider(children, (spec) => whyNot(spec, exchange));
  return [...considered, ...explainChildren(below, sorted, exchange, [...ancestors, parent.router])];
}

function consider(
  sorted: readonly RouterSpec[],
  reasonsOf: (spec: RouterSpec) => readonly string[],
): readonly Consideration[] {
  const considered: Consideration[] = [];
  for (const spec of sorted) {
    const reasons = reasonsOf(spec);
    const matched = reasons.length === 0;
    considered.push({ router: spec.name, rule: spec.rule, priority: spec.priority, matched, reasons });
    if (matched) break;
  }
  return considered;
}

function whyNotHere(spec: RouterSpec, exchange: Exchange): readonly string[] | undefined {
  const { entryPoint, tls } = exchange.connection;
  if (!spec.entryPoints.includes(entryPoint)) {
    return [`it listens on ${spec.entryPoints.join(", ")}, and the request came in on ${entryPoint}`];
  }
  if (spec.tls !== undefined && tls === undefined)
    return ["it serves HTTPS only, and the request is plain HTTP"];
  if (spec.tls === undefined && tls !== undefined)
    return ["it serves plain HTTP only, and the request is HTTPS"];
  return undefined;
}

function whyNot(spec: RouterSpec, exchange: Exchange): readonly string[] {
  const parsed = parseRule(spec.rule, spec.ruleSyntax);
  if ("problem" in parsed) return [`its rule is not right: ${parsed.problem.message}`];
  return failures(parsed.rule.condition, parsed.rule, exchange);
}

/** Of `&&` the first part that fails, of `||` all of them: all that a person must change one of. */
function failures(condition: Condition, rule: Rule, exchange: Exchange): readonly string[] {
  if (condition.holds(exchange)) return [];
  const source = rule.sources.get(condition);
  if (source !== undefined) return [`${source} does not hold: ${found(condition, exchange)}`];
  if (condition instanceof All) {
    return failures(condition.parts.find((part) => !part.holds(exchange))!, rule, exchange);
  }
  if (condition instanceof Any) return condition.parts.flatMap((part) => failures(part, rule, exchange));
  return [];
}

function found(condition: Condition, exchange: Exchange): string {
  if (condition instanceof Not) return found(condition.part, exchange);
  // A matcher of the v2 syntax with several values is a condition with several parts, all about the same thing.
  if (condition instanceof All || condition instanceof Any) {
    return found(condition.parts.find((part) => !part.holds(exchange)) ?? condition.parts[0]!, exchange);
  }
  if (condition instanceof HostIs || condition instanceof HostUnder || condition instanceof HostMatches) {
    return exchange.host === "" ? "the request has no host" : `the host is ${exchange.host}`;
  }
  if (condition instanceof MethodIs) return `the method is ${exchange.method}`;
  if (condition instanceof ClientIpIn) return `the client's address is ${exchange.connection.peerIp}`;
  if (
    condition instanceof HeaderIs ||
    condition instanceof HeaderMatches ||
    condition instanceof HeaderThere
  ) {
    return foundHeader(condition.lowerName, exchange.headers);
  }
  if (condition instanceof QueryIs || condition instanceof QueryMatches) {
    const values = queryValues(exchange.query ?? "", condition.key);
    return values.length === 0
      ? `there is no parameter ${condition.key}`
      : `${condition.key} is ${some(values)}`;
  }
  return `the path is ${exchange.path}`;
}

// What these hold must not end up on somebody's screen because a rule looked at them.
const SECRET_HEADERS = new Set(["authorization", "proxy-authorization", "cookie"]);

function foundHeader(lowerName: string, headers: readonly string[]): string {
  const values: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.toLowerCase() === lowerName) values.push(textOf(headers[i + 1]!));
  }
  if (values.length === 0) return `there is no header ${lowerName}`;
  return SECRET_HEADERS.has(lowerName) ? `${lowerName} has another value` : `${lowerName} is ${some(values)}`;
}

function some(values: readonly string[]): string {
  const shown = values
    .slice(0, 3)
    .map((value) => JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}...` : value));
  return values.length > 3 ? `${shown.join(", ")} and ${values.length - 3} more` : shown.join(", ");
}

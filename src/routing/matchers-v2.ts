import type { Call } from "../lib/expression.ts";
import {
  All,
  Any,
  ClientIpIn,
  type Condition,
  EscapedPathMatches,
  HeaderIs,
  HeaderMatches,
  HeaderThere,
  HostIs,
  HostMatches,
  MethodIs,
  PathIs,
  PathStarts,
  QueryMatches,
} from "./match/conditions.ts";
import { bytesOf } from "./match/request-text.ts";
import {
  asciiHost,
  compile,
  escapeLiteral,
  headerNameOf,
  type Matcher,
  MatcherError,
  matchers,
  pathOf,
  rangeOf,
  refuseEmpty,
  regexpOf,
  type TextArgument,
  textsOf,
} from "./matcher.ts";

/** The matchers of Traefik's v2 rules, where several values mean any of them, and paths and hosts may be templates. */
export const V2_MATCHERS = matchers(
  {
    Host: hosts,
    HostHeader: hosts,
    HostRegexp: anyOf("HostRegexp(`{sub:[a-z]+}.example.com`)", hostTemplate),
    Path: anyOf("Path(`/products/{id:[0-9]+}`)", (arg, call) => pathTemplate(arg, call, true)),
    PathPrefix: anyOf("PathPrefix(`/api`)", (arg, call) => pathTemplate(arg, call, false)),
    Method: anyOf("Method(`GET`, `POST`)", ({ value }) => new MethodIs(value.toUpperCase())),
    Headers: pairs("Headers(`name`, `value`)", (name, { value }) =>
      value === "" ? new HeaderThere(name) : new HeaderIs(name, bytesOf(value)),
    ),
    HeadersRegexp: pairs(
      "HeadersRegexp(`name`, `pattern`)",
      (name, arg) => new HeaderMatches(name, regexpOf(arg)),
    ),
    Query: query,
    ClientIP: (call) => ({ condition: new ClientIpIn(rangeOf(checked(call, "ClientIP(`10.0.0.0/8`)"))) }),
  },
  {
    pathregexp: "belongs to the v3 syntax; here it is Path(`/{name:pattern}`)",
    header: "belongs to the v3 syntax; here it is Headers",
    headerregexp: "belongs to the v3 syntax; here it is HeadersRegexp",
    queryregexp: "belongs to the v3 syntax; here it is Query(`key={name:pattern}`)",
    hostsni: "is for TCP routers; here it is Host",
    hostsniregexp: "is for TCP routers; here it is HostRegexp",
  },
);

function checked(call: Call, usage: string): readonly TextArgument[] {
  const args = textsOf(call, 1, Number.POSITIVE_INFINITY, usage);
  refuseEmpty(call, args);
  return args;
}

function anyOf(usage: string, make: (arg: TextArgument, call: Call) => Condition): Matcher {
  return (call) => {
    const parts = checked(call, usage).map((arg) => make(arg, call));
    return { condition: parts.length === 1 ? parts[0]! : new Any(parts) };
  };
}

/** No wildcards here: a star is a star. */
function hosts(call: Call): ReturnType<Matcher> {
  const names = checked(call, "Host(`example.com`)").map((arg) => asciiHost(call, arg));
  const parts = names.map((name) => new HostIs(name));
  return { condition: parts.length === 1 ? parts[0]! : new Any(parts), hosts: names };
}

function pairs(usage: string, make: (lowerName: string, arg: TextArgument) => Condition): Matcher {
  return (call) => {
    const args = textsOf(call, 2, Number.POSITIVE_INFINITY, usage);
    if (args.length % 2 !== 0) {
      throw new MatcherError(
        `${call.name} takes names and values in pairs, found ${args.length} texts`,
        call.from,
      );
    }
    const parts: Condition[] = [];
    for (let i = 0; i < args.length; i += 2) parts.push(make(headerNameOf(args[i]!), args[i + 1]!));
    return { condition: parts.length === 1 ? parts[0]! : new All(parts) };
  };
}

function query(call: Call): ReturnType<Matcher> {
  const parts = checked(call, "Query(`key=value`)").map((arg) => {
    const equals = arg.value.indexOf("=");
    if (equals < 1) {
      throw new MatcherError(
        `expected key=value, found ${JSON.stringify(arg.value)}`,
        arg.from,
        `${arg.value}=`,
      );
    }
    const value = arg.value.slice(equals + 1);
    const pattern = value === "" ? ".*" : template(value, ".*", arg.from, (literal) => literal);
    return new QueryMatches(arg.value.slice(0, equals), compile(`^(?s:${pattern})$`, arg.from), true);
  });
  return { condition: parts.length === 1 ? parts[0]! : new All(parts) };
}

function hostTemplate(arg: TextArgument, call: Call): Condition {
  const value = asciiHost(call, arg);
  if (!/[{}]/.test(value)) return new HostIs(value);
  // The pattern keeps its case: \S and \s mean different things.
  const pattern = template(arg.value, "[^.]+", arg.from, (literal) => literal);
  return new HostMatches(compile(`(?i)^${pattern}$`, arg.from));
}

function pathTemplate(arg: TextArgument, call: Call, whole: boolean): Condition {
  const path = pathOf(call, arg);
  if (!/[{}]/.test(arg.value)) return whole ? new PathIs(path) : new PathStarts(path);
  const pattern = template(arg.value, "[^/]+", arg.from, escapeLiteral);
  return new EscapedPathMatches(compile(`^${pattern}${whole ? "$" : ""}`, arg.from));
}

/** A pattern from a text with `{name}` and `{name:pattern}` in it; what is between them stands for itself. */
function template(text: string, anything: string, from: number, literal: (text: string) => string): string {
  let pattern = "";
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "{" && depth++ === 0) {
      pattern += quotePattern(literal(text.slice(start, i)));
      start = i + 1;
    } else if (text[i] === "}") {
      if (--depth < 0) break;
      if (depth > 0) continue;
      pattern += variable(text.slice(start, i), anything, from);
      start = i + 1;
    }
  }
  if (depth !== 0) throw new MatcherError(`the braces of ${JSON.stringify(text)} are not in pairs`, from);
  return pattern + quotePattern(literal(text.slice(start)));
}

function variable(inside: string, anything: string, from: number): string {
  const colon = inside.indexOf(":");
  const name = colon === -1 ? inside : inside.slice(0, colon);
  const pattern = colon === -1 ? anything : inside.slice(colon + 1);
  if (name === "" || pattern === "")
    throw new MatcherError(`expected {name} or {name:pattern}, found {${inside}}`, from);
  return `(?:${pattern})`;
}

function quotePattern(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&");
}

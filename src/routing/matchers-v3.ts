import type { Call } from "../lib/expression.ts";
import {
  AnyHost,
  ClientIpIn,
  type Condition,
  HeaderIs,
  HeaderMatches,
  HostIs,
  HostMatches,
  HostUnder,
  MethodIs,
  PathIs,
  PathMatches,
  PathStarts,
  QueryIs,
  QueryMatches,
} from "./match/conditions.ts";
import { bytesOf } from "./match/request-text.ts";
import {
  asciiHost,
  headerNameOf,
  isAscii,
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

/** The matchers of Traefik's v3 rules: every one takes a fixed number of values. */
export const V3_MATCHERS = matchers(
  {
    Host: host,
    HostRegexp: one("HostRegexp(`^[a-z]+\\.example\\.com$`)", hostRegexp),
    Path: one("Path(`/exactly/this`)", (arg, call) => new PathIs(pathOf(call, arg))),
    PathPrefix: one("PathPrefix(`/api`)", (arg, call) => new PathStarts(pathOf(call, arg))),
    PathRegexp: one("PathRegexp(`^/v[0-9]+/`)", (arg) => new PathMatches(regexpOf(arg))),
    Method: one("Method(`GET`)", ({ value }) => new MethodIs(value.toUpperCase())),
    Header: pair("Header(`name`, `value`)", (name, { value }) => new HeaderIs(name, bytesOf(value))),
    HeaderRegexp: pair(
      "HeaderRegexp(`name`, `pattern`)",
      (name, arg) => new HeaderMatches(name, regexpOf(arg)),
    ),
    Query: parameter("Query(`key`, `value`)", (key, { value }) => new QueryIs(key, value)),
    QueryRegexp: parameter(
      "QueryRegexp(`key`, `pattern`)",
      (key, arg) => new QueryMatches(key, regexpOf(arg), false),
    ),
    ClientIP: one("ClientIP(`10.0.0.0/8`)", (arg) => new ClientIpIn(rangeOf([arg]))),
  },
  {
    headers: "belongs to the v2 syntax; here it is Header",
    headersregexp: "belongs to the v2 syntax; here it is HeaderRegexp",
    hostheader: "belongs to the v2 syntax; here it is Host",
    hostsni: "is for TCP routers; here it is Host",
    hostsniregexp: "is for TCP routers; here it is HostRegexp",
    alpn: "is for TCP routers",
  },
);

function checked(call: Call, least: number, most: number, usage: string): readonly TextArgument[] {
  const args = textsOf(call, least, most, usage);
  refuseEmpty(call, args);
  return args;
}

function one(usage: string, make: (arg: TextArgument, call: Call) => Condition): Matcher {
  return (call) => ({ condition: make(checked(call, 1, 1, usage)[0]!, call) });
}

function pair(usage: string, make: (lowerName: string, arg: TextArgument) => Condition): Matcher {
  return (call) => {
    const [name, arg] = checked(call, 2, 2, usage);
    return { condition: make(headerNameOf(name!), arg!) };
  };
}

/** With one value, the parameter must be there and empty: presence alone is not asked for. */
function parameter(usage: string, make: (key: string, arg: TextArgument) => Condition): Matcher {
  return (call) => {
    const [key, arg] = checked(call, 1, 2, usage);
    return { condition: arg === undefined ? new QueryIs(key!.value, "") : make(key!.value, arg) };
  };
}

function host(call: Call): ReturnType<Matcher> {
  const arg = checked(call, 1, 1, "Host(`example.com`)")[0]!;
  const written = asciiHost(call, arg);
  if (written === "*") return { condition: new AnyHost() };
  const name = written.replace(/^\[(.*)\]$/, "$1");
  const condition = name.startsWith("*.") ? new HostUnder(name.slice(1)) : new HostIs(name);
  const doubt = doubtOf(name);
  if (doubt === undefined) return { condition, hosts: [name] };
  return { condition, warning: { message: `this never matches: ${doubt}`, offset: arg.from } };
}

function doubtOf(name: string): string | undefined {
  if (name.includes("://")) return "a host has no scheme before it";
  if (name.includes("/")) return "a host has no path; use && PathPrefix(`/...`)";
  if (/^[^:]+:\d+$/.test(name)) return "the port is cut off before hosts are compared";
  if (/^\*?[^*]*$/.test(name) && !/^\*[^.]/.test(name)) return undefined;
  return "a star stands only for the whole first label, as in *.example.com; use HostRegexp";
}

function hostRegexp(arg: TextArgument): Condition {
  if (isAscii(arg.value)) return new HostMatches(regexpOf(arg));
  throw new MatcherError(
    `the pattern ${JSON.stringify(arg.value)} is not ASCII, and hosts always are`,
    arg.from,
  );
}

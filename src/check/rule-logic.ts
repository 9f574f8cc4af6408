import {
  All,
  Any,
  AnyHost,
  type Condition,
  HeaderIs,
  HostIs,
  HostUnder,
  MethodIs,
  Not,
  PathIs,
  PathStarts,
} from "../routing/match/conditions.ts";

/** Rules with more alternatives than this are left alone: they would take longer to think through than to read. */
const ALTERNATIVES_MAX = 64;

/** A rule as alternatives, each a list of leaves that must all hold; undefined when there are too many. */
type Alternatives = readonly (readonly Condition[])[];

function alternativesOf(condition: Condition): Alternatives | undefined {
  if (condition instanceof Any) {
    const all: (readonly Condition[])[] = [];
    for (const part of condition.parts) {
      const some = alternativesOf(part);
      if (some === undefined || all.length + some.length > ALTERNATIVES_MAX) return undefined;
      all.push(...some);
    }
    return all;
  }
  if (condition instanceof All) {
    let all: Alternatives = [[]];
    for (const part of condition.parts) {
      const some = alternativesOf(part);
      if (some === undefined || all.length * some.length > ALTERNATIVES_MAX) return undefined;
      all = all.flatMap((one) => some.map((other) => [...one, ...other]));
    }
    return all;
  }
  return [[condition]];
}

/** Why no request can fulfil the rule, if that can be seen. */
export function cannotHold(condition: Condition): string | undefined {
  const reasons = alternativesOf(condition)?.map(contradictionIn);
  return reasons?.every((reason) => reason !== undefined) ? reasons[0] : undefined;
}

function contradictionIn(leaves: readonly Condition[]): string | undefined {
  for (const [i, one] of leaves.entries()) {
    for (const other of leaves.slice(i + 1)) {
      const reason = contradiction(one, other) ?? contradiction(other, one);
      if (reason !== undefined) return reason;
    }
  }
  return undefined;
}

function contradiction(a: Condition, b: Condition): string | undefined {
  if (b instanceof Not && implies(a, b.part)) return "it asks for something and for its opposite";
  if (a instanceof HostIs && b instanceof HostIs && a.host !== b.host)
    return `no request has both hosts ${a.host} and ${b.host}`;
  if (a instanceof HostIs && b instanceof HostUnder && !implies(a, b))
    return `the host ${a.host} is not one of *${b.suffix}`;
  if (a instanceof MethodIs && b instanceof MethodIs && a.method !== b.method)
    return `no request has both methods ${a.method} and ${b.method}`;
  if (a instanceof PathIs && b instanceof PathIs && a.path !== b.path)
    return `no request has both paths ${a.path} and ${b.path}`;
  if (a instanceof PathIs && b instanceof PathStarts && !implies(a, b))
    return `the path ${a.path} does not begin with ${b.prefix}`;
  if (a instanceof PathStarts && b instanceof PathStarts && !implies(a, b) && !implies(b, a))
    return `no path begins with both ${a.prefix} and ${b.prefix}`;
  return undefined;
}

/** Whether every request that fulfils the second rule fulfils the first too. False when that cannot be seen. */
export function covers(first: Condition, second: Condition): boolean {
  const wide = alternativesOf(first);
  const narrow = alternativesOf(second);
  if (wide === undefined || narrow === undefined) return false;
  return narrow.every((leaves) =>
    wide.some((wanted) => wanted.every((want) => leaves.some((leaf) => implies(leaf, want)))),
  );
}

/** Whether the second holds whenever the first does. */
function implies(a: Condition, b: Condition): boolean {
  if (b instanceof AnyHost) return true;
  if (a instanceof Not || b instanceof Not)
    return a instanceof Not && b instanceof Not && implies(b.part, a.part);
  if (a instanceof HostIs && b instanceof HostUnder) {
    const labelEnd = a.host.length - b.suffix.length;
    return labelEnd > 0 && a.host.indexOf(".") === labelEnd && a.host.endsWith(b.suffix);
  }
  if ((a instanceof PathIs || a instanceof PathStarts) && b instanceof PathStarts) {
    return (a instanceof PathIs ? a.path : a.prefix).startsWith(b.prefix);
  }
  return sameLeaf(a, b);
}

function sameLeaf(a: Condition, b: Condition): boolean {
  if (a.constructor !== b.constructor) return false;
  if (a instanceof HostIs) return a.host === (b as HostIs).host;
  if (a instanceof HostUnder) return a.suffix === (b as HostUnder).suffix;
  if (a instanceof MethodIs) return a.method === (b as MethodIs).method;
  if (a instanceof PathIs) return a.path === (b as PathIs).path;
  if (a instanceof HeaderIs)
    return a.lowerName === (b as HeaderIs).lowerName && a.value === (b as HeaderIs).value;
  return false;
}

import {
  All,
  Any,
  AnyHost,
  type Condition,
  HostIs,
  HostUnder,
  PathIs,
  PathStarts,
} from "./match/conditions.ts";

/** A host and a path under which a rule can match: what the index files it by. */
export interface Key {
  /** A name, `*.` and a suffix, or empty for any host. */
  readonly host: string;
  readonly path: string;
  /** The path is the whole path, not a prefix. Any path is the empty prefix. */
  readonly pathIsWhole: boolean;
  /** A request with this host and path matches: there is nothing more to ask. */
  readonly decides: boolean;
}

const ANYTHING: Key = { host: "", path: "", pathIsWhole: false, decides: false };

// A rule with more combinations of hosts and paths than this is filed under fewer, and asked more often.
const KEYS_MAX = 10_000;

/** A request that meets the condition is found under at least one of these keys. */
export function keysOf(condition: Condition): readonly Key[] {
  // In the v2 syntax a star is a star, and no host has one.
  if (condition instanceof HostIs && condition.host.startsWith("*.")) return [];
  if (condition instanceof HostIs) return [{ ...ANYTHING, host: condition.host, decides: true }];
  if (condition instanceof HostUnder) return [{ ...ANYTHING, host: `*${condition.suffix}`, decides: true }];
  if (condition instanceof AnyHost) return [{ ...ANYTHING, decides: true }];
  if (condition instanceof PathIs)
    return [{ ...ANYTHING, path: condition.path, pathIsWhole: true, decides: true }];
  if (condition instanceof PathStarts) return [{ ...ANYTHING, path: condition.prefix, decides: true }];
  if (condition instanceof All) return condition.parts.map(keysOf).reduce(bothOf);
  if (condition instanceof Any) return distinct(condition.parts.flatMap(keysOf));
  return [ANYTHING];
}

function bothOf(left: readonly Key[], right: readonly Key[]): readonly Key[] {
  if (left.length * right.length > KEYS_MAX) return left.map((key) => ({ ...key, decides: false }));
  const keys: Key[] = [];
  for (const a of left) {
    for (const b of right) {
      const both = intersection(a, b);
      if (both !== undefined) keys.push(both);
    }
  }
  return distinct(keys);
}

function intersection(a: Key, b: Key): Key | undefined {
  const host = narrowerHost(a.host, b.host);
  const path = narrowerPath(a, b);
  if (host === undefined || path === undefined) return undefined;
  return { host, path: path.path, pathIsWhole: path.pathIsWhole, decides: a.decides && b.decides };
}

function narrowerHost(a: string, b: string): string | undefined {
  if (a === b || b === "") return a;
  if (a === "") return b;
  if (isUnder(a, b)) return a;
  return isUnder(b, a) ? b : undefined;
}

function isUnder(host: string, wildcard: string): boolean {
  if (!wildcard.startsWith("*.") || host.startsWith("*.")) return false;
  const dot = host.indexOf(".");
  return dot > 0 && host.slice(dot) === wildcard.slice(1);
}

function narrowerPath(a: Key, b: Key): Key | undefined {
  if (a.pathIsWhole && b.pathIsWhole) return a.path === b.path ? a : undefined;
  if (a.pathIsWhole) return a.path.startsWith(b.path) ? a : undefined;
  if (b.pathIsWhole) return b.path.startsWith(a.path) ? b : undefined;
  if (a.path.startsWith(b.path)) return a;
  return b.path.startsWith(a.path) ? b : undefined;
}

/** One key a place; if two fell together, the one that decides stays. */
function distinct(keys: readonly Key[]): readonly Key[] {
  if (keys.length < 2) return keys;
  const byPlace = new Map<string, Key>();
  for (const key of keys) {
    const place = `${key.host} ${key.pathIsWhole ? "=" : "^"}${key.path}`;
    if (key.decides || !byPlace.has(place)) byPlace.set(place, key);
  }
  return [...byPlace.values()];
}

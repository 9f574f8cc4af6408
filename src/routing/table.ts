import type { Exchange } from "../model/exchange.ts";
import type { Route, RouteTable } from "../model/route.ts";
import type { RouterSpec } from "../model/snapshot.ts";
import { type Consideration, explainMatch } from "./explain.ts";
import { type Key, keysOf } from "./keys.ts";
import type { Condition } from "./match/conditions.ts";
import { RouterIndex } from "./match/router-index.ts";
import { compareRouters } from "./priority.ts";
import { parseRule } from "./rule.ts";

export interface CompiledRouter {
  readonly spec: RouterSpec;
  readonly route: Route;
}

/** Files every router under its entry points. Routers whose rule does not parse are left out: they are told of earlier. */
export function compileTable(routers: readonly CompiledRouter[]): RoutingTable {
  return new RoutingTable([...routers].sort((a, b) => compareRouters(a.spec, b.spec)));
}

export class RoutingTable implements RouteTable {
  /** In the order in which they are tried. */
  readonly #routers: readonly CompiledRouter[];
  readonly #plain: Map<string, RouterIndex>;
  readonly #tls: Map<string, RouterIndex>;

  constructor(sorted: readonly CompiledRouter[]) {
    this.#routers = sorted;
    this.#plain = new Map();
    this.#tls = new Map();
    const children = childrenByParent(sorted);
    sorted.forEach(({ spec, route }, rank) => {
      if (spec.parents.length > 0) return;
      const byEntryPoint = spec.tls === undefined ? this.#plain : this.#tls;
      const indexes = spec.entryPoints.map((entryPoint) => indexFor(byEntryPoint, entryPoint));
      fileRouter(indexes, spec, withChildren(route, spec.name, children, []), rank);
    });
  }

  match(exchange: Exchange): Route | undefined {
    const { entryPoint, tls } = exchange.connection;
    return (tls === undefined ? this.#plain : this.#tls).get(entryPoint)?.match(exchange);
  }

  /** What was thought of each router, in the order in which they are tried, up to the one that takes the exchange. */
  explain(exchange: Exchange): readonly Consideration[] {
    return explainMatch(
      this.#routers.map((router) => router.spec),
      exchange,
    );
  }
}

function indexFor(byEntryPoint: Map<string, RouterIndex>, entryPoint: string): RouterIndex {
  let index = byEntryPoint.get(entryPoint);
  if (index === undefined) {
    index = new RouterIndex();
    byEntryPoint.set(entryPoint, index);
  }
  return index;
}

function fileRouter(indexes: readonly RouterIndex[], spec: RouterSpec, route: Route, rank: number): void {
  const filing = filingOf(spec);
  if (filing === undefined) return;
  const decided = { rank, route, condition: undefined };
  const open = { rank, route, condition: filing.condition };
  for (const key of filing.keys) {
    for (const index of indexes) index.add(key, key.decides ? decided : open);
  }
}

/** Where a rule is filed; undefined if it does not parse. */
type Filing = { readonly condition: Condition; readonly keys: readonly Key[] } | undefined;

// A spec that has not changed stays the same object from snapshot to snapshot: its rule is parsed once, and its
// patterns keep what they have learnt of the texts they see.
const filings = new WeakMap<RouterSpec, { readonly filing: Filing }>();

function filingOf(spec: RouterSpec): Filing {
  const known = filings.get(spec);
  if (known !== undefined) return known.filing;
  const parsed = parseRule(spec.rule, spec.ruleSyntax);
  const filing =
    "problem" in parsed
      ? undefined
      : { condition: parsed.rule.condition, keys: keysOf(parsed.rule.condition) };
  filings.set(spec, { filing });
  return filing;
}

function childrenByParent(sorted: readonly CompiledRouter[]): ReadonlyMap<string, readonly CompiledRouter[]> {
  const children = new Map<string, CompiledRouter[]>();
  for (const router of sorted) {
    for (const parent of router.spec.parents) {
      const siblings = children.get(parent);
      if (siblings === undefined) children.set(parent, [router]);
      else siblings.push(router);
    }
  }
  return children;
}

/** The route with a table of its children, whose routes go on where this one's hooks end. */
function withChildren(
  route: Route,
  name: string,
  children: ReadonlyMap<string, readonly CompiledRouter[]>,
  ancestors: readonly string[],
): Route {
  const routers = children.get(name);
  // A router that is its own ancestor ends here; the control plane has reported it.
  if (routers === undefined || ancestors.includes(name)) return route;
  const index = new RouterIndex();
  routers.forEach((child, rank) => {
    const continued: Route = {
      ...route,
      name: `${route.name} -> ${child.route.name}`,
      rule: child.route.rule,
      hooks: [...route.hooks, ...child.route.hooks],
      service: child.route.service,
    };
    fileRouter(
      [index],
      child.spec,
      withChildren(continued, child.spec.name, children, [...ancestors, name]),
      rank,
    );
  });
  return { ...route, children: index };
}

import type { TransportOptions } from "../model/dynamic.ts";
import type { Exchange, Reply } from "../model/exchange.ts";
import type { Hooks } from "../model/middleware.ts";
import type { Route } from "../model/route.ts";
import type { ServerCells } from "../model/server-cells.ts";
import type { Leaf, Service } from "../model/service.ts";
import type { MiddlewareSpec, RouterSpec, ServiceSpec, Snapshot } from "../model/snapshot.ts";
import type { Upstream } from "../model/upstream.ts";
import { type CompiledRouter, compileTable, type RoutingTable } from "../routing/table.ts";
import type { Catalogue } from "./catalogue.ts";
import { Failover, HighestRandomWeight, Mirroring, Weighted } from "./composite.ts";
import { LoadBalancer } from "./load-balancer.ts";
import { Middlewares, refuseAll, type Tools } from "./middlewares.ts";

/** What compiling needs from the thread it happens in. */
export interface Surroundings {
  readonly catalogue: Catalogue;
  readonly tools: Tools;
  readonly cells: ServerCells;
  /** Index of this thread. */
  readonly thread: number;
  readonly makeUpstream: (options: TransportOptions) => Upstream;
  /** Services that the proxy answers itself, by name: `ping@internal`. */
  readonly internal: ReadonlyMap<string, (exchange: Exchange) => Reply | Promise<Reply>>;
  /** What a traced router's requests are traced by, and what stands before its middlewares: always the same objects. */
  readonly trace?:
    | {
        readonly router: (spec: RouterSpec) => Hooks;
        readonly middleware: (spec: MiddlewareSpec) => Hooks;
      }
    | undefined;
}

interface Transport {
  readonly options: TransportOptions;
  readonly upstream: Upstream;
}

interface Built {
  readonly spec: ServiceSpec;
  readonly hooks: readonly Hooks[];
  /** What else it was built from: its upstream, or the services it chooses among. */
  readonly parts: readonly unknown[];
  readonly service: Service;
}

/**
 * Turns snapshots into route tables, one after the other. Whatever has not changed from one to the next stays the same
 * object: pools, balancers' positions, middlewares' state.
 */
export class Compiler {
  readonly #around: Surroundings;
  readonly #middlewares: Middlewares;
  #upstreams: ReadonlyMap<string, Transport> = new Map();
  #services = new Map<string, Built>();
  #routers = new Map<string, CompiledRouter>();

  constructor(around: Surroundings) {
    this.#around = around;
    this.#middlewares = new Middlewares(around.catalogue.middlewares, around.tools);
  }

  /** The table for this snapshot. `release` lets go of what only earlier ones used; call it once the table is in force. */
  compile(snapshot: Snapshot): { readonly table: RoutingTable; readonly release: () => void } {
    const oldUpstreams = this.#upstreams;
    const oldServices = this.#services;
    this.#upstreams = this.#compileTransports(snapshot, oldUpstreams);
    this.#services = new Map();
    const building: Round = { snapshot, old: oldServices };
    for (const name of snapshot.services.keys()) this.#serviceOf(name, building);
    this.#routers = this.#compileRouters(snapshot, this.#routers);
    const table = compileTable([...this.#routers.values()]);
    return {
      table,
      release: () => {
        this.#middlewares.settle();
        this.#forgetServers(oldServices);
        for (const [name, { upstream }] of oldUpstreams) {
          if (this.#upstreams.get(name)?.upstream !== upstream) upstream.close();
        }
      },
    };
  }

  /** A service of the table in force, for middlewares that ask one: `errors`. */
  service(name: string): Service | undefined {
    return this.#services.get(name)?.service;
  }

  middlewareStates(): ReturnType<Middlewares["states"]> {
    return this.#middlewares.states();
  }

  #compileTransports({ transports }: Snapshot, old: ReadonlyMap<string, Transport>): Map<string, Transport> {
    const made = new Map<string, Transport>();
    for (const [name, options] of transports) {
      const known = old.get(name);
      made.set(
        name,
        known?.options === options ? known : { options, upstream: this.#around.makeUpstream(options) },
      );
    }
    return made;
  }

  #compileRouters({ routers, middlewares }: Snapshot, old: ReadonlyMap<string, CompiledRouter>) {
    const compiled = new Map<string, CompiledRouter>();
    for (const spec of routers) {
      const before = old.get(spec.name);
      if (spec.closed !== undefined) {
        const isClosed = before?.spec === spec;
        compiled.set(spec.name, isClosed ? before : { spec, route: closedRoute(spec, spec.closed) });
        continue;
      }
      const own = this.#middlewares.hooksOf(
        spec.name,
        spec.middlewares.map((name) => middlewares.get(name)!),
        spec.tracing && spec.detailedTraces ? this.#around.trace?.middleware : undefined,
      );
      // A child goes on with the hooks of its parent, the tracing one included.
      const trace = spec.tracing && spec.parents.length === 0 ? this.#around.trace?.router(spec) : undefined;
      const hooks = trace === undefined ? own : [trace, ...own];
      const service = this.#services.get(spec.service)?.service ?? NO_SERVICE;
      const isSame =
        before?.spec === spec && before.route.service === service && sameItems(before.route.hooks, hooks);
      compiled.set(spec.name, isSame ? before : { spec, route: routeOf(spec, hooks, service) });
    }
    return compiled;
  }

  #serviceOf(name: string, round: Round): Service {
    const done = this.#services.get(name);
    if (done !== undefined) return done.service;
    const spec = round.snapshot.services.get(name)!;
    const specs = spec.middlewares.map((middleware) => round.snapshot.middlewares.get(middleware)!);
    const hooks = this.#middlewares.hooksOf(name, specs);
    const parts = this.#partsOf(spec, round);
    const known = round.old.get(name);
    const isSame = known?.spec === spec && sameItems(known.hooks, hooks) && sameItems(known.parts, parts);
    const built = isSame ? known : { spec, hooks, parts, service: this.#build(spec, hooks, round) };
    this.#services.set(name, built);
    return built.service;
  }

  #partsOf(spec: ServiceSpec, round: Round): readonly unknown[] {
    if (spec.kind === "loadBalancer") return [this.#upstreamOf(spec.options.serversTransport)];
    return childrenOf(spec).map((name) => this.#serviceOf(name, round));
  }

  #build(spec: ServiceSpec, hooks: readonly Hooks[], round: Round): Service {
    const find = (name: string) => this.#serviceOf(name, round);
    switch (spec.kind) {
      case "weighted":
        return new Weighted(spec, find, hooks);
      case "mirroring":
        return new Mirroring(spec, find, hooks);
      case "failover":
        return new Failover(spec, find, hooks);
      case "highestRandomWeight":
        return new HighestRandomWeight(spec, find, hooks);
      case "internal":
        return new Internal(spec.name, this.#around.internal.get(spec.name)!, hooks);
      case "loadBalancer": {
        const strategy = this.#around.catalogue.strategies.get(spec.options.strategy || "wrr")!;
        const memory = { cells: this.#around.cells, thread: this.#around.thread };
        return new LoadBalancer(
          spec,
          strategy,
          this.#upstreamOf(spec.options.serversTransport),
          memory,
          hooks,
        );
      }
    }
  }

  #upstreamOf(transport: string): Upstream {
    return this.#upstreams.get(transport)!.upstream;
  }

  // Two services may share a server by one transport: it is gone when none of them has it any more.
  #forgetServers(old: ReadonlyMap<string, Built>): void {
    const kept = new Map<Upstream, Set<string>>();
    for (const { service } of this.#services.values()) {
      if (service instanceof LoadBalancer) addServers(kept, service);
    }
    const had = new Map<Upstream, Set<string>>();
    for (const { service } of old.values()) if (service instanceof LoadBalancer) addServers(had, service);
    for (const [upstream, ids] of had) {
      const gone = [...ids].filter((id) => !kept.get(upstream)?.has(id));
      if (gone.length > 0) upstream.forget(gone);
    }
  }
}

interface Round {
  readonly snapshot: Snapshot;
  readonly old: ReadonlyMap<string, Built>;
}

/** Services that a composite service chooses among. */
export function childrenOf(spec: ServiceSpec): readonly string[] {
  switch (spec.kind) {
    case "weighted":
    case "highestRandomWeight":
      return spec.options.services.map((child) => child.name);
    case "mirroring":
      return [spec.options.service, ...spec.options.mirrors.map((mirror) => mirror.name)];
    case "failover":
      return [spec.options.service, spec.options.fallback];
    default:
      return [];
  }
}

function addServers(into: Map<Upstream, Set<string>>, { upstream, spec }: LoadBalancer): void {
  let ids = into.get(upstream);
  if (ids === undefined) {
    ids = new Set();
    into.set(upstream, ids);
  }
  for (const server of spec.servers) ids.add(server.id);
}

function routeOf(spec: RouterSpec, hooks: readonly Hooks[], service: Service): Route {
  return {
    name: spec.name,
    rule: spec.rule,
    hooks,
    service,
    tlsOptions: spec.tls?.options,
    accessLog: spec.accessLog,
    accessLogSampleRate: spec.accessLogSampleRate,
    metrics: spec.metrics,
    tracing: spec.tracing,
  };
}

const closedRoute = (spec: RouterSpec, why: string) => routeOf(spec, [refuseAll(why)], NO_SERVICE);

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

/** A service inside the proxy. */
class Internal implements Service, Leaf {
  readonly name: string;
  readonly hooks: readonly Hooks[];
  readonly answer: NonNullable<Leaf["answer"]>;
  readonly passHostHeader = true;

  constructor(name: string, answer: NonNullable<Leaf["answer"]>, hooks: readonly Hooks[]) {
    this.name = name;
    this.answer = answer;
    this.hooks = hooks;
  }

  available(): boolean {
    return true;
  }

  choose(): Leaf {
    return this;
  }

  pick(): never {
    throw new Error(`${this.name} answers by itself`);
  }
}

/** Parents of other routers have no service: the table never gives them as an answer. */
const NO_SERVICE: Service = {
  name: "",
  available: () => false,
  choose() {
    throw new Error("a router without a service was matched");
  },
};

import { tickMs } from "../lib/tick.ts";
import type { Balancer, Strategy } from "../model/balancer.ts";
import type { Exchange } from "../model/exchange.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import { getHeader } from "../model/headers.ts";
import type { Hooks } from "../model/middleware.ts";
import type { ServerCells } from "../model/server-cells.ts";
import type { Leaf, LeafLimits, Server, Service } from "../model/service.ts";
import type { ServerSpec, ServiceSpec } from "../model/snapshot.ts";
import type { Upstream } from "../model/upstream.ts";
import { getCookie } from "./cookies.ts";
import { makeSticky, type StickyCookie, serverCookieHook } from "./sticky.ts";

export type LoadBalancerSpec = Extract<ServiceSpec, { kind: "loadBalancer" }>;

/** Seconds after which asking again may help, when nothing tells us better. */
const RETRY_AFTER_S = 5;

/** A service with servers of its own: who may take a request, who gets it, and why nobody does. */
export class LoadBalancer implements Service, Leaf {
  readonly spec: LoadBalancerSpec;
  readonly name: string;
  readonly hooks: readonly Hooks[];
  readonly answer = undefined;
  readonly passHostHeader: boolean;
  readonly upstream: Upstream;
  readonly limits: LeafLimits;
  readonly retryAfterS: number;
  readonly #fleet: Fleet;
  readonly #balancer: Balancer;
  readonly #sticky: StickyCookie<Server> | undefined;
  readonly #reason: Reason;

  constructor(
    spec: LoadBalancerSpec,
    strategy: Strategy,
    upstream: Upstream,
    memory: { cells: ServerCells; thread: number },
    hooks: readonly Hooks[],
  ) {
    const { options } = spec;
    this.spec = spec;
    this.name = spec.name;
    this.passHostHeader = options.passHostHeader;
    this.upstream = upstream;
    this.limits = limitsOf(spec);
    this.#fleet = new Fleet(spec, memory);
    const { servers } = this.#fleet;
    this.#balancer = strategy.create(servers, {
      random: Math.random,
      tickMs,
      keyOf: keyReader(options.hashBy),
    });
    // Rendezvous hashing keeps clients where they are without a cookie, and Traefik sets none either.
    const sticky = options.strategy === "hrw" ? undefined : options.sticky;
    this.#sticky = makeSticky(
      spec.name,
      sticky,
      servers.map((server) => [server.spec.url, server] as const),
    );
    this.#reason = reasonOf(spec);
    this.retryAfterS = this.#reason.retryAfterS;
    this.hooks = this.#sticky === undefined ? hooks : [serverCookieHook(this.#sticky), ...hooks];
  }

  available(): boolean {
    return this.#fleet.available();
  }

  choose(): Leaf {
    return this;
  }

  pick(exchange: Exchange, tried: readonly Server[] | undefined): Server | Fault {
    this.#fleet.lookForPanic();
    const known = this.#sticky?.read(exchange);
    if (known?.up() && known.spec.weight > 0 && !tried?.includes(known)) return known;
    const server = this.#balancer.pick(exchange, tried);
    if (server !== undefined) return server;
    exchange.detail = this.#reason.detail;
    return this.#reason.fault;
  }

  done(
    _exchange: Exchange,
    server: Server,
    firstByteMs: number,
    status: number,
    fault: Fault | undefined,
  ): void {
    this.#balancer.done?.(server, firstByteMs, status);
    this.#fleet.judge(server as FleetServer, status, fault);
  }
}

/** The servers of one service in this thread, and the outlier detection that they share with the other threads. */
class Fleet {
  readonly servers: readonly FleetServer[];
  /** So few are healthy that all are used again. */
  panic = false;
  readonly #cells: ServerCells;
  readonly #passive: LoadBalancerSpec["options"]["passiveHealthCheck"];

  constructor(
    { servers, slots, options }: LoadBalancerSpec,
    { cells, thread }: { cells: ServerCells; thread: number },
  ) {
    this.#cells = cells;
    this.#passive = options.passiveHealthCheck;
    this.servers = servers.map((spec, i) => new FleetServer(spec, this, cells, slots[i]!, thread));
  }

  available(): boolean {
    this.lookForPanic();
    for (let i = 0; i < this.servers.length; i++) {
      const server = this.servers[i]!;
      if (server.spec.weight > 0 && server.up()) return true;
    }
    return false;
  }

  lookForPanic(): void {
    const percent = this.#passive?.panicPercent ?? 0;
    if (percent === 0) return;
    let healthy = 0;
    for (let i = 0; i < this.servers.length; i++) if (this.servers[i]!.healthy()) healthy++;
    this.panic = healthy * 100 < percent * this.servers.length;
  }

  judge(server: FleetServer, status: number, fault: Fault | undefined): void {
    const passive = this.#passive;
    if (passive === undefined) return;
    const ours = fault !== undefined && fault.source !== "upstream";
    if (ours) return;
    if (status > 0 && status < 500 && fault === undefined) {
      this.#cells.forgive(server.slot);
      return;
    }
    const nowMs = tickMs();
    if (this.#cells.fail(server.slot, nowMs, passive.failureWindow) < passive.maxFailedAttempts) return;
    if (this.#mayEject(server, passive.maxEjectedPercent, nowMs)) {
      this.#cells.eject(server.slot, nowMs + passive.failureWindow);
    }
  }

  #mayEject(server: FleetServer, percentMax: number, nowMs: number): boolean {
    let ejected = 1;
    for (const other of this.servers)
      if (other !== server && this.#cells.ejected(other.slot, nowMs)) ejected++;
    return ejected * 100 <= percentMax * this.servers.length;
  }
}

class FleetServer implements Server {
  readonly spec: ServerSpec;
  readonly slot: number;
  readonly #fleet: Fleet;
  readonly #cells: ServerCells;
  readonly #thread: number;

  constructor(spec: ServerSpec, fleet: Fleet, cells: ServerCells, slot: number, thread: number) {
    this.spec = spec;
    this.slot = slot;
    this.#fleet = fleet;
    this.#cells = cells;
    this.#thread = thread;
  }

  get inFlight(): number {
    return this.#cells.inFlightOf(this.slot, this.#thread);
  }

  set inFlight(count: number) {
    this.#cells.setInFlightOf(this.slot, this.#thread, count);
  }

  up(): boolean {
    return this.#fleet.panic || this.healthy();
  }

  healthy(): boolean {
    const cells = this.#cells;
    if (!cells.healthy(this.slot)) return false;
    // Most servers never were, and the clock need not be asked for them.
    return !cells.wasEjected(this.slot) || !cells.ejected(this.slot, tickMs());
  }
}

interface Reason {
  readonly fault: Fault;
  readonly detail: string;
  readonly retryAfterS: number;
}

/** What a client is told while no server may be picked. */
function reasonOf({ servers, unavailable, options }: LoadBalancerSpec): Reason {
  const some = servers.filter((server) => server.weight > 0);
  if (some.length > 0) {
    const checkS = Math.ceil(
      (options.healthCheck?.unhealthyInterval ?? options.healthCheck?.interval ?? 0) / 1000,
    );
    const detail = `all of ${some.length} servers are down or have failed for this request: ${some
      .slice(0, 5)
      .map((server) => server.url)
      .join(", ")}`;
    return { fault: FAULTS["no-server"], detail, retryAfterS: checkS > 0 ? checkS : RETRY_AFTER_S };
  }
  // A container that will be ready soon is better news than one that never will.
  const hopeful = unavailable.filter((reason) => reason.retryAfterS > 0);
  const first = hopeful.toSorted((a, b) => a.retryAfterS - b.retryAfterS)[0] ?? unavailable[0];
  const detail = unavailable.map((reason) => `${reason.workload}: ${reason.detail}`).join("; ");
  if (first !== undefined) return { fault: FAULTS[first.fault], detail, retryAfterS: first.retryAfterS };
  return { fault: FAULTS["no-server"], detail: "the service has no servers", retryAfterS: RETRY_AFTER_S };
}

export function limitsOf({ timeouts, limits }: ServiceSpec): LeafLimits {
  return {
    requestMs: timeouts?.request ?? 0,
    idleMs: timeouts?.idle ?? 0,
    connectMs: timeouts?.connect ?? 0,
    bodyBytesMax: limits?.body ?? 0,
  };
}

/** `clientIp`, `header:Name` or `cookie:name`. */
function keyReader(hashBy: string): (exchange: Exchange) => string {
  const colon = hashBy.indexOf(":");
  const kind = colon < 0 ? hashBy : hashBy.slice(0, colon);
  const name = hashBy.slice(colon + 1);
  if (kind.toLowerCase() === "header") {
    const lower = name.toLowerCase();
    return (exchange) => getHeader(exchange.headers, lower) ?? "";
  }
  if (kind.toLowerCase() === "cookie") return (exchange) => getCookie(exchange.headers, name) ?? "";
  return (exchange) => exchange.connection.peerIp;
}

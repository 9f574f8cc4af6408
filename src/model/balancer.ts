import type { Exchange } from "./exchange.ts";
import type { Server } from "./service.ts";

/** Chooses among servers that are up. One instance a service and thread; kept while the service stays the same. */
export interface Balancer {
  /** Undefined when no server may be picked. `tried` holds servers that already failed for this exchange. */
  pick(exchange: Exchange, tried: readonly Server[] | undefined): Server | undefined;
  /** Told at every reply, for strategies that learn. Milliseconds to the first byte, and the status (0: none). */
  done?(server: Server, firstByteMs: number, status: number): void;
}

/** What a strategy is given instead of reaching for it. */
export interface BalancerHost {
  /** From 0 to less than 1. */
  readonly random: () => number;
  /** Monotonic clock, milliseconds. */
  readonly tickMs: () => number;
  /** What `hashBy` names: the client's address, a header or a cookie; empty when the request has none. */
  readonly keyOf: (exchange: Exchange) => string;
}

/** One file in `src/balancer/` exports one of these as its default; the folder is the registry. */
export interface Strategy {
  /** Its name in `loadBalancer.strategy`: `wrr`. */
  readonly name: string;
  readonly summary: string;
  readonly create: (servers: readonly Server[], host: BalancerHost) => Balancer;
}

/** Whether the server may be picked: it is up, has a share, and has not failed for this exchange already. */
export function mayPick(server: Server, tried: readonly Server[] | undefined): boolean {
  return server.spec.weight > 0 && server.up() && (tried === undefined || !tried.includes(server));
}

import type { Exchange } from "./exchange.ts";
import type { Server } from "./service.ts";

/** Chooses among servers that are up. One instance a service and thread; kept while the service stays the same. */
export interface Balancer {
  /** Undefined when no server may be picked. `tried` holds servers that already failed for this exchange. */
  pick(exchange: Exchange, tried: readonly Server[] | undefined): Server | undefined;
  /** Told at every reply, for strategies that learn. Milliseconds to the first byte, and the status (0: none). */
  done?(server: Server, firstByteMs: number, status: number): void;
}

/** One file in `src/balancer/` exports one of these as its default; the folder is the registry. */
export interface Strategy {
  /** Its name in `loadBalancer.strategy`: `wrr`. */
  readonly name: string;
  readonly summary: string;
  readonly create: (servers: readonly Server[], random: () => number) => Balancer;
}

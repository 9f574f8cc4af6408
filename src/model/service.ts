import type { Exchange, Reply } from "./exchange.ts";
import type { Fault } from "./fault.ts";
import type { Hooks } from "./middleware.ts";
import type { ServerSpec } from "./snapshot.ts";
import type { Upstream } from "./upstream.ts";

/** A service, compiled. Composite services (weighted, mirroring, failover) choose among others. */
export interface Service {
  /** `app@docker`. */
  readonly name: string;
  /** Whether some server of it may take a request now. */
  available(): boolean;
  /** Walks down to the service that has servers. */
  choose(exchange: Exchange): Leaf;
}

/** A service that answers by itself or has servers. */
export interface Leaf {
  readonly name: string;
  /** Service-level middlewares. */
  readonly hooks: readonly Hooks[];
  /** Set for services inside the proxy (`ping@internal`). */
  readonly answer: ((exchange: Exchange) => Reply | Promise<Reply>) | undefined;
  /** The next server to try, or the fault that says why there is none. `tried` holds those that failed already. */
  pick(exchange: Exchange, tried: readonly Server[] | undefined): Server | Fault;
  /** Said to clients with a fault of `pick`: after how many seconds asking again may help; 0 for unknown. */
  readonly retryAfterS?: number;
  readonly passHostHeader: boolean;
  /** How its servers are connected to. Only a leaf that answers by itself may leave it out. */
  readonly upstream?: Upstream;
  readonly limits?: LeafLimits;
  /** Told once for every server that was tried. Status 0 and a fault: no reply. */
  done?(
    exchange: Exchange,
    server: Server,
    firstByteMs: number,
    status: number,
    fault: Fault | undefined,
  ): void;
}

/** Limits of one service; 0 leaves each to the transport, or sets none. */
export interface LeafLimits {
  readonly requestMs: number;
  readonly idleMs: number;
  readonly connectMs: number;
  readonly bodyBytesMax: number;
}

/** One server of a service in this thread: where it is, how it does, and its connections. */
export interface Server {
  readonly spec: ServerSpec;
  /** Requests under way from this thread. */
  inFlight: number;
  /** Whether health checks and outlier detection let it take requests. */
  up(): boolean;
}

import type { TimeLimits } from "../lib/time-limits.ts";
import type { Gateway } from "../model/client.ts";
import type { Connection, Exchange } from "../model/exchange.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import type { RouteTable } from "../model/route.ts";
import { handle } from "./handle.ts";
import { hooksAt } from "./hooks.ts";
import { RetryBudget } from "./retry.ts";

/** Told what came of requests: the access log and the metrics. */
export interface Observer {
  /** Once an exchange, when nothing more will be sent. */
  done(exchange: Exchange): void;
  /** A request that never became an exchange. */
  refused(connection: Connection, fault: Fault, detail: string): void;
  /** A hook or a service threw: an error of ours or of a plug-in. */
  failed(exchange: Exchange, error: unknown): void;
  /** The headers of servers' replies are kept as they were before middlewares changed them. */
  readonly wantsOriginHeaders?: boolean;
  /** The same for the number of its bytes. */
  readonly wantsOriginSize?: boolean;
  /** The trailers of gRPC replies are kept: they say whether a call succeeded. */
  readonly wantsTrailers?: boolean;
}

/** The gateway of one thread: the table in force, and what is counted over all requests. */
export class HttpGateway implements Gateway {
  readonly observer: Observer;
  readonly limits: TimeLimits;
  readonly retries: RetryBudget;
  table: RouteTable;
  /** Requests under way, tunnels included. */
  active: number;

  constructor(table: RouteTable, observer: Observer, limits: TimeLimits, retryBudget = 20) {
    this.table = table;
    this.observer = observer;
    this.limits = limits;
    this.retries = new RetryBudget(retryBudget);
    this.active = 0;
  }

  /** From now on requests go by another table. Those under way keep what they have. */
  swap(table: RouteTable): void {
    this.table = table;
  }

  handle(exchange: Exchange): void {
    this.active++;
    this.retries.earn();
    handle(exchange, this.table, this);
  }

  left(exchange: Exchange): void {
    if (exchange.clientLeft) return;
    exchange.clientLeft = true;
    if (exchange.status === 0) exchange.status = FAULTS["client-gone"].status;
    exchange.fault ??= FAULTS["client-gone"];
    exchange.call?.cancel();
  }

  done(exchange: Exchange): void {
    this.active--;
    this.over(exchange);
    this.observer.done(exchange);
  }

  /** Also for exchanges that no client sees: mirrored copies and calls of middlewares. */
  over(exchange: Exchange): void {
    exchange.call?.over?.();
    exchange.call = undefined;
    for (let i = exchange.hooksRun - 1; i >= 0; i--) {
      const hooks = hooksAt(exchange, i);
      if (hooks.onDone === undefined) continue;
      try {
        hooks.onDone(exchange);
      } catch (error) {
        this.observer.failed(exchange, error);
      }
    }
    exchange.hooksRun = 0;
  }

  refused(connection: Connection, fault: Fault, detail: string): void {
    this.observer.refused(connection, fault, detail);
  }
}

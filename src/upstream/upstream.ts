import type { TimeLimits } from "../lib/time-limits.ts";
import type { TransportOptions } from "../model/dynamic.ts";
import type { Exchange } from "../model/exchange.ts";
import type { Server } from "../model/service.ts";
import type { Upstream, UpstreamCall, UpstreamEvents } from "../model/upstream.ts";
import { Http1Call } from "./http1-call.ts";
import { Pool } from "./pool.ts";
import { Transport, type TransportTls } from "./transport.ts";
import { UpgradeCall } from "./upgrade-call.ts";

/** The connections of one transport in one thread: a pool for each server, by the server's identity. */
export class ServersUpstream implements Upstream {
  readonly #transport: Transport;
  readonly #pools = new Map<string, Pool>();

  constructor(options: TransportOptions, tls: TransportTls, limits: TimeLimits) {
    this.#transport = new Transport(options, tls, limits, () => {});
  }

  send(exchange: Exchange, server: Server, events: UpstreamEvents): UpstreamCall {
    if (exchange.upgrade !== undefined) return new UpgradeCall(exchange, server, events, this.#transport);
    const pool = this.#poolOf(server);
    const call = new Http1Call(exchange, server, events, pool);
    pool.send(call);
    return call;
  }

  #poolOf(server: Server): Pool {
    let pool = this.#pools.get(server.spec.id);
    if (pool === undefined) {
      pool = new Pool(server, this.#transport);
      this.#pools.set(server.spec.id, pool);
    }
    return pool;
  }

  forget(serverIds: readonly string[]): void {
    for (const id of serverIds) {
      this.#pools.get(id)?.close();
      this.#pools.delete(id);
    }
  }

  close(): void {
    this.forget([...this.#pools.keys()]);
  }

  /** Connections open now, idle ones included. */
  get open(): number {
    let open = 0;
    for (const pool of this.#pools.values()) open += pool.open;
    return open;
  }
}

import type { TimeLimits } from "../lib/time-limits.ts";
import type { TransportOptions } from "../model/dynamic.ts";
import type { Exchange } from "../model/exchange.ts";
import type { Server } from "../model/service.ts";
import type { Upstream, UpstreamCall, UpstreamEvents } from "../model/upstream.ts";
import { Http1Call } from "./http1-call.ts";
import { Http2Call } from "./http2-call.ts";
import { Http2Pool } from "./http2-pool.ts";
import { Pool } from "./pool.ts";
import { Transport, type TransportTls } from "./transport.ts";
import { UpgradeCall } from "./upgrade-call.ts";

/** The connections of one transport in one thread: a pool for each server, by the server's identity. */
export class ServersUpstream implements Upstream {
  readonly #transport: Transport;
  readonly #pools = new Map<string, Pool>();
  readonly #http2Pools = new Map<string, Http2Pool>();
  /** Ids of servers that were offered HTTP/2 and chose HTTP/1.1. */
  readonly #http1Only = new Set<string>();

  constructor(options: TransportOptions, tls: TransportTls, limits: TimeLimits) {
    this.#transport = new Transport(options, tls, limits, () => {});
  }

  send(exchange: Exchange, server: Server, events: UpstreamEvents): UpstreamCall {
    if (exchange.upgrade !== undefined) return new UpgradeCall(exchange, server, events, this.#transport);
    if (this.#speaksHttp2(server)) {
      const call = new Http2Call(exchange, server, events, this.#transport);
      this.#http2PoolOf(server).send(call);
      return call;
    }
    return this.#sendHttp1(exchange, server, events);
  }

  #sendHttp1(exchange: Exchange, server: Server, events: UpstreamEvents): UpstreamCall {
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

  #speaksHttp2({ spec }: Server): boolean {
    if (spec.scheme === "h2c") return true;
    return spec.scheme === "https" && this.#transport.offersHttp2 && !this.#http1Only.has(spec.id);
  }

  #http2PoolOf(server: Server): Http2Pool {
    let pool = this.#http2Pools.get(server.spec.id);
    if (pool === undefined) {
      pool = new Http2Pool(server, this.#transport, this.#fallBack);
      this.#http2Pools.set(server.spec.id, pool);
    }
    return pool;
  }

  readonly #fallBack = ({ server }: Http2Pool, calls: readonly Http2Call[]) => {
    this.#http1Only.add(server.spec.id);
    this.#http2Pools.delete(server.spec.id);
    for (const call of calls) call.instead = this.#sendHttp1(call.exchange, server, call.events);
  };

  forget(serverIds: readonly string[]): void {
    for (const id of serverIds) {
      this.#pools.get(id)?.close();
      this.#pools.delete(id);
      this.#http2Pools.get(id)?.close();
      this.#http2Pools.delete(id);
      this.#http1Only.delete(id);
    }
  }

  close(): void {
    this.forget([...this.#pools.keys(), ...this.#http2Pools.keys()]);
  }

  /** Connections open now, idle ones included. */
  get open(): number {
    let open = 0;
    for (const pool of this.#pools.values()) open += pool.open;
    for (const pool of this.#http2Pools.values()) open += pool.open;
    return open;
  }
}

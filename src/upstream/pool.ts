import { FAULTS } from "../model/fault.ts";
import type { Server } from "../model/service.ts";
import { connect } from "./connect.ts";
import type { Http1Call } from "./http1-call.ts";
import { Http1Connection } from "./http1-connection.ts";
import type { Transport } from "./transport.ts";

const WAITING_MAX = 1024;

/** The HTTP/1.1 connections of one server. The one that was used last is used first, so that others may age and go. */
export class Pool {
  readonly server: Server;
  readonly transport: Transport;
  readonly #idle: Http1Connection[] = [];
  readonly #waiting: Http1Call[] = [];
  #open: number;
  #closed: boolean;
  /** TLS sessions are only ever used with the server they came from. */
  session: Buffer | undefined;

  constructor(server: Server, transport: Transport) {
    this.server = server;
    this.transport = transport;
    this.#open = 0;
    this.#closed = false;
    this.session = undefined;
  }

  send(call: Http1Call): void {
    const connection = this.#idle.pop();
    if (connection !== undefined) {
      connection.start(call);
      return;
    }
    const most = this.transport.connectionsMax;
    if (most === 0 || this.#open < most) return this.#connect(call);
    if (this.#waiting.length >= WAITING_MAX) {
      call.failed(
        FAULTS["pool-full"],
        `${most} connections and ${WAITING_MAX} requests waiting`,
        false,
        false,
      );
      return;
    }
    this.#waiting.push(call);
    const { limits, connectMs } = this.transport;
    call.limitAtMs = connectMs === 0 ? Number.POSITIVE_INFINITY : limits.nowMs + connectMs;
    limits.add(call);
  }

  /** The call is no longer wanted, or has waited too long. */
  leave(call: Http1Call): void {
    const index = this.#waiting.indexOf(call);
    if (index < 0) return;
    this.#waiting.splice(index, 1);
    this.transport.limits.remove(call);
  }

  #next(): Http1Call | undefined {
    const call = this.#waiting.shift();
    if (call !== undefined) this.transport.limits.remove(call);
    return call;
  }

  #connect(call: Http1Call): void {
    this.#open++;
    const connection = new Http1Connection(this, call);
    connect(this, connection, call.exchange.leaf?.limits?.connectMs || this.transport.connectMs);
  }

  /** The connection is free. False: it is not wanted any more. */
  keep(connection: Http1Connection): boolean {
    if (this.#closed) return false;
    const next = this.#next();
    if (next !== undefined) {
      connection.start(next);
      return true;
    }
    if (this.#idle.length >= this.transport.idleMax) return false;
    this.#idle.push(connection);
    return true;
  }

  /** The connection is closed. Called exactly once for each. */
  gone(connection: Http1Connection, wasIdle: boolean): void {
    this.#open--;
    if (wasIdle) {
      const index = this.#idle.lastIndexOf(connection);
      if (index >= 0) this.#idle.splice(index, 1);
    }
    const next = this.#next();
    if (next !== undefined) this.#connect(next);
    else if (this.#open === 0 && this.#closed) this.transport.dropped(this);
  }

  get open(): number {
    return this.#open;
  }

  get idle(): number {
    return this.#idle.length;
  }

  /** The server is gone: nothing idle is kept, and what is under way is not kept afterwards. */
  close(): void {
    this.#closed = true;
    while (this.#idle.length > 0) this.#idle[this.#idle.length - 1]!.destroy();
  }
}

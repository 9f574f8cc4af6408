import type { Timed } from "../lib/time-limits.ts";
import type { BodySink, BodySource } from "../model/body.ts";
import type { Exchange } from "../model/exchange.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import type { Server } from "../model/service.ts";
import type { UpstreamCall, UpstreamEvents } from "../model/upstream.ts";
import type { Http1Connection } from "./http1-connection.ts";
import type { Pool } from "./pool.ts";
import { requestTrailers } from "./request-trailers.ts";

/**
 * One request under way to one server: the sink of the request's body and the source of the reply's. The connection
 * is only there while it belongs to this call, so a call that is over cannot disturb the next one.
 */
export class Http1Call implements UpstreamCall, BodySink, BodySource, Timed {
  readonly exchange: Exchange;
  readonly server: Server;
  readonly events: UpstreamEvents;
  readonly pool: Pool;
  connection: Http1Connection | undefined;
  /** Of the reply's body. */
  length: number;
  sink: BodySink | undefined;
  /** The request's body takes bytes as they come; -1: in chunks. */
  requestLength: number;
  /** No more events may be sent. */
  settled: boolean;
  /** What became of a reply that was lost before its body could flow. */
  lost: Fault | undefined;
  limitAtMs: number;
  limitIndex: number;

  constructor(exchange: Exchange, server: Server, events: UpstreamEvents, pool: Pool) {
    this.exchange = exchange;
    this.server = server;
    this.events = events;
    this.pool = pool;
    this.connection = undefined;
    this.length = 0;
    this.sink = undefined;
    this.requestLength = exchange.requestTransforms === undefined ? exchange.requestBody.length : -1;
    this.settled = false;
    this.lost = undefined;
    this.limitAtMs = Number.POSITIVE_INFINITY;
    this.limitIndex = -1;
  }

  // --- The request's body goes to the server.

  data(chunk: Buffer): boolean {
    if (this.connection === undefined) return true;
    return this.connection.sendBody(chunk);
  }

  end(trailers: string[] | undefined): void {
    this.connection?.endBody(requestTrailers(this.exchange, trailers));
  }

  fail(fault: Fault): void {
    this.connection?.requestCut(fault);
  }

  // --- The reply's body comes from the server.

  flow(sink: BodySink): void {
    this.sink = sink;
    if (this.connection !== undefined) this.connection.readOn();
    else if (this.lost !== undefined) sink.fail(this.lost);
  }

  resume(): void {
    this.connection?.resume();
  }

  cancel(): void {
    this.settled = true;
    if (this.connection === undefined) this.pool.leave(this);
    else this.connection.destroy();
  }

  /** No connection became free in time. */
  timedOut(): void {
    this.pool.leave(this);
    this.failed(FAULTS["pool-full"], "no free connection in time", false, false);
  }

  failed(fault: Fault, detail: string, reused: boolean, requestSent: boolean): void {
    if (this.settled) return;
    this.settled = true;
    this.events.failed(fault, detail, reused, requestSent);
  }
}

import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { PieceQueue } from "../lib/piece-queue.ts";
import { keepable } from "../lib/read-ahead.ts";
import type { Timed } from "../lib/time-limits.ts";
import type { BodySink, BodySource } from "../model/body.ts";
import type { Client } from "../model/client.ts";
import type { Exchange } from "../model/exchange.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import { getHeader, type Headers } from "../model/headers.ts";
import { allowedTrailers } from "../wire/chunked.ts";
import { CANCEL, INTERNAL_ERROR, WINDOW_UPDATE, writeUint32 } from "../wire/http2-frames.ts";
import type { Http2Connection } from "./http2.ts";
import type { HoldingStream } from "./http2-backlog.ts";
import { hasNoBody, replyHead, sendable } from "./http2-reply-head.ts";
import type { SendingStream } from "./http2-sender.ts";
import { Http2Tunnel } from "./http2-tunnel.ts";

const RATE_GRACE_MS = 10_000;
const NEVER = Number.POSITIVE_INFINITY;

/**
 * One HTTP/2 stream: the client of its exchange, the source of the request's body and the sink of the reply's, all in
 * one object, so that a request costs one allocation.
 */
export class Http2Stream implements Client, BodySource, BodySink, SendingStream, HoldingStream, Timed {
  readonly id: number;
  readonly length: number;
  limitAtMs: number;
  limitIndex: number;
  sendWindow: number;
  /** Bytes of the request that the client may send. */
  receiveWindow: number;
  /** The client has sent all of the request. */
  requestEnded: boolean;
  /** Nothing comes or goes any more. */
  isOver: boolean;
  movedAtMs: number;
  exchange: Exchange | undefined;
  readonly #connection: Http2Connection;
  readonly #expectsContinue: boolean;
  /** Of the entry point's `readTimeout` and `writeTimeout`. */
  #deadlineMs: number;
  // The request's body.
  #bodySink: BodySink | undefined;
  /** The sink has had the end, or wants no more. */
  #bodyDone: boolean;
  #bodyFromMs: number;
  /** Bytes that have come. */
  #received: number;
  /** Bytes that were taken, and of which the client does not know yet. */
  #taken: number;
  /** Bytes that the sink keeps, until it resumes. */
  #kept: number;
  #isPaused: boolean;
  /** What has come and is not wanted yet. */
  #early: PieceQueue | undefined;
  #trailersIn: string[] | undefined;
  // The reply.
  #replying: boolean;
  #replied: boolean;
  #trailersOut: readonly string[] | undefined;
  /** What does not fit through the windows. Its source stands still meanwhile. */
  #pending: Buffer | undefined;
  #pendingAt: number;
  #tunnel: Http2Tunnel | undefined;

  constructor(
    connection: Http2Connection,
    id: number,
    length: number,
    requestEnded: boolean,
    receiveWindow: number,
    expectsContinue: boolean,
  ) {
    this.id = id;
    this.length = length;
    this.limitAtMs = NEVER;
    this.limitIndex = -1;
    this.sendWindow = connection.windowAtFirst;
    this.receiveWindow = receiveWindow;
    this.requestEnded = requestEnded;
    this.isOver = false;
    this.movedAtMs = connection.site.limits.nowMs;
    this.exchange = undefined;
    this.#connection = connection;
    this.#expectsContinue = expectsContinue;
    this.#deadlineMs = NEVER;
    this.#bodySink = undefined;
    this.#bodyDone = length === 0;
    this.#bodyFromMs = 0;
    this.#received = 0;
    this.#taken = 0;
    this.#kept = 0;
    this.#isPaused = false;
    this.#early = undefined;
    this.#trailersIn = undefined;
    this.#replying = false;
    this.#replied = false;
    this.#trailersOut = undefined;
    this.#pending = undefined;
    this.#pendingAt = 0;
    this.#tunnel = undefined;
  }

  begin(exchange: Exchange): void {
    this.exchange = exchange;
    const { readTimeout, writeTimeout } = this.#connection.site.settings.transport.respondingTimeouts;
    const now = this.#connection.site.limits.nowMs;
    if (writeTimeout > 0) this.#deadlineMs = now + writeTimeout;
    if (readTimeout > 0 && !this.#bodyDone) this.#deadlineMs = Math.min(this.#deadlineMs, now + readTimeout);
    this.#limitTo(NEVER);
  }

  #limitTo(ms: number): void {
    this.limitAtMs = Math.min(ms, this.#deadlineMs);
    if (this.limitAtMs !== NEVER) this.#connection.site.limits.add(this);
  }

  // --- The end.

  #over(): void {
    this.isOver = true;
    this.#pending = undefined;
    this.#early = undefined;
    this.#connection.site.limits.remove(this);
  }

  /** The client has gone, or has lost the right to be answered. */
  lost(): void {
    if (this.isOver) return;
    this.#over();
    this.#tellLost();
  }

  #tellLost(): void {
    // A tunnel tells the gateway itself when both its ends are closed.
    if (this.#tunnel !== undefined) return void this.#tunnel.destroy();
    const exchange = this.exchange!;
    const { gateway } = this.#connection.site;
    const sink = this.#bodySink;
    this.#bodySink = undefined;
    gateway.left(exchange);
    // It may have become one in this moment.
    if (this.#isTunnel()) return;
    if (!this.#bodyDone) sink?.fail(FAULTS["client-gone"]);
    gateway.done(exchange);
  }

  #isTunnel(): boolean {
    return this.#tunnel !== undefined;
  }

  #finished(): void {
    this.#over();
    this.#bodySink = undefined;
    this.#connection.finished(this);
    this.#connection.site.gateway.done(this.exchange!);
  }

  /** By us. Who asked for it is told when it has returned. */
  #cut(code: number): void {
    if (this.isOver) return;
    this.#over();
    this.#connection.cut(this, code);
    process.nextTick(() => this.#tellLost());
  }

  // --- The request's body.

  /** Whether the client may send that many bytes more. */
  takesBytes(bytes: number): boolean {
    this.receiveWindow -= bytes;
    return this.receiveWindow >= 0;
  }

  /** False when there is more of the body than its Content-Length says. */
  bodyPiece(piece: Buffer): boolean {
    this.#received += piece.length;
    if (this.length >= 0 && this.#received > this.length) return false;
    if (this.isOver) return true;
    if (this.#bodySink !== undefined && !this.#isPaused) this.#deliver(piece);
    else if (!this.#bodyDone) this.#wait(piece);
    return true;
  }

  #wait(piece: Buffer): void {
    this.#early ??= new PieceQueue();
    this.#early.push(piece);
    this.#connection.site.backlog.add(piece.length);
  }

  #deliver(piece: Buffer): void {
    this.movedAtMs = this.#connection.site.limits.nowMs;
    if (this.#tunnel === undefined) this.exchange!.requestBytes += piece.length;
    if (this.#bodySink!.data(piece)) {
      this.taken(piece.length);
      this.#limitBody();
      return;
    }
    this.#isPaused = true;
    this.#kept = piece.length;
    this.#limitTo(NEVER);
    this.#bodyFromMs -= this.#connection.site.limits.nowMs;
    this.#connection.site.backlog.add(piece.length);
  }

  /** So much may come again. */
  taken(bytes: number): void {
    this.#taken += bytes;
    if (this.isOver || this.requestEnded) return;
    const { streamWindow } = this.#connection.site.settings.http2;
    if (this.#taken < streamWindow / 2) return;
    this.receiveWindow += this.#taken;
    const increment = Buffer.allocUnsafe(4);
    writeUint32(increment, 0, this.#taken);
    this.#taken = 0;
    this.#connection.writer.frame(WINDOW_UPDATE, 0, this.id, increment);
  }

  /** The client has sent everything. False when that is less than its Content-Length says. */
  endRequest(trailers: string[] | undefined): boolean {
    if (this.length >= 0 && this.#received !== this.length) return false;
    this.requestEnded = true;
    this.#trailersIn = trailers;
    this.#endBody();
    return true;
  }

  #endBody(): void {
    const sink = this.#bodySink;
    const isWhole = this.requestEnded && !this.#isPaused && (this.#early?.bytes ?? 0) === 0;
    if (!isWhole || this.#bodyDone || sink === undefined) return;
    this.#bodySink = undefined;
    this.#bodyDone = true;
    if (this.#connection.site.settings.transport.respondingTimeouts.writeTimeout === 0)
      this.#deadlineMs = NEVER;
    if (this.#pending === undefined) this.#limitTo(NEVER);
    sink.end(this.#trailersIn);
    if (this.#tunnel !== undefined) this.#endTunnel();
  }

  flow(sink: BodySink): void {
    if (this.isOver) return sink.fail(FAULTS["client-gone"]);
    this.#bodySink = sink;
    this.#bodyFromMs = this.#connection.site.limits.nowMs;
    if (this.#expectsContinue && !this.#replying && !this.requestEnded)
      this.#connection.writer.headers(this.id, [":status", "100"], false);
    this.#limitBody();
    this.#flowOn();
  }

  #flowOn(): void {
    while (!this.#isPaused && this.#bodySink !== undefined) {
      const piece = this.#early?.shift();
      if (piece === undefined) break;
      this.#deliver(piece);
    }
    this.#endBody();
  }

  // Until the reply begins. After that a silent client is not a slow one: it may have nothing to say for hours.
  #limitBody(): void {
    if (this.#replying || this.#bodyDone) return;
    const { bodyIdleTimeout, bodyRateMin } = this.#connection.site.settings.transport.respondingTimeouts;
    const now = this.#connection.site.limits.nowMs;
    let limit = bodyIdleTimeout === 0 ? NEVER : now + bodyIdleTimeout;
    if (bodyRateMin > 0) {
      const earned = (this.exchange!.requestBytes * 1000) / bodyRateMin;
      limit = Math.min(limit, this.#bodyFromMs + RATE_GRACE_MS + earned);
    }
    this.#limitTo(limit);
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#bodyFromMs += this.#connection.site.limits.nowMs;
    const kept = this.#kept;
    this.#kept = 0;
    this.taken(kept);
    this.#limitBody();
    this.#flowOn();
  }

  /** The rest stays with the client: its window closes, and the stream is ended after the reply. */
  cancel(): void {
    this.#bodySink = undefined;
    this.#bodyDone = true;
    this.#early = undefined;
    this.#kept = 0;
  }

  // --- The reply.

  inform(_exchange: Exchange, status: number, headers: Headers): void {
    if (this.isOver || this.#replying) return;
    const list = [":status", String(status), ...sendable(headers)];
    this.#connection.writer.headers(this.id, list, false);
  }

  send(exchange: Exchange): void {
    if (this.isOver) return;
    this.#replying = true;
    this.#limitTo(NEVER);
    const { replyBody, replyTransforms: transforms } = exchange;
    const length = transforms === undefined ? replyBody.length : -1;
    const head = replyHead(exchange, length);
    const isWhole = length === 0 || hasNoBody(exchange);
    this.#connection.writer.headers(this.id, head, isWhole);
    if (isWhole) {
      this.#replied = true;
      replyBody.cancel();
      this.#finished();
      return;
    }
    let sink: BodySink = this;
    if (transforms !== undefined) {
      for (let i = transforms.length - 1; i >= 0; i--) sink = transforms[i]!(sink, replyBody);
    }
    replyBody.flow(sink);
  }

  data(chunk: Buffer): boolean {
    if (this.isOver || chunk.length === 0) return true;
    if (this.#tunnel === undefined) this.exchange!.replyBytes += chunk.length;
    const { limits, backlog } = this.#connection.site;
    this.movedAtMs = limits.nowMs;
    const sent = this.#connection.sender.send(this, chunk);
    if (sent === chunk.length) return true;
    this.#pending = sent === 0 ? keepable(chunk) : keepable(chunk.subarray(sent));
    this.#pendingAt = 0;
    this.#limitStall();
    backlog.add(this.#pending.length + (this.exchange!.replyBody.aheadMax ?? 0));
    this.#connection.sender.lineUp(this);
    return false;
  }

  #limitStall(): void {
    if (this.#tunnel !== undefined) return;
    const { limits, settings } = this.#connection.site;
    const { writeStallTimeout } = settings.transport.respondingTimeouts;
    this.#limitTo(writeStallTimeout === 0 ? NEVER : limits.nowMs + writeStallTimeout);
  }

  get hasToSend(): boolean {
    return this.#pending !== undefined;
  }

  sendNext(send: (chunk: Buffer, at: number) => number): void {
    const chunk = this.#pending;
    if (chunk === undefined) return;
    const before = this.#pendingAt;
    this.#pendingAt = send(chunk, before);
    if (this.#pendingAt > before) {
      this.movedAtMs = this.#connection.site.limits.nowMs;
      this.#limitStall();
    }
    if (this.#pendingAt < chunk.length) return this.#connection.sender.lineUp(this);
    this.#pending = undefined;
    this.#limitTo(NEVER);
    if (this.#replied) this.#endReply();
    else if (this.#tunnel !== undefined) this.#tunnel.written();
    else this.exchange!.replyBody.resume();
  }

  end(trailers: string[] | undefined): void {
    if (this.isOver || this.#replied) return;
    this.#replied = true;
    this.#trailersOut = trailers;
    if (this.#pending === undefined) this.#endReply();
  }

  #endReply(): void {
    const trailers = this.#sendableTrailers();
    const { writer } = this.#connection;
    if (trailers === undefined || trailers.length === 0) writer.endStream(this.id);
    else writer.headers(this.id, trailers, true);
    if (this.#tunnel === undefined) this.#finished();
    else this.#endTunnel();
  }

  #sendableTrailers(): readonly string[] | undefined {
    const trailers = this.#trailersOut;
    if (trailers === undefined) return undefined;
    const type = getHeader(this.exchange!.replyHeaders, "content-type");
    // gRPC's own trailers are metadata of whatever name; elsewhere the rules of HTTP hold.
    const allowed = type?.startsWith("application/grpc") === true ? trailers : allowedTrailers(trailers);
    return allowed === undefined ? undefined : sendable(allowed);
  }

  fail(fault: Fault): void {
    this.exchange!.fault ??= fault;
    this.#cut(INTERNAL_ERROR);
  }

  abort(_exchange: Exchange): void {
    this.#cut(INTERNAL_ERROR);
  }

  // --- Memory and time.

  held(): number {
    const pending = this.#pending === undefined ? 0 : this.#pending.length - this.#pendingAt;
    const ahead = this.#pending === undefined ? 0 : (this.exchange!.replyBody.ahead ?? 0);
    return (this.#early?.bytes ?? 0) + this.#kept + pending + ahead;
  }

  shed(): void {
    this.exchange!.fault ??= FAULTS["client-stalled"];
    this.#cut(INTERNAL_ERROR);
  }

  timedOut(): void {
    const exchange = this.exchange!;
    if (this.#replying) {
      exchange.fault = FAULTS["client-stalled"];
      this.#cut(INTERNAL_ERROR);
      return;
    }
    const sink = this.#bodySink;
    this.cancel();
    if (sink === undefined) this.#cut(INTERNAL_ERROR);
    else sink.fail(FAULTS["request-timeout"]);
  }

  // --- Tunnels.

  takeOver(exchange: Exchange): Duplex {
    const tunnel = new Http2Tunnel({
      data: (chunk) => this.data(chunk),
      end: () => this.end(undefined),
      resume: () => this.resume(),
      cut: () => this.#cutTunnel(),
    });
    this.#replying = true;
    this.#tunnel = tunnel;
    this.#bodyDone = false;
    this.#deadlineMs = NEVER;
    this.limitAtMs = NEVER;
    exchange.status = 200;
    if (this.isOver) tunnel.destroy();
    else {
      this.#connection.writer.headers(this.id, replyHead(exchange, -1), false);
      this.flow(tunnel.fromClient);
    }
    return tunnel;
  }

  /** Either half may end first. */
  #endTunnel(): void {
    if (!this.requestEnded || !this.#replied || this.#pending !== undefined || this.isOver) return;
    this.#over();
    this.#connection.finished(this);
  }

  #cutTunnel(): void {
    if (this.isOver) return;
    this.#over();
    this.#connection.cut(this, CANCEL);
  }
}

/** What an HTTP/1.1 server expects of a WebSocket handshake, and RFC 8441 leaves out. */
export function completeWebSocketHandshake(headers: Headers): void {
  headers.push("Sec-WebSocket-Key", randomBytes(16).toString("base64"));
}

import { randomBytes } from "node:crypto";
import { constants, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { headerBlock } from "../lib/header-block.ts";
import { keepable, limitReadAhead } from "../lib/read-ahead.ts";
import type { Timed } from "../lib/time-limits.ts";
import type { BodySink, BodySource } from "../model/body.ts";
import type { Client } from "../model/client.ts";
import type { Exchange } from "../model/exchange.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import { getHeader, type Headers } from "../model/headers.ts";
import { allowedTrailers } from "../wire/chunked.ts";
import type { Http2Connection } from "./http2.ts";
import { hasNoBody, isForbidden, replyHead } from "./http2-reply-head.ts";

const { NGHTTP2_NO_ERROR } = constants;

// Closing a stream, with whatever code, lets Node end it properly first, and a cut reply would pass for a whole one.
// Only destroying it with an error sends nothing but the reset.
const CUT = new Error("cut short");

/** Bytes of one reply that may wait before its source is stopped: while the client's window is open, and afterwards. */
const STREAM_BUFFER_MAX = 64 * 1024;
const SHUT_BUFFER_MAX = 4 * 1024;
const RATE_GRACE_MS = 10_000;
const NEVER = Number.POSITIVE_INFINITY;

const END_STREAM = { endStream: true } as const;
const WITH_TRAILERS = { waitForTrailers: true } as const;

/** Node's stream, by which the listeners, made once for all streams, find ours. */
type OwnedStream = ServerHttp2Stream & { owner: Http2Stream | undefined };

function onFinish(this: ServerHttp2Stream): void {
  (this as OwnedStream).owner?.finished();
}

function onClose(this: ServerHttp2Stream): void {
  (this as OwnedStream).owner?.closed();
}

function onData(this: ServerHttp2Stream, chunk: Buffer): void {
  (this as OwnedStream).owner?.bodyData(chunk);
}

function onEnd(this: ServerHttp2Stream): void {
  (this as OwnedStream).owner?.bodyEnded();
}

/** A reset "without error": while the stream is paused Node would wait for somebody to read the rest. */
function onAborted(this: ServerHttp2Stream): void {
  this.destroy();
}

function onTrailers(this: ServerHttp2Stream, _headers: unknown, _flags: number, raw: string[]): void {
  (this as OwnedStream).owner?.gotTrailers(raw);
}

function onWantTrailers(this: ServerHttp2Stream): void {
  (this as OwnedStream).owner?.sendTrailers();
}

/**
 * One HTTP/2 stream: the client of its exchange, the source of the request's body and the sink of the reply's, all in
 * one object, so that a request costs one allocation beside Node's own.
 */
export class Http2Stream implements Client, BodySource, BodySink, Timed {
  readonly stream: ServerHttp2Stream;
  readonly length: number;
  limitAtMs: number;
  limitIndex: number;
  /** Of the entry point's `readTimeout` and `writeTimeout`. */
  #deadlineMs: number;
  exchange: Exchange | undefined;
  readonly #connection: Http2Connection;
  readonly #expectsContinue: boolean;
  #bodySink: BodySink | undefined;
  #bodyDone: boolean;
  #bodyFromMs: number;
  /** Bytes of the body that its sink keeps. */
  #kept: number;
  #trailersIn: string[] | undefined;
  #replying: boolean;
  #replied: boolean;
  #stalled: boolean;
  /** When a part of its request or of its reply last came. */
  movedAtMs: number;
  #tunnelled: boolean;
  #trailersOut: readonly string[] | undefined;
  #waitsForTrailers: boolean;

  constructor(
    connection: Http2Connection,
    stream: ServerHttp2Stream,
    length: number,
    expectsContinue: boolean,
  ) {
    this.stream = stream;
    this.length = length;
    this.limitAtMs = NEVER;
    this.limitIndex = -1;
    this.#deadlineMs = NEVER;
    this.exchange = undefined;
    this.#connection = connection;
    this.#expectsContinue = expectsContinue;
    this.#bodySink = undefined;
    this.#bodyDone = length === 0;
    this.#bodyFromMs = 0;
    this.#kept = 0;
    this.movedAtMs = connection.site.limits.nowMs;
    this.#trailersIn = undefined;
    this.#replying = false;
    this.#replied = false;
    this.#stalled = false;
    this.#tunnelled = false;
    this.#trailersOut = undefined;
    this.#waitsForTrailers = false;
  }

  begin(exchange: Exchange): void {
    this.exchange = exchange;
    (this.stream as OwnedStream).owner = this;
    this.stream.on("close", onClose);
    if (!this.#bodyDone) {
      limitReadAhead(this.stream);
      // They may come long before the body flows.
      this.stream.on("trailers", onTrailers);
    }
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

  closed(): void {
    // The garbage collector carries objects with native handles, and all that hangs on them, through its cheap rounds.
    // What hangs on a stream that is over would cost as much again as making it.
    (this.stream as OwnedStream).owner = undefined;
    this.#connection.site.limits.remove(this);
    const complete = this.#replied && this.stream.rstCode === NGHTTP2_NO_ERROR;
    const sink = this.#bodySink;
    this.#bodySink = undefined;
    const exchange = this.exchange!;
    const { gateway } = this.#connection.site;
    this.#connection.streamClosed(this);
    // A tunnel tells the gateway itself when both its ends are closed.
    if (this.#tunnelled) return;
    if (!complete) {
      gateway.left(exchange);
      if (!this.#bodyDone) sink?.fail(FAULTS["client-gone"]);
    }
    gateway.done(exchange);
  }

  // --- The request's body.

  flow(sink: BodySink): void {
    const { stream } = this;
    if (stream.destroyed || stream.closed) {
      sink.fail(FAULTS["client-gone"]);
      return;
    }
    this.#bodySink = sink;
    this.#bodyFromMs = this.#connection.site.limits.nowMs;
    if (this.#expectsContinue && !stream.headersSent) stream.additionalHeaders({ ":status": 100 });
    this.#limitBody();
    stream.on("end", onEnd);
    stream.on("data", onData);
    stream.on("aborted", onAborted);
  }

  bodyData(chunk: Buffer): void {
    const exchange = this.exchange!;
    exchange.requestBytes += chunk.length;
    this.movedAtMs = this.#connection.site.limits.nowMs;
    if (this.#bodySink === undefined) return;
    if (this.#bodySink.data(chunk)) this.#limitBody();
    else {
      this.#kept = chunk.length;
      this.#limitTo(NEVER);
      const { limits, backlog, settings } = this.#connection.site;
      this.#bodyFromMs -= limits.nowMs;
      this.stream.pause();
      backlog.add(chunk.length + settings.http2.streamWindow);
    }
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

  gotTrailers(trailers: string[]): void {
    this.#trailersIn = trailers;
  }

  bodyEnded(): void {
    const sink = this.#bodySink;
    if (sink === undefined || this.stream.rstCode !== NGHTTP2_NO_ERROR || this.stream.aborted) return;
    this.#bodySink = undefined;
    this.#bodyDone = true;
    if (this.#connection.site.settings.transport.respondingTimeouts.writeTimeout === 0)
      this.#deadlineMs = NEVER;
    if (!this.#stalled) this.#limitTo(NEVER);
    sink.end(this.#trailersIn);
  }

  resume(): void {
    if (!this.stream.isPaused()) return;
    this.#kept = 0;
    this.#bodyFromMs += this.#connection.site.limits.nowMs;
    this.#limitBody();
    this.stream.resume();
  }

  /** The rest stays with the client: its window closes, and the stream is ended after the reply. */
  cancel(): void {
    if (this.#bodySink === undefined) return;
    this.#bodySink = undefined;
    this.stream.off("data", onData);
    this.stream.pause();
  }

  // --- The reply.

  inform(_exchange: Exchange, status: number, headers: Headers): void {
    if (this.stream.destroyed || this.stream.closed || this.stream.headersSent) return;
    this.stream.additionalHeaders({ ...headerBlock(headers, isForbidden), ":status": status });
  }

  send(exchange: Exchange): void {
    if (this.stream.destroyed) return;
    // The client has cancelled it. While it is paused Node would wait for somebody to read the rest.
    if (this.stream.closed) return void this.stream.destroy();
    this.#replying = true;
    this.#limitTo(NEVER);
    const transforms = exchange.replyTransforms;
    const { replyBody } = exchange;
    const length = transforms === undefined ? replyBody.length : -1;
    const head = replyHead(exchange, length);
    if (length === 0 || hasNoBody(exchange)) {
      this.#replied = true;
      this.stream.respond(head, END_STREAM);
      replyBody.cancel();
      this.#endStream();
      return;
    }
    this.#waitsForTrailers = length < 0;
    this.stream.respond(head, length < 0 ? WITH_TRAILERS : undefined);
    if (length < 0) this.stream.once("wantTrailers", onWantTrailers);
    let sink: BodySink = this;
    if (transforms !== undefined) {
      for (let i = transforms.length - 1; i >= 0; i--) sink = transforms[i]!(sink, replyBody);
    }
    replyBody.flow(sink);
  }

  data(chunk: Buffer): boolean {
    const { stream } = this;
    if (stream.destroyed || stream.closed || chunk.length === 0) return true;
    this.exchange!.replyBytes += chunk.length;
    const { backlog, limits, settings } = this.#connection.site;
    this.movedAtMs = limits.nowMs;
    const waiting = stream.writableLength + chunk.length;
    // What the client allows at first is all that can be told from here of its window.
    const isOpen = this.exchange!.replyBytes <= this.#connection.windowAtFirst;
    if (
      waiting <= (isOpen ? STREAM_BUFFER_MAX : SHUT_BUFFER_MAX) &&
      this.#connection.mayBuffer(chunk.length)
    ) {
      // Node keeps what it is given until the client's window lets it go, and the source wants its buffer back now.
      stream.write(Buffer.from(chunk));
      backlog.add(chunk.length);
      return true;
    }
    stream.write(keepable(chunk), () => this.#drained());
    this.#stalled = true;
    const { writeStallTimeout } = settings.transport.respondingTimeouts;
    this.#limitTo(writeStallTimeout === 0 ? NEVER : limits.nowMs + writeStallTimeout);
    backlog.add(chunk.length + (this.exchange!.replyBody.aheadMax ?? 0));
    return false;
  }

  #drained(): void {
    if (!this.#stalled || this.stream.destroyed) return;
    this.#stalled = false;
    this.#limitTo(NEVER);
    this.exchange!.replyBody.resume();
  }

  end(trailers: string[] | undefined): void {
    if (this.stream.destroyed || this.stream.closed) return;
    this.#replied = true;
    this.#trailersOut = trailers;
    const { writeStallTimeout } = this.#connection.site.settings.transport.respondingTimeouts;
    // A last part that the client never takes would hold the stream for ever.
    this.#limitTo(writeStallTimeout === 0 ? NEVER : this.#connection.site.limits.nowMs + writeStallTimeout);
    this.stream.end();
    if (!this.#waitsForTrailers) this.#endStream();
  }

  sendTrailers(): void {
    const grpc =
      getHeader(this.exchange!.replyHeaders, "content-type")?.startsWith("application/grpc") === true;
    // gRPC's own trailers are metadata of whatever name; elsewhere the rules of HTTP hold.
    const trailers =
      this.#trailersOut === undefined || grpc ? this.#trailersOut : allowedTrailers(this.#trailersOut);
    this.stream.sendTrailers(headerBlock(trailers ?? [], isForbidden));
    // Node sends them in the next turn, so the stream is ended in the one after.
    if (!this.#bodyDone) setImmediate(() => setImmediate(() => this.#endStream()));
  }

  /** The rest of a request that was answered early is not wanted (RFC 9113 §8.1). */
  #endStream(): void {
    const { stream } = this;
    if (this.#bodyDone || stream.destroyed) return;
    // Closed with bytes that still wait, and then given up, a stream would be reset no more: Node forgets it, nghttp2
    // does not, and asks for its bytes for ever, in a loop that holds the thread.
    if (stream.writableFinished) stream.close(NGHTTP2_NO_ERROR);
    else stream.once("finish", onFinish);
  }

  finished(): void {
    this.#endStream();
  }

  fail(fault: Fault): void {
    this.exchange!.fault ??= fault;
    this.stream.destroy(CUT);
  }

  abort(_exchange: Exchange): void {
    this.stream.destroy(CUT);
  }

  /** Bytes of its request and of its reply that wait here. */
  held(): number {
    const { readableLength, writableLength } = this.stream;
    const ahead = this.#stalled ? (this.exchange!.replyBody.ahead ?? 0) : 0;
    return readableLength + this.#kept + writableLength + ahead;
  }

  /** Others need the memory. */
  shed(): void {
    this.exchange!.fault ??= FAULTS["client-stalled"];
    this.stream.destroy(CUT);
  }

  takeOver(exchange: Exchange): Duplex {
    this.#replying = true;
    this.#tunnelled = true;
    this.#bodyDone = true;
    this.#deadlineMs = NEVER;
    this.limitAtMs = NEVER;
    exchange.status = 200;
    // One that the client has reset closes in a moment, and the tunnel sees that.
    if (this.stream.closed) this.stream.destroy();
    if (!this.stream.destroyed) this.stream.respond(replyHead(exchange, -1));
    return this.stream;
  }

  timedOut(): void {
    const exchange = this.exchange!;
    if (this.#replying) {
      exchange.fault = FAULTS["client-stalled"];
      this.stream.destroy(CUT);
      return;
    }
    const sink = this.#bodySink;
    this.cancel();
    if (sink === undefined) this.stream.destroy(CUT);
    else sink.fail(FAULTS["request-timeout"]);
  }
}

/** What an HTTP/1.1 server expects of a WebSocket handshake, and RFC 8441 leaves out. */
export function completeWebSocketHandshake(headers: Headers): void {
  headers.push("Sec-WebSocket-Key", randomBytes(16).toString("base64"));
}

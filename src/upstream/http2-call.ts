import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import { headerBlock } from "../lib/header-block.ts";
import { keepable, limitReadAhead } from "../lib/read-ahead.ts";
import type { Timed } from "../lib/time-limits.ts";
import type { BodySink, BodySource } from "../model/body.ts";
import type { Exchange } from "../model/exchange.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import type { Server } from "../model/service.ts";
import type { UpstreamCall, UpstreamEvents } from "../model/upstream.ts";
import { readHttp2Reply } from "./http2-reply.ts";
import { requestHead } from "./http2-request-head.ts";
import type { Http2Session } from "./http2-session.ts";
import { isForbidden } from "./request-text.ts";
import { requestTrailers } from "./request-trailers.ts";
import type { Transport } from "./transport.ts";

const { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = constants;
const FLAG_END_STREAM = 1;
const INTERIM_MAX = 32;
/** Bytes of one request that may wait for the server before its source is stopped. */
const STREAM_BUFFER_MAX = 4 * 1024;

// Closing a stream, with whatever code, lets Node end it properly first, and half a request would pass for a whole one.
const CUT = new Error("cut short");

/** Node's stream, by which the listeners, made once for all streams, find the call. */
type OwnedStream = ClientHttp2Stream & { owner: Http2Call | undefined };

function onInterim(
  this: ClientHttp2Stream,
  headers: Record<string, unknown>,
  _: number,
  raw: string[],
): void {
  (this as OwnedStream).owner?.gotInterim(Number(headers[":status"]), raw);
}

function onResponse(this: ClientHttp2Stream, _headers: unknown, flags: number, raw: string[]): void {
  (this as OwnedStream).owner?.gotReply(flags, raw);
}

function onData(this: ClientHttp2Stream, chunk: Buffer): void {
  (this as OwnedStream).owner?.gotData(chunk);
}

function onEnd(this: ClientHttp2Stream): void {
  (this as OwnedStream).owner?.ended();
}

function onTrailers(this: ClientHttp2Stream, _headers: unknown, _flags: number, raw: string[]): void {
  (this as OwnedStream).owner?.gotTrailers(raw);
}

function onWantTrailers(this: ClientHttp2Stream): void {
  (this as OwnedStream).owner?.sendTrailers();
}

function onClose(this: ClientHttp2Stream): void {
  (this as OwnedStream).owner?.closed();
}

/** One request on an HTTP/2 connection to a server: the sink of its body and the source of the reply's. */
export class Http2Call implements UpstreamCall, BodySink, BodySource, Timed {
  readonly exchange: Exchange;
  readonly server: Server;
  readonly events: UpstreamEvents;
  readonly transport: Transport;
  /** Of the reply's body. */
  length: number;
  limitAtMs: number;
  limitIndex: number;
  /** The server turned out to speak HTTP/1.1 only: what is done instead. */
  instead: UpstreamCall | undefined;
  session: Http2Session | undefined;
  #stream: ClientHttp2Stream | undefined;
  #sink: BodySink | undefined;
  #reused: boolean;
  #replied: boolean;
  #received: number;
  /** What the server says that it sends; -1 if it does not say. */
  #announced: number;
  #interims: number;
  #requestTrailers: string[] | undefined;
  #trailers: string[] | undefined;
  #streaming: boolean;
  #stalled: boolean;
  #lost: Fault | undefined;
  #over: boolean;

  constructor(exchange: Exchange, server: Server, events: UpstreamEvents, transport: Transport) {
    this.exchange = exchange;
    this.server = server;
    this.events = events;
    this.transport = transport;
    this.length = -1;
    this.limitAtMs = Number.POSITIVE_INFINITY;
    this.limitIndex = -1;
    this.instead = undefined;
    this.session = undefined;
    this.#stream = undefined;
    this.#sink = undefined;
    this.#reused = false;
    this.#replied = false;
    this.#received = 0;
    this.#announced = -1;
    this.#interims = 0;
    this.#requestTrailers = undefined;
    this.#trailers = undefined;
    this.#streaming = false;
    this.#stalled = false;
    this.#lost = undefined;
    this.#over = false;
  }

  get ahead(): number {
    return this.#stream?.readableLength ?? 0;
  }

  get aheadMax(): number {
    return this.session?.windowBytes ?? 0;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Every connection is as busy as the server lets it be. */
  waitForRoom(): void {
    this.#limitIn(this.transport.connectMs);
    this.transport.limits.add(this);
  }

  // --- The request.

  start(session: Http2Session, connection: ClientHttp2Session, reused: boolean): void {
    const { exchange } = this;
    this.session = session;
    this.#reused = reused;
    this.limitAtMs = Number.POSITIVE_INFINITY;
    exchange.sentAtMs = performance.now();
    const { requestTransforms, requestBody } = exchange;
    const length = requestTransforms === undefined ? requestBody.length : -1;
    let stream: ClientHttp2Stream;
    try {
      stream = connection.request(requestHead(exchange, this.server, length), {
        endStream: length === 0,
        waitForTrailers: length < 0,
      });
    } catch (error) {
      this.session = undefined;
      session.callEnded();
      this.failed(FAULTS.internal, (error as Error).message, false, false);
      return;
    }
    this.#stream = stream;
    limitReadAhead(stream);
    stream.on("error", ignore);
    (stream as OwnedStream).owner = this;
    stream.on("headers", onInterim);
    stream.on("response", onResponse);
    stream.on("close", onClose);
    if (length < 0) stream.once("wantTrailers", onWantTrailers);
    this.transport.limits.add(this);
    if (length === 0) this.#limitIn(this.transport.headerMs);
    else {
      this.#pump();
    }
  }

  #pump(): void {
    const { requestTransforms, requestBody } = this.exchange;
    let sink: BodySink = this;
    if (requestTransforms !== undefined) {
      for (let i = requestTransforms.length - 1; i >= 0; i--) sink = requestTransforms[i]!(sink, requestBody);
    }
    requestBody.flow(sink);
  }

  #limitIn(ms: number): void {
    this.limitAtMs = ms === 0 ? Number.POSITIVE_INFINITY : this.transport.limits.nowMs + ms;
  }

  data(chunk: Buffer): boolean {
    const stream = this.#stream;
    if (stream === undefined || stream.destroyed || stream.closed || chunk.length === 0) return true;
    if (stream.writableLength + chunk.length <= STREAM_BUFFER_MAX) {
      // Node keeps what it is given until the server's window lets it go, and the source wants its buffer back now.
      stream.write(Buffer.from(chunk));
      return true;
    }
    stream.write(keepable(chunk), () => this.#drained());
    this.#stalled = true;
    if (!this.#replied) this.#limitIn(this.transport.idleReadMs);
    return false;
  }

  #drained(): void {
    if (!this.#stalled || this.#stream!.destroyed) return;
    this.#stalled = false;
    if (!this.#replied) this.limitAtMs = Number.POSITIVE_INFINITY;
    this.exchange.requestBody.resume();
  }

  end(trailers: string[] | undefined): void {
    const stream = this.#stream;
    if (stream === undefined || stream.destroyed) return;
    this.#requestTrailers = requestTrailers(this.exchange, trailers);
    stream.end();
    if (!this.#replied) this.#limitIn(this.transport.headerMs);
  }

  sendTrailers(): void {
    this.#stream!.sendTrailers(headerBlock(this.#requestTrailers ?? [], isForbidden));
  }

  /** The client's body broke off: the server must not take what it has for the whole. A reply that has begun is cut too. */
  fail(fault: Fault): void {
    if (this.#over) return;
    this.#reset();
    if (this.#replied) this.#lose(fault);
    else this.failed(fault, "request body", false, true);
  }

  // --- The reply.

  gotInterim(status: number, raw: string[]): void {
    if (++this.#interims > INTERIM_MAX) {
      this.#reset();
      this.failed(FAULTS["bad-reply"], "too many interim replies", false, true);
    } else if (status !== 100 && !this.#over) {
      const reply = readHttp2Reply(raw, this.transport.headLimits);
      if (reply.fault === undefined) this.events.informed(status, reply.headers);
    }
  }

  gotReply(flags: number, raw: string[]): void {
    if (this.#over) return;
    const reply = readHttp2Reply(raw, this.transport.headLimits);
    if (reply.fault !== undefined) {
      this.#reset();
      this.failed(FAULTS[reply.fault], reply.detail, false, true);
      return;
    }
    this.#replied = true;
    this.#streaming = reply.streams;
    const { method, acceptsTrailers } = this.exchange;
    const bodiless = method === "HEAD" || reply.status === 204 || reply.status === 304 || isEnd(flags);
    this.#announced = bodiless ? 0 : reply.contentLength;
    // HTTP/1.1 has no trailers behind a body that is framed by its length.
    this.length = this.#announced > 0 && reply.hasTrailers && acceptsTrailers ? -1 : this.#announced;
    this.limitAtMs = Number.POSITIVE_INFINITY;
    // They may come long before the body flows.
    if (!isEnd(flags)) this.#stream!.on("trailers", onTrailers);
    this.events.replied(reply.status, reply.headers, this);
  }

  flow(sink: BodySink): void {
    const stream = this.#stream!;
    if (this.#lost !== undefined) {
      sink.fail(this.#lost);
      return;
    }
    this.#sink = sink;
    this.#limitRead();
    stream.on("end", onEnd);
    stream.on("data", onData);
  }

  /** Event streams, and gRPC streams, are silent for as long as they like. */
  #limitRead(): void {
    if (!this.#streaming) this.#limitIn(this.exchange.leaf?.limits?.idleMs || this.transport.idleReadMs);
  }

  gotTrailers(raw: string[]): void {
    this.#trailers = raw;
  }

  gotData(chunk: Buffer): void {
    if (this.#sink === undefined) return;
    this.#received += chunk.length;
    this.#limitRead();
    if (this.#sink.data(chunk)) return;
    this.limitAtMs = Number.POSITIVE_INFINITY;
    this.#stream!.pause();
  }

  resume(): void {
    if (this.#stream?.isPaused() !== true) return;
    this.#limitRead();
    this.#stream.resume();
  }

  ended(): void {
    const sink = this.#sink;
    if (sink === undefined || this.#over || this.#stream!.rstCode !== NGHTTP2_NO_ERROR) return;
    this.#over = true;
    this.#sink = undefined;
    this.limitAtMs = Number.POSITIVE_INFINITY;
    // A stream that was reset "without error" before its announced end was cut short all the same.
    if (this.#received < this.#announced) sink.fail(FAULTS["upstream-truncated"]);
    else sink.end(this.#trailers);
    // Answered before the request was read: the rest of it is not wanted.
    if (!this.#stream!.writableEnded) {
      this.exchange.requestBody.cancel();
      this.#reset();
    }
  }

  // --- The end.

  closed(): void {
    this.transport.limits.remove(this);
    const stream = this.#stream!;
    // What hangs on Node's stream lives longer than it needs to.
    (stream as OwnedStream).owner = undefined;
    this.session!.callEnded();
    if (this.#over) return;
    if (!this.#replied) {
      // Refused, or later than the last stream a GOAWAY lets through: the server has not looked at it.
      const untouched = stream.rstCode === NGHTTP2_REFUSED_STREAM;
      const fault = FAULTS[stream.rstCode === NGHTTP2_NO_ERROR ? "upstream-closed" : "upstream-reset"];
      this.failed(fault, `stream closed, code ${stream.rstCode}`, this.#reused || untouched, !untouched);
      return;
    }
    this.#lose(FAULTS["upstream-truncated"]);
  }

  #lose(fault: Fault): void {
    this.#over = true;
    this.#lost = fault;
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.fail(fault);
  }

  timedOut(): void {
    if (this.session === undefined) {
      this.failed(FAULTS["pool-full"], "no room for the request in time", false, false);
      return;
    }
    this.#reset();
    if (this.#replied) this.#lose(FAULTS["upstream-stalled"]);
    else this.failed(FAULTS["upstream-timeout"], "no reply in time", false, true);
  }

  cancel(): void {
    this.instead?.cancel();
    this.#over = true;
    this.#sink = undefined;
    this.transport.limits.remove(this);
    this.#reset();
  }

  #reset(): void {
    const stream = this.#stream;
    if (stream === undefined || stream.closed) return;
    if (stream.writableEnded) stream.close(NGHTTP2_CANCEL);
    else stream.destroy(CUT);
  }

  failed(fault: Fault, detail: string, reused: boolean, requestSent: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.transport.limits.remove(this);
    this.events.failed(fault, detail, reused, requestSent);
  }
}

const isEnd = (flags: number) => (flags & FLAG_END_STREAM) !== 0;

function ignore(): void {}

import type { Socket } from "node:net";
import type { Timed } from "../lib/time-limits.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import { getHeader } from "../model/headers.ts";
import { BAD, ChunkedDecoder, DATA, END } from "../wire/chunked.ts";
import { HeadBuffer, headEnd } from "../wire/head-buffer.ts";
import { parseReplyHead, type ReplyHead } from "../wire/reply-head.ts";
import type { Http1Call } from "./http1-call.ts";
import { RequestWriter } from "./http1-request.ts";
import type { Pool } from "./pool.ts";
import { ReadBuffer } from "./read-buffer.ts";
import { pumpBody } from "./request-body.ts";
import { requestText } from "./request-text.ts";

const CONNECTING = 0;
const IDLE = 1;
const HEAD = 2;
const BODY_LENGTH = 3;
const BODY_CHUNKED = 4;
const BODY_TO_CLOSE = 5;
const CLOSED = 6;

const INTERIM_MAX = 32;
const EMPTY = Buffer.alloc(0);

/** One connection to one server, and where it is in the request and the reply of the call it serves. */
export class Http1Connection implements Timed {
  readonly pool: Pool;
  socket!: Socket;
  limitAtMs: number;
  limitIndex: number;
  readonly buffer: ReadBuffer;
  #request!: RequestWriter;
  #call: Http1Call | undefined;
  #state: number;
  #served: number;
  readonly #pending: HeadBuffer;
  #reply: ReplyHead | undefined;
  #interims: number;
  #left: number;
  #chunks: ChunkedDecoder | undefined;
  /** Bytes of a reply whose sink wants no more now, or whose body does not flow yet. */
  #rest: Buffer;
  #waiting: boolean;
  #serverEnded: boolean;
  #idleMs: number;

  constructor(pool: Pool, call: Http1Call) {
    this.pool = pool;
    this.limitAtMs = Number.POSITIVE_INFINITY;
    this.limitIndex = -1;
    this.buffer = new ReadBuffer();
    this.#call = call;
    this.#state = CONNECTING;
    this.#served = 0;
    this.#pending = new HeadBuffer();
    this.#reply = undefined;
    this.#interims = 0;
    this.#left = 0;
    this.#chunks = undefined;
    this.#rest = EMPTY;
    this.#waiting = false;
    this.#serverEnded = false;
    this.#idleMs = 0;
    call.connection = this;
  }

  get isConnecting(): boolean {
    return this.#state === CONNECTING;
  }

  // --- Connecting.

  connecting(socket: Socket, limitMs: number): void {
    this.socket = socket;
    const { limits, scratch } = this.pool.transport;
    const isSecure = this.pool.server.spec.scheme === "https";
    this.#request = new RequestWriter(socket, scratch, isSecure, () => this.#onDrained());
    this.limitAtMs = limitMs === 0 ? Number.POSITIVE_INFINITY : limits.nowMs + limitMs;
    limits.add(this);
  }

  connected(): void {
    if (this.#state !== CONNECTING) return;
    const call = this.#call!;
    this.start(call);
  }

  connectFailed(fault: Fault, detail: string): void {
    if (this.#state === CLOSED) return;
    const call = this.#call;
    this.destroy();
    call?.failed(fault, detail, false, false);
  }

  // --- The request.

  start(call: Http1Call): void {
    this.#call = call;
    call.connection = this;
    this.#state = HEAD;
    this.#interims = 0;
    this.buffer.flows = false;
    this.#served++;
    const { exchange } = call;
    exchange.sentAtMs = performance.now();
    const length = call.requestLength;
    this.#request.begin(requestText(exchange, call.server, length), length < 0);
    if (length === 0) return this.#endRequest(undefined);
    this.limitAtMs = Number.POSITIVE_INFINITY;
    pumpBody(call);
    if (this.#request.isHeld) this.pool.transport.holdHead(this);
  }

  /** The end of the loop turn: a body that has not begun does not hold the head back any longer. */
  releaseHead(): void {
    if (this.#state !== CLOSED) this.#request.release();
  }

  sendBody(chunk: Buffer): boolean {
    if (this.#request.done || this.#state === CLOSED || chunk.length === 0) return true;
    if (this.#request.write(chunk)) return true;
    this.#limitIn(this.pool.transport.idleReadMs);
    return false;
  }

  #onDrained(): void {
    const call = this.#call;
    if (call === undefined || this.#request.done || this.#state === CLOSED) return;
    this.limitAtMs = Number.POSITIVE_INFINITY;
    call.exchange.requestBody.resume();
  }

  endBody(trailers: string[] | undefined): void {
    if (!this.#request.done && this.#state !== CLOSED) this.#endRequest(trailers);
  }

  /** The server must not take what it has of the body for the whole. A reply that has begun is cut too. */
  requestCut(fault: Fault): void {
    this.#lose(fault, "request body");
  }

  #endRequest(trailers: string[] | undefined): void {
    this.#request.end(trailers);
    if (this.#state === HEAD) this.#limitIn(this.pool.transport.headerMs);
  }

  #limitIn(ms: number): void {
    this.limitAtMs = ms === 0 ? Number.POSITIVE_INFINITY : this.pool.transport.limits.nowMs + ms;
  }

  // --- The reply.

  /** False: read no more for now. The bytes may lie in the read buffer. */
  take(chunk: Buffer): boolean {
    switch (this.#state) {
      case HEAD:
        return this.#takeHead(chunk);
      case BODY_LENGTH:
      case BODY_CHUNKED:
      case BODY_TO_CLOSE:
        this.#limitIn(this.#idleMs);
        return this.#takeBody(chunk, 0);
      case CLOSED:
        return false;
      default:
        // BE-14: bytes that nobody asked for would be taken for the next request's reply.
        this.destroy();
        return false;
    }
  }

  #takeHead(chunk: Buffer): boolean {
    const pending = this.#pending;
    const max = this.pool.transport.headLimits.headBytesMax;
    let bytes = chunk;
    let end: number;
    if (pending.length === 0) end = headEnd(chunk, 0);
    else {
      const from = pending.length;
      pending.add(chunk);
      end = pending.end(from);
      bytes = pending.bytes();
    }
    if (end < 0) {
      if (bytes.length > max) return this.#bad(FAULTS["reply-too-large"], "head");
      if (!couldBeReply(bytes)) return this.#bad(FAULTS["bad-reply"], "status line");
      if (pending.length === 0) pending.add(chunk);
      return true;
    }
    const reply = parseReplyHead(bytes.toString("latin1", 0, end), this.pool.transport.headLimits);
    pending.clear();
    if (reply.fault !== undefined) return this.#bad(FAULTS[reply.fault], reply.detail);
    if (reply.status < 200) return this.#interim(reply, bytes, end);
    return this.#replied(reply, bytes, end);
  }

  #bad(fault: Fault, detail: string): false {
    this.#lose(fault, detail);
    return false;
  }

  #interim(reply: ReplyHead, bytes: Buffer, end: number): boolean {
    if (reply.status === 101) return this.#bad(FAULTS["bad-switch"], "101 without an upgrade");
    if (++this.#interims > INTERIM_MAX) return this.#bad(FAULTS["bad-reply"], "too many interim replies");
    if (reply.contentLength >= 0 || reply.chunked) {
      return this.#bad(FAULTS["bad-reply"], "interim reply with a body");
    }
    if (reply.status !== 100) this.#call!.events.informed(reply.status, reply.headers);
    if (this.#state !== HEAD) return false;
    return end === bytes.length || this.#takeHead(bytes.subarray(end));
  }

  #replied(reply: ReplyHead, bytes: Buffer, end: number): boolean {
    const call = this.#call!;
    this.#reply = reply;
    this.#frame(reply, call);
    const { status, headers } = reply;
    const type = getHeader(headers, "content-type");
    const streams = type?.startsWith("text/event-stream") === true;
    this.#idleMs = streams ? 0 : call.exchange.leaf?.limits?.idleMs || this.pool.transport.idleReadMs;
    this.#limitIn(this.#idleMs);
    if (end < bytes.length) {
      this.#rest = bytes.subarray(end);
      this.#waiting = true;
    }
    // May flow at once, which reads `#rest` before this returns.
    call.events.replied(status, headers, call);
    if (this.#call !== call) return !this.#waiting && this.#state !== CLOSED;
    if (call.sink !== undefined) return !this.#waiting && (this.#state as number) !== CLOSED;
    // Nobody takes the body yet. The bytes must outlive the read buffer.
    this.#keepRest();
    this.#waiting = true;
    this.limitAtMs = Number.POSITIVE_INFINITY;
    return false;
  }

  #frame(reply: ReplyHead, call: Http1Call): void {
    const { status } = reply;
    if (call.exchange.method === "HEAD" || status === 204 || status === 304) {
      this.#state = BODY_LENGTH;
      this.#left = 0;
      call.length = 0;
    } else if (reply.chunked) {
      this.#state = BODY_CHUNKED;
      this.#chunks = new ChunkedDecoder();
      call.length = -1;
    } else if (reply.contentLength >= 0) {
      this.#state = BODY_LENGTH;
      this.#left = reply.contentLength;
      call.length = reply.contentLength;
    } else {
      this.#state = BODY_TO_CLOSE;
      call.length = -1;
    }
  }

  #keepRest(): void {
    if (this.#rest.length > 0) this.#rest = Buffer.from(this.#rest);
  }

  /** What the sink kept of the body has left, and more may flow. */
  resume(): void {
    this.buffer.flows = true;
    this.readOn();
  }

  /** The body may flow. */
  readOn(): void {
    const call = this.#call;
    if (call?.sink === undefined || this.#state === CLOSED) return;
    const rest = this.#rest;
    const waited = this.#waiting;
    this.#rest = EMPTY;
    this.#waiting = false;
    this.#limitIn(this.#idleMs);
    // Before the body can end: a connection kept with its reading stopped would never see its next reply.
    if (waited) this.socket.resume();
    if (rest.length > 0 && !this.#takeBody(rest, 0)) return;
    if (this.#state === BODY_LENGTH && this.#left === 0 && this.#call === call) this.#finish(undefined);
    else if (this.#call !== call || this.#waiting) return;
    else if (this.#serverEnded) this.ended();
  }

  #takeBody(bytes: Buffer, from: number): boolean {
    const sink = this.#call!.sink;
    if (sink === undefined || this.#waiting) {
      this.#rest =
        this.#rest.length === 0 ? Buffer.from(bytes.subarray(from)) : Buffer.concat([this.#rest, bytes]);
      this.#waiting = true;
      return false;
    }
    if (this.#state === BODY_CHUNKED) return this.#takeChunks(bytes, from);
    let end = bytes.length;
    if (this.#state === BODY_LENGTH) {
      end = Math.min(end, from + this.#left);
      this.#left -= end - from;
      if (end < bytes.length) {
        // BE-13, BE-14: more than was announced. What was announced is good, the connection is not.
        this.#reply!.keepAlive = false;
      }
    }
    if (end > from) {
      if (sink.data(from === 0 && end === bytes.length ? bytes : bytes.subarray(from, end)))
        this.buffer.flows = true;
      else this.#stall();
    }
    if (this.#state !== BODY_LENGTH || this.#left > 0)
      return !this.#waiting && this.#state !== (CLOSED as number);
    if (this.#waiting) return false;
    this.#finish(undefined);
    return this.#state !== (CLOSED as number);
  }

  #takeChunks(bytes: Buffer, from: number): boolean {
    const call = this.#call!;
    const chunks = this.#chunks!;
    for (let at = from; ; ) {
      const found = chunks.next(bytes, at);
      at = chunks.at;
      if (found === DATA) {
        if (!call.sink!.data(bytes.subarray(chunks.dataStart, chunks.dataEnd))) {
          this.#stall();
          this.#rest = bytes.subarray(at);
          return false;
        }
        this.buffer.flows = true;
        if (this.#call !== call || this.#state === CLOSED) return false;
      } else if (found === END) {
        if (at < bytes.length) this.#reply!.keepAlive = false;
        this.#finish(chunks.trailers);
        return (this.#state as number) !== CLOSED;
      } else {
        if (found === BAD) return this.#bad(FAULTS["bad-reply"], "chunk");
        return true;
      }
    }
  }

  /** The sink keeps the bytes, so the next read needs another buffer; until it is drained nothing is read. */
  #stall(): void {
    this.#waiting = true;
    this.buffer.giveAway();
    this.limitAtMs = Number.POSITIVE_INFINITY;
  }

  #finish(trailers: string[] | undefined): void {
    const call = this.#call!;
    const sink = call.sink!;
    const reusable =
      this.#reply!.keepAlive &&
      this.#request.done &&
      this.#rest.length === 0 &&
      !this.#serverEnded &&
      !mayBeMisread(call);
    const complete = this.#request.done;
    this.#call = undefined;
    this.#reply = undefined;
    this.#chunks = undefined;
    this.#rest = EMPTY;
    this.#waiting = false;
    call.connection = undefined;
    call.settled = true;
    // Free before the reply ends: the client's next request may already be there and want it.
    if (reusable) this.#keep();
    else this.destroy();
    if (!complete) call.exchange.requestBody.cancel();
    sink.end(trailers);
  }

  #keep(): void {
    this.#state = IDLE;
    this.#limitIn(this.pool.transport.keepMs);
    if (!this.pool.keep(this)) this.destroy();
  }

  // --- The end.

  /** The server has closed its side. Bytes of the reply that nobody has taken yet are still good. */
  ended(): void {
    if (this.#waiting) this.#serverEnded = true;
    else if (this.#state === BODY_TO_CLOSE) {
      this.#reply!.keepAlive = false;
      this.#finish(undefined);
    } else this.#lose(FAULTS["upstream-closed"], "closed");
  }

  closed(): void {
    if (!this.#serverEnded) this.#lose(FAULTS["upstream-reset"], "closed");
  }

  broke(detail: string): void {
    this.#lose(FAULTS["upstream-reset"], detail);
  }

  timedOut(): void {
    switch (this.#state) {
      case CONNECTING:
        this.connectFailed(FAULTS["connect-timeout"], "connect timeout");
        return;
      case IDLE:
        this.destroy();
        return;
      case HEAD:
        this.#lose(FAULTS["upstream-timeout"], this.#request.done ? "no reply in time" : "request not read");
        return;
      default:
        this.#lose(FAULTS["upstream-stalled"], "no bytes in time");
    }
  }

  /** Nothing more will come of this connection. What that means for the call depends on how far it was. */
  #lose(fault: Fault, detail: string): void {
    if (this.#state === CLOSED) return;
    const call = this.#call;
    const replied =
      this.#state === BODY_CHUNKED || this.#state === BODY_LENGTH || this.#state === BODY_TO_CLOSE;
    const reused = this.#served > 1;
    const { begun } = this.#request;
    const connecting = this.#state === CONNECTING;
    this.destroy();
    if (call === undefined || call.settled) return;
    if (connecting) call.failed(FAULTS["connect-failed"], detail, false, false);
    else if (!replied) {
      // A reply that had begun is not a stale connection.
      const stale = reused && this.#interims === 0 && this.#pending.length === 0;
      call.exchange.requestBody.cancel();
      call.failed(fault, detail, stale, begun);
    } else {
      call.settled = true;
      const cut = fault.code === "upstream-closed" || fault.code === "upstream-reset";
      if (call.sink === undefined) call.lost = cut ? FAULTS["upstream-truncated"] : fault;
      else call.sink.fail(cut ? FAULTS["upstream-truncated"] : fault);
    }
  }

  /** Closes it at once. Safe at any time, and any number of times. */
  destroy(): void {
    if (this.#state === CLOSED) return;
    const wasIdle = this.#state === IDLE;
    this.#state = CLOSED;
    if (this.#call !== undefined) this.#call.connection = undefined;
    this.#call = undefined;
    this.#rest = EMPTY;
    this.pool.transport.limits.remove(this);
    this.socket.destroy();
    this.pool.gone(this, wasIdle);
  }
}

/** Servers that expect no body there take it for the next request, whose reply would go to somebody else. */
function mayBeMisread({ requestLength, exchange: { method } }: Http1Call): boolean {
  return requestLength !== 0 && (method === "GET" || method === "HEAD");
}

/** Whether bytes without an empty line may still become a reply's head. Garbage is not waited for. */
function couldBeReply(bytes: Buffer): boolean {
  const start = bytes.toString("latin1", 0, Math.min(bytes.length, 7));
  return "HTTP/1.".startsWith(start);
}

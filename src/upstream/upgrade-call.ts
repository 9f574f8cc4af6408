import { connect as connectNet, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Timed } from "../lib/time-limits.ts";
import { type BodySink, type BodySource, NO_BODY } from "../model/body.ts";
import type { Exchange } from "../model/exchange.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import type { Server } from "../model/service.ts";
import type { ByteTaker, TunnelEnd, UpstreamCall, UpstreamEvents } from "../model/upstream.ts";
import { BAD, ChunkedDecoder, DATA, END } from "../wire/chunked.ts";
import { HeadBuffer } from "../wire/head-buffer.ts";
import { parseReplyHead, type ReplyHead } from "../wire/reply-head.ts";
import { connectFault, describe, tlsOptions, whereTo } from "./connect.ts";
import { requestText } from "./request-text.ts";
import type { Transport } from "./transport.ts";

const INTERIM_MAX = 32;
const KEEP_ALIVE_DELAY_MS = 60_000;
// One for all, and what is read is copied: messages are small, and a buffer for each of a thousand connections would
// be out of the caches whenever it is wanted.
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);
const EMPTY = Buffer.alloc(0);

/**
 * A request to switch protocols. It has a connection of its own, which is never used for anything else: after a real
 * 101 it is given away as a tunnel, after any other reply it is closed.
 */
export class UpgradeCall implements UpstreamCall, TunnelEnd, BodySource, Timed {
  limitAtMs: number;
  limitIndex: number;
  length: number;
  readonly stream: Socket;
  readonly #exchange: Exchange;
  readonly #server: Server;
  readonly #events: UpstreamEvents;
  readonly #transport: Transport;
  readonly #head: HeadBuffer;
  #connected: boolean;
  #interims: number;
  #reply: ReplyHead | undefined;
  #left: number;
  #chunks: ChunkedDecoder | undefined;
  #sink: BodySink | undefined;
  /** Of the body, until it flows or flows on. */
  #rest: Buffer;
  #taker: ByteTaker | undefined;
  #ended: boolean;
  #over: boolean;

  constructor(exchange: Exchange, server: Server, events: UpstreamEvents, transport: Transport) {
    this.#exchange = exchange;
    this.#server = server;
    this.#events = events;
    this.#transport = transport;
    this.#head = new HeadBuffer();
    this.#connected = false;
    this.#interims = 0;
    this.#reply = undefined;
    this.#left = 0;
    this.#chunks = undefined;
    this.#sink = undefined;
    this.#rest = EMPTY;
    this.#taker = undefined;
    this.#ended = false;
    this.#over = false;
    this.length = -1;
    this.limitIndex = -1;
    const connectMs = exchange.leaf?.limits?.connectMs || transport.connectMs;
    this.limitAtMs = connectMs === 0 ? Number.POSITIVE_INFINITY : transport.limits.nowMs + connectMs;
    transport.limits.add(this);
    this.stream = this.#open();
  }

  #open(): Socket {
    const secure = this.#server.spec.scheme === "https";
    const socket = secure ? this.#openTls() : this.#openPlain();
    socket.on(secure ? "secureConnect" : "connect", this.#onConnect);
    socket.on("end", this.#onEnd);
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
    return socket;
  }

  #openPlain(): Socket {
    return connectNet({
      ...whereTo(this.#server.spec),
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
      onread: {
        buffer: READ_BUFFER,
        callback: (length, buffer) => {
          const bytes = Buffer.allocUnsafe(length);
          (buffer as Buffer).copy(bytes, 0, 0, length);
          return this.#read(bytes);
        },
      },
    });
  }

  #openTls(): Socket {
    const options = tlsOptions(this.#transport.tls, this.#server.spec);
    const socket = connectTls({ ...options, ALPNProtocols: ["http/1.1"] });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
    socket.on("data", (chunk: Buffer) => {
      if (!this.#read(chunk)) socket.pause();
    });
    return socket;
  }

  readInto(taker: ByteTaker): void {
    this.#taker = taker;
  }

  /** False: read no more for now. */
  #read(bytes: Buffer): boolean {
    return this.#taker === undefined ? this.#take(bytes) : this.#taker.take(bytes);
  }

  readonly #onConnect = (): void => {
    this.#connected = true;
    this.#exchange.sentAtMs = performance.now();
    this.#limitIn(this.#transport.headerMs);
    this.stream.write(requestText(this.#exchange, this.#server, 0), "latin1");
  };

  #limitIn(ms: number): void {
    this.limitAtMs = ms === 0 ? Number.POSITIVE_INFINITY : this.#transport.limits.nowMs + ms;
  }

  #take(chunk: Buffer): boolean {
    if (this.#over) return true;
    if (this.#reply !== undefined) return this.#takeBody(chunk);
    const from = this.#head.length;
    this.#head.add(chunk);
    this.#takeHead(from);
    return true;
  }

  #takeHead(from: number): void {
    const bytes = this.#head.bytes();
    const end = this.#head.end(from);
    if (end < 0) {
      if (bytes.length > this.#transport.headLimits.headBytesMax)
        this.#fail(FAULTS["reply-too-large"], "head");
      else if (!"HTTP/1.".startsWith(bytes.toString("latin1", 0, 7)))
        this.#fail(FAULTS["bad-reply"], "status line");
      return;
    }
    const reply = parseReplyHead(bytes.toString("latin1", 0, end), this.#transport.headLimits);
    const rest = bytes.subarray(end);
    this.#head.clear();
    if (reply.fault !== undefined) this.#fail(FAULTS[reply.fault], reply.detail);
    else if (reply.status === 101) this.#switch(reply, rest);
    else if (reply.status < 200) this.#interim(reply, rest);
    else this.#relay(reply, rest);
  }

  #interim(reply: ReplyHead, rest: Buffer): void {
    if (++this.#interims > INTERIM_MAX) return this.#fail(FAULTS["bad-reply"], "too many interim replies");
    if (reply.status !== 100) this.#events.informed(reply.status, reply.headers);
    if (rest.length === 0 || this.#over) return;
    this.#head.add(rest);
    this.#takeHead(0);
  }

  #switch(reply: ReplyHead, rest: Buffer): void {
    if (reply.upgrade !== this.#exchange.upgrade || reply.contentLength > 0 || reply.chunked) {
      return this.#fail(FAULTS["bad-switch"], "101 to another protocol, or with a body");
    }
    this.#over = true;
    this.#transport.limits.remove(this);
    const socket = this.stream;
    socket.pause();
    socket.off("end", this.#onEnd);
    socket.off("close", this.#onClose);
    // The error listener stays: a socket without one takes the process down.
    this.#events.switched(reply.headers, this, rest);
  }

  /** The server did not switch: its answer goes back as any other reply. */
  #relay(reply: ReplyHead, rest: Buffer): void {
    const bodiless = reply.status === 204 || reply.status === 304 || reply.contentLength === 0;
    this.#reply = reply;
    this.length = bodiless ? 0 : reply.chunked ? -1 : reply.contentLength;
    this.#left = this.length < 0 ? Number.POSITIVE_INFINITY : this.length;
    if (reply.chunked) this.#chunks = new ChunkedDecoder();
    this.#rest = rest;
    this.#stall();
    this.#events.replied(reply.status, reply.headers, bodiless ? NO_BODY : this);
    if (bodiless) this.#close();
  }

  /** The server is not blamed for what the client does not take. */
  #stall(): false {
    this.limitAtMs = Number.POSITIVE_INFINITY;
    this.stream.pause();
    return false;
  }

  #takeBody(chunk: Buffer): boolean {
    this.#limitIn(this.#transport.idleReadMs);
    const sink = this.#sink!;
    if (this.#chunks !== undefined) return this.#takeChunks(chunk, this.#chunks, sink);
    const wanted = chunk.length > this.#left ? chunk.subarray(0, this.#left) : chunk;
    this.#left -= wanted.length;
    const ready = sink.data(wanted);
    if (this.#left === 0) this.#finish(sink, undefined);
    return ready || this.#stall();
  }

  #takeChunks(chunk: Buffer, chunks: ChunkedDecoder, sink: BodySink): boolean {
    for (let at = 0; !this.#over; ) {
      const found = chunks.next(chunk, at);
      at = chunks.at;
      if (found === DATA) {
        if (sink.data(chunk.subarray(chunks.dataStart, chunks.dataEnd))) continue;
        this.#rest = chunk.subarray(at);
        return this.#stall();
      }
      if (found === END) this.#finish(sink, chunks.trailers);
      else if (found === BAD) this.#fail(FAULTS["bad-reply"], "chunk");
      return true;
    }
    return true;
  }

  #finish(sink: BodySink, trailers: string[] | undefined): void {
    this.#close();
    sink.end(trailers);
  }

  flow(sink: BodySink): void {
    this.#sink = sink;
    if (this.#ended) sink.fail(FAULTS["upstream-truncated"]);
    else this.resume();
  }

  resume(): void {
    if (this.#over) return;
    const rest = this.#rest;
    this.#rest = EMPTY;
    this.#limitIn(this.#transport.idleReadMs);
    if (rest.length === 0 || this.#takeBody(rest)) this.stream.resume();
  }

  cancel(): void {
    this.#close();
  }

  readonly #onEnd = (): void => {
    if (this.#over) return;
    const toClose = this.#reply !== undefined && this.#chunks === undefined && this.length < 0;
    if (toClose && this.#sink !== undefined) this.#finish(this.#sink, undefined);
    else this.#fail(FAULTS["upstream-closed"], "closed");
  };

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    if (this.#over) return;
    const fault = this.#connected
      ? FAULTS["upstream-reset"]
      : connectFault(error, this.#server.spec.scheme === "https");
    this.#fail(fault, describe(error));
  };

  readonly #onClose = (): void => this.#fail(FAULTS["upstream-closed"], "closed");

  timedOut(): void {
    if (!this.#connected) this.#fail(FAULTS["connect-timeout"], "connect timeout");
    else this.#fail(FAULTS[this.#reply === undefined ? "upstream-timeout" : "upstream-stalled"], "timeout");
  }

  #fail(fault: Fault, detail: string): void {
    if (this.#over) return;
    const replied = this.#reply !== undefined;
    const connected = this.#connected;
    this.#close();
    if (!replied) this.#events.failed(fault, detail, false, connected);
    else if (this.#sink === undefined) this.#ended = true;
    else this.#sink.fail(FAULTS["upstream-truncated"]);
  }

  #close(): void {
    this.#over = true;
    this.#transport.limits.remove(this);
    this.stream.destroy();
  }
}

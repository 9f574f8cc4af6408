import { connect as connectNet, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Timed } from "../lib/time-limits.ts";
import { type BodySink, type BodySource, NO_BODY } from "../model/body.ts";
import type { Exchange } from "../model/exchange.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import type { Server } from "../model/service.ts";
import type { UpstreamCall, UpstreamEvents } from "../model/upstream.ts";
import { BAD, ChunkedDecoder, DATA, END } from "../wire/chunked.ts";
import { HeadBuffer } from "../wire/head-buffer.ts";
import { parseReplyHead, type ReplyHead } from "../wire/reply-head.ts";
import { connectFault, describe, tlsOptions, whereTo } from "./connect.ts";
import { requestText } from "./request-text.ts";
import type { Transport } from "./transport.ts";

const INTERIM_MAX = 32;

/**
 * A request to switch protocols. It has a connection of its own, which is never used for anything else: after a real
 * 101 it is given away as a tunnel, after any other reply it is closed.
 */
export class UpgradeCall implements UpstreamCall, BodySource, Timed {
  limitAtMs: number;
  limitIndex: number;
  length: number;
  readonly #exchange: Exchange;
  readonly #server: Server;
  readonly #events: UpstreamEvents;
  readonly #transport: Transport;
  readonly #socket: Socket;
  readonly #head: HeadBuffer;
  #connected: boolean;
  #interims: number;
  #reply: ReplyHead | undefined;
  #left: number;
  #chunks: ChunkedDecoder | undefined;
  #sink: BodySink | undefined;
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
    this.#ended = false;
    this.#over = false;
    this.length = -1;
    this.limitIndex = -1;
    const connectMs = exchange.leaf?.limits?.connectMs || transport.connectMs;
    this.limitAtMs = connectMs === 0 ? Number.POSITIVE_INFINITY : transport.limits.nowMs + connectMs;
    transport.limits.add(this);
    this.#socket = this.#open();
  }

  #open(): Socket {
    const { spec } = this.#server;
    const secure = spec.scheme === "https";
    const socket = secure
      ? connectTls({
          ...tlsOptions(this.#transport.tls, spec),
          ALPNProtocols: ["http/1.1"],
        })
      : connectNet({ ...whereTo(spec), allowHalfOpen: true });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    socket.on(secure ? "secureConnect" : "connect", this.#onConnect);
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
    return socket;
  }

  readonly #onConnect = (): void => {
    this.#connected = true;
    this.#exchange.sentAtMs = performance.now();
    this.#limitIn(this.#transport.headerMs);
    this.#socket.write(requestText(this.#exchange, this.#server, 0), "latin1");
  };

  #limitIn(ms: number): void {
    this.limitAtMs = ms === 0 ? Number.POSITIVE_INFINITY : this.#transport.limits.nowMs + ms;
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#over) return;
    if (this.#reply !== undefined) {
      this.#limitIn(this.#transport.idleReadMs);
      return this.#takeBody(chunk);
    }
    const from = this.#head.length;
    this.#head.add(chunk);
    this.#takeHead(from);
  };

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
    const socket = this.#socket;
    socket.pause();
    socket.off("data", this.#onData);
    socket.off("end", this.#onEnd);
    socket.off("close", this.#onClose);
    // The error listener stays: a socket without one takes the process down.
    this.#events.switched(reply.headers, socket, Buffer.from(rest));
  }

  /** The server did not switch: its answer goes back as any other reply. */
  #relay(reply: ReplyHead, rest: Buffer): void {
    const bodiless = reply.status === 204 || reply.status === 304 || reply.contentLength === 0;
    this.#reply = reply;
    this.length = bodiless ? 0 : reply.chunked ? -1 : reply.contentLength;
    this.#left = this.length < 0 ? Number.POSITIVE_INFINITY : this.length;
    if (reply.chunked) this.#chunks = new ChunkedDecoder();
    this.#socket.pause();
    if (rest.length > 0) this.#socket.unshift(Buffer.from(rest));
    this.#events.replied(reply.status, reply.headers, bodiless ? NO_BODY : this);
    if (bodiless) this.#close();
  }

  #takeBody(chunk: Buffer): void {
    const sink = this.#sink!;
    if (this.#chunks !== undefined) return this.#takeChunks(chunk, this.#chunks, sink);
    const wanted = chunk.length > this.#left ? chunk.subarray(0, this.#left) : chunk;
    this.#left -= wanted.length;
    if (!sink.data(wanted)) this.#socket.pause();
    if (this.#left === 0) this.#finish(sink, undefined);
  }

  #takeChunks(chunk: Buffer, chunks: ChunkedDecoder, sink: BodySink): void {
    for (let at = 0; !this.#over; ) {
      const found = chunks.next(chunk, at);
      at = chunks.at;
      if (found === DATA) {
        if (!sink.data(chunk.subarray(chunks.dataStart, chunks.dataEnd))) this.#socket.pause();
      } else if (found === END) return this.#finish(sink, chunks.trailers);
      else {
        if (found === BAD) this.#fail(FAULTS["bad-reply"], "chunk");
        return;
      }
    }
  }

  #finish(sink: BodySink, trailers: string[] | undefined): void {
    this.#close();
    sink.end(trailers);
  }

  flow(sink: BodySink): void {
    this.#sink = sink;
    if (this.#ended) sink.fail(FAULTS["upstream-truncated"]);
    else this.#socket.resume();
  }

  resume(): void {
    this.#socket.resume();
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
    this.#socket.destroy();
  }
}

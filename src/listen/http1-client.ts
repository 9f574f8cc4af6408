import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Timed } from "../lib/time-limits.ts";
import { type BodySink, NO_BODY } from "../model/body.ts";
import type { Client } from "../model/client.ts";
import { errorReply } from "../model/error-reply.ts";
import type { Connection, Exchange, Reply } from "../model/exchange.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import type { Headers } from "../model/headers.ts";
import { parseRequestHead, type RequestHead } from "../wire/request-head.ts";
import { BROKEN, COMPLETE, RequestBody, STALLED } from "./http1-body.ts";
import { HeadReader, REFUSED, WHOLE } from "./http1-head.ts";
import { ReplyWriter } from "./http1-reply.ts";
import { type Framing, interimText, lastReplyText } from "./reply-text.ts";
import type { Site } from "./site.ts";

/** What the next byte from the client is. */
const HEAD = 0;
const BODY = 1;
/** Of a later request: it waits until this one is answered. */
const LATER = 2;
/** Of no interest: the connection is about to close. */
const NOTHING = 3;
const TUNNEL = 4;

const UNREAD_MAX = 256 * 1024;
/** Of later requests, read ahead of their time: without reading nobody would notice that the client has gone. */
const LATER_MAX = 16 * 1024;
const LINGER_MS = 2000;
const EMPTY = Buffer.alloc(0);
const NEVER = Number.POSITIVE_INFINITY;

/** Who wants to know that a connection is closed. */
export interface Owner {
  closed(client: Http1Client): void;
  /** Its reply's head is held until the end of this loop turn. */
  holdHead(client: Http1Client): void;
}

/** One HTTP/1.1 connection of a client: requests come in one after the other and are answered in that order. */
export class Http1Client implements Client, BodySink, Timed {
  limitAtMs: number;
  limitIndex: number;
  readonly #socket: Socket;
  readonly #site: Site;
  readonly #connection: Connection;
  readonly #owner: Owner;
  readonly #bornAtMs: number;
  readonly #head: HeadReader;
  readonly #reply: ReplyWriter;
  #expects: number;
  #served: number;
  /** Bytes that came before their time; while there are any, the socket is paused. */
  #held: Buffer;
  #paused: boolean;
  #pumping: boolean;
  #clientEnded: boolean;
  #exchange: Exchange | undefined;
  #body: RequestBody | undefined;
  #continue: boolean;
  #keepAlive: boolean;
  #deadlineMs: number;
  #ended: boolean;
  #closing: boolean;
  readonly #flushed: () => void;

  constructor(socket: Socket, site: Site, connection: Connection, owner: Owner) {
    this.#socket = socket;
    this.#site = site;
    this.#connection = connection;
    this.#owner = owner;
    this.#bornAtMs = site.limits.nowMs;
    this.#head = new HeadReader(site.headLimits);
    const isSecure = connection.tls !== undefined;
    this.#reply = new ReplyWriter(socket, site.scratch, isSecure, () => this.#onDrained());
    this.#expects = HEAD;
    this.#served = 0;
    this.#held = EMPTY;
    this.#paused = false;
    this.#pumping = false;
    this.#clientEnded = false;
    this.#exchange = undefined;
    this.#body = undefined;
    this.#continue = false;
    this.#keepAlive = true;
    this.#deadlineMs = NEVER;
    this.#ended = false;
    this.#closing = false;
    this.#flushed = () => this.#finished();
    this.limitIndex = -1;
    this.limitAtMs = site.limits.nowMs + site.settings.transport.respondingTimeouts.headerTimeout;
    site.limits.add(this);
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onClose);
  }

  /** No request is under way. */
  get idle(): boolean {
    return this.#exchange === undefined;
  }

  // --- Bytes from the client.

  /** Bytes that were read before this connection was known to speak HTTP/1.1. */
  begin(bytes: Buffer): void {
    if (bytes.length > 0) this.#onData(bytes);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#expects === HEAD && this.#held.length === 0) {
      this.#takeHead(chunk);
      if (this.#held.length > 0 && this.#expects === HEAD) this.#pump();
    } else if (this.#expects === NOTHING) this.#discard(chunk.length);
    else {
      this.#hold(chunk);
      if (this.#expects === BODY) this.#takeHeldBody();
      else if (this.#expects === LATER) this.#readAhead();
    }
  };

  #hold(chunk: Buffer): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
    this.#limitSilence();
  }

  #unpause(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  /** The request has come as a whole. */
  #readAhead(): void {
    if (this.#held.length > LATER_MAX) this.#pause();
    else this.#unpause();
  }

  /** Requests that came ahead of their time, one after the other. A loop, because each may be answered at once. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#expects === HEAD && this.#held.length > 0) {
      const bytes = this.#held;
      this.#held = EMPTY;
      this.#takeHead(bytes);
    }
    this.#pumping = false;
    if (this.#held.length === 0 && this.#expects === HEAD) {
      if (this.#clientEnded) this.#close();
      else this.#unpause();
    }
  }

  #takeHead(chunk: Buffer): void {
    const head = this.#head;
    const isFirst = head.isEmpty;
    const found = head.take(chunk);
    if (found === WHOLE) {
      const { text, bytes, end } = head;
      head.clear();
      this.#begin(text, bytes, end);
    } else if (found === REFUSED) this.#refuse(head.fault, head.detail, NO_HEADERS);
    else if (isFirst && this.#served > 0) {
      this.#limit(this.#site.settings.transport.respondingTimeouts.headerTimeout);
    }
  }

  // --- One request.

  #begin(text: string, bytes: Buffer, end: number): void {
    const site = this.#site;
    const head = parseRequestHead(text, site.headLimits, site.settings.http.underscoreHeadersStrategy);
    if (head.fault !== undefined) return this.#refuseHead(head, text);
    if (!site.checkUpgrade(head)) return this.#refuseHead(head, text);
    const hasBody = head.chunked || head.contentLength > 0;
    const length = head.chunked ? -1 : head.contentLength;
    const body = hasBody ? new RequestBody(this, length, site.limits.nowMs) : undefined;
    const exchange = site.exchange(head, this, this.#connection, body ?? NO_BODY, this.#head.startedAtMs);
    if (exchange === undefined) return this.#refuseHead(head, text);

    this.#served++;
    this.#exchange = exchange;
    this.#body = body;
    this.#continue = head.expectsContinue && hasBody;
    this.#keepAlive = head.keepAlive && this.#mayKeep();
    this.#reply.begun = false;
    this.#ended = false;
    this.#expects = hasBody ? BODY : LATER;
    if (end < bytes.length) this.#held = bytes.subarray(end);
    this.#setDeadline();
    site.gateway.handle(exchange);
    if (this.#held.length === 0 || this.#exchange !== exchange) return;
    // Whoever wants the body may want it later; until then the kernel keeps it.
    if (this.#expects === BODY) this.#pause();
    else this.#readAhead();
  }

  #mayKeep(): boolean {
    const { keepAliveMaxRequests, keepAliveMaxTime } = this.#site.settings.transport;
    if (this.#site.draining || this.#clientEnded) return false;
    if (keepAliveMaxRequests > 0 && this.#served >= keepAliveMaxRequests) return false;
    return keepAliveMaxTime === 0 || this.#site.limits.nowMs - this.#bornAtMs < keepAliveMaxTime;
  }

  #refuseHead(head: RequestHead, text: string): void {
    // The same verdict as when the head had come in pieces, and a bare line end had been seen first.
    const bare = /[^\r]\n|\r[^\n]/.test(text);
    const fault = bare ? FAULTS["bad-request"] : FAULTS[head.fault!];
    this.#refuse(fault, bare ? "bare CR or LF" : head.detail, head.headers, head.method);
  }

  #setDeadline(): void {
    const { readTimeout, writeTimeout, bodyIdleTimeout } = this.#site.settings.transport.respondingTimeouts;
    const now = this.#site.limits.nowMs;
    this.#deadlineMs = NEVER;
    if (writeTimeout > 0) this.#deadlineMs = now + writeTimeout;
    if (readTimeout > 0 && this.#body !== undefined)
      this.#deadlineMs = Math.min(this.#deadlineMs, now + readTimeout);
    this.#limit(this.#body === undefined ? 0 : bodyIdleTimeout);
    this.#limitSilence();
  }

  #limit(ms: number): void {
    this.limitAtMs = ms === 0 ? this.#deadlineMs : Math.min(this.#deadlineMs, this.#site.limits.nowMs + ms);
  }

  // --- The request's body.

  bodyFlows(body: RequestBody): void {
    if (this.#body !== body) return;
    body.countFrom(this.#site.limits.nowMs);
    if (this.#continue && this.#held.length === 0 && !this.#reply.begun)
      this.#socket.write("HTTP/1.1 100 Continue\r\n\r\n");
    this.#continue = false;
    this.bodyResumes(body);
  }

  bodyResumes(body: RequestBody): void {
    if (this.#body !== body || this.#expects !== BODY) return;
    body.countOn(this.#site.limits.nowMs);
    this.#limit(this.#site.settings.transport.respondingTimeouts.bodyIdleTimeout);
    this.#takeHeldBody();
    // Its sink may want no more by now, although nothing is held.
    if (this.#expects === BODY && this.#held.length === 0 && !body.isStalled) this.#unpause();
  }

  #takeHeldBody(): void {
    const body = this.#body!;
    if (!body.flows) return this.#pause();
    const bytes = this.#held;
    if (bytes.length === 0) return;
    this.#held = EMPTY;
    const before = body.received;
    const exchange = this.#exchange;
    const found = body.take(bytes);
    if (exchange !== undefined) exchange.requestBytes += body.received - before;
    if (body.at < bytes.length) this.#held = bytes.subarray(body.at);
    switch (found) {
      case COMPLETE:
        return this.#bodyComplete();
      case BROKEN:
        return this.#bodyBroken(body, FAULTS["bad-framing"]);
      case STALLED:
        // The client may not be blamed for what the server does not take.
        body.stopCount(this.#site.limits.nowMs);
        this.limitAtMs = this.#deadlineMs;
        return this.#pause();
      default:
        if (body.discarding && body.received > UNREAD_MAX) return this.#stopReading();
        if (this.#clientEnded) return this.#bodyCut(body);
        this.#checkRate(body);
    }
  }

  #bodyComplete(): void {
    this.#body = undefined;
    this.#expects = LATER;
    this.#readAhead();
    if (this.#ended) return this.#next();
    this.limitAtMs = this.#deadlineMs;
    this.#limitSilence();
  }

  #bodyBroken(body: RequestBody, fault: Fault): void {
    this.#stopReading();
    body.fail(fault);
    if (this.#ended) this.#close();
  }

  /** What comes now can be told from nothing else any more: the connection ends after the reply. */
  #stopReading(): void {
    this.#keepAlive = false;
    this.#expects = NOTHING;
    this.#held = EMPTY;
    this.#body = undefined;
    this.limitAtMs = this.#deadlineMs;
    if (this.#ended) this.#close();
  }

  #checkRate(body: RequestBody): void {
    const { bodyRateMin, bodyIdleTimeout } = this.#site.settings.transport.respondingTimeouts;
    this.#limit(bodyIdleTimeout);
    if (body.isSlowerThan(bodyRateMin, this.#site.limits.nowMs)) {
      this.#bodyBroken(body, FAULTS["request-timeout"]);
    }
  }

  // --- The reply.

  inform(exchange: Exchange, status: number, headers: Headers): void {
    if (this.#reply.begun || exchange.httpVersion === 10 || this.#exchange !== exchange) return;
    this.#socket.write(interimText(status, headers, undefined), "latin1");
  }

  send(exchange: Exchange): void {
    if (this.#exchange !== exchange) return;
    const { replyTransforms: transforms, replyBody, status } = exchange;
    const length = transforms === undefined ? replyBody.length : -1;
    const bodiless = exchange.method === "HEAD" || status === 204 || status === 304 || status < 200;
    const framing = bodiless ? "none" : length >= 0 ? "length" : endless(exchange);
    // A client that waits for 100 Continue may send its body or not, and nobody could tell.
    if (this.#continue || framing === "close" || this.#site.draining) this.#keepAlive = false;
    if (this.#body !== undefined && this.#body.left > UNREAD_MAX && !this.#body.flows)
      this.#keepAlive = false;
    if (bodiless && length > 0) exchange.replyHeaders.push("Content-Length", String(length));
    this.#reply.begin(exchange, framing, length, this.#keepAlive, this.#site.date());
    let sink: BodySink = this;
    if (transforms !== undefined) {
      for (let i = transforms.length - 1; i >= 0; i--) sink = transforms[i]!(sink, replyBody);
    }
    replyBody.flow(sink);
    if (this.#exchange !== exchange) return;
    this.#limitSilence();
    if (this.#reply.isHeld) this.#owner.holdHead(this);
  }

  /**
   * SL-10. A client that has closed its half, or is not read, may have gone: its reply must not be silent for ever, nor
   * may it keep the client waiting without end before it begins. Nobody would ever see it go.
   */
  #limitSilence(): void {
    const { begun } = this.#reply;
    if (this.#ended || !(this.#clientEnded || this.#paused)) return;
    if (!begun && this.#body !== undefined) return;
    this.#limit(this.#site.settings.transport.respondingTimeouts.writeStallTimeout);
  }

  /** The end of the loop turn: a body that has not begun does not hold the head back any longer. */
  releaseHead(): void {
    if (this.#exchange !== undefined) this.#reply.release();
  }

  data(chunk: Buffer): boolean {
    const exchange = this.#exchange;
    const reply = this.#reply;
    if (exchange === undefined || reply.framing === "none" || chunk.length === 0) return true;
    exchange.replyBytes += chunk.length;
    this.#limitSilence();
    if (reply.write(chunk)) return true;
    this.#limit(this.#site.settings.transport.respondingTimeouts.writeStallTimeout);
    return false;
  }

  #onDrained(): void {
    const exchange = this.#exchange;
    if (exchange === undefined || this.#ended) return;
    this.limitAtMs = this.#deadlineMs;
    this.#limitSilence();
    exchange.replyBody.resume();
  }

  end(trailers: string[] | undefined): void {
    const exchange = this.#exchange;
    if (exchange === undefined || this.#ended) return;
    this.#reply.end(trailers, exchange.acceptsTrailers);
    this.#ended = true;
    // What still waits in a TLS socket is bounded, and the next request need not wait for it.
    const mayFollow = this.#connection.tls !== undefined && this.#keepAlive && !this.#clientEnded;
    if (mayFollow || this.#socket.writableLength === 0) return this.#finished();
    this.#limit(this.#site.settings.transport.respondingTimeouts.writeStallTimeout);
    this.#socket.write(EMPTY, this.#flushed);
  }

  fail(fault: Fault): void {
    const exchange = this.#exchange;
    if (exchange === undefined || this.#ended) return;
    exchange.fault ??= fault;
    if (!this.#reply.isHeld) return this.abort(exchange);
    // Nothing has left yet, so the client can be told.
    this.#reply.forget();
    this.#answer(errorReply(fault, exchange.headers), exchange.method);
    exchange.status = fault.status;
    this.#ended = true;
    this.#finished();
  }

  abort(_exchange: Exchange): void {
    // A clean end would make a body without a length look complete.
    if (this.#reply.framing === "close" && this.#reply.begun) this.#reset();
    else this.#socket.destroy();
  }

  /** A TLS socket cannot be reset, and need not be: without its own farewell the end is no clean one. */
  #reset(): void {
    if (this.#connection.tls === undefined) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  #finished(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#exchange = undefined;
    this.#site.gateway.done(exchange);
    const body = this.#body;
    if (body === undefined || this.#expects !== BODY) return this.#next();
    // H1-30: what is left of the request is read and thrown away, if it is not too much.
    if (!this.#keepAlive) return this.#next();
    this.limitAtMs = this.#site.limits.nowMs + LINGER_MS;
    body.cancel();
  }

  /** The reply has left, and nothing of its request is still to come. */
  #next(): void {
    if (!this.#keepAlive || (this.#clientEnded && this.#held.length === 0)) return this.#close();
    this.#expects = HEAD;
    this.#deadlineMs = NEVER;
    const { idleTimeout } = this.#site.settings.transport.respondingTimeouts;
    this.#limit(idleTimeout * this.#spread());
    if (this.#held.length > 0) this.#pump();
    else this.#unpause();
  }

  // Ten per cent more or less, so that connections that were made together do not end together.
  #spread(): number {
    return 0.9 + ((this.#served * 37 + this.#connection.peerPort) % 201) / 1000;
  }

  takeOver(exchange: Exchange): Duplex {
    const socket = this.#socket;
    socket.off("data", this.#onData);
    socket.off("end", this.#onEnd);
    socket.off("close", this.#onClose);
    this.#site.limits.remove(this);
    this.#expects = TUNNEL;
    this.#reply.begun = true;
    socket.write(interimText(exchange.status, exchange.replyHeaders, exchange.upgrade), "latin1");
    socket.pause();
    if (this.#held.length > 0) socket.unshift(this.#held);
    this.#held = EMPTY;
    socket.on("close", this.#onTunnelClose);
    return socket;
  }

  readonly #onTunnelClose = (): void => this.#owner.closed(this);

  // --- The end.

  /** Answers what never became an exchange, and reads no more. */
  #refuse(fault: Fault, detail: string, headers: Headers, method = ""): void {
    this.#head.clear();
    this.#site.gateway.refused(this.#connection, fault, detail);
    this.#answer(errorReply(fault, headers), method);
    this.#expects = NOTHING;
    this.#held = EMPTY;
    this.#close();
  }

  #answer(reply: Reply, method: string): void {
    this.#keepAlive = false;
    this.#socket.write(lastReplyText(reply, method !== "HEAD", this.#site.date()));
  }

  /** Our side ends; the client's last bytes are read and thrown away for a while, or it might lose the reply. */
  #close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#expects = NOTHING;
    this.#held = EMPTY;
    this.#body = undefined;
    this.#deadlineMs = this.#site.limits.nowMs + LINGER_MS;
    this.limitAtMs = this.#deadlineMs;
    this.#socket.end();
    this.#unpause();
    if (this.#clientEnded) this.#socket.destroySoon();
  }

  #discarded = 0;

  #discard(bytes: number): void {
    this.#discarded += bytes;
    if (this.#discarded > UNREAD_MAX) this.#socket.destroy();
  }

  /** The entry point is shutting down: nothing new is begun. */
  drain(): void {
    if (this.#exchange === undefined && this.#head.isEmpty && this.#expects === HEAD) this.#close();
    else this.#keepAlive = false;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  readonly #onEnd = (): void => {
    this.#clientEnded = true;
    if (this.#closing) return this.#socket.destroySoon();
    if (this.#expects === HEAD && this.#held.length === 0) return this.#close();
    const body = this.#body;
    // Bytes that are held come first: they may be the rest of the body.
    if (this.#expects === BODY && body !== undefined && this.#held.length === 0) this.#bodyCut(body);
    this.#limitSilence();
  };

  /** The client has closed its half in the middle of a body. */
  #bodyCut(body: RequestBody): void {
    this.#bodyBroken(body, FAULTS["client-gone"]);
    if (this.#exchange !== undefined && !this.#reply.begun) this.#socket.destroy();
  }

  readonly #onClose = (): void => {
    this.#site.limits.remove(this);
    this.#owner.closed(this);
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#expects = NOTHING;
    if (exchange === undefined) return;
    const body = this.#body;
    this.#body = undefined;
    this.#site.gateway.left(exchange);
    body?.fail(FAULTS["client-gone"]);
    this.#site.gateway.done(exchange);
  };

  timedOut(): void {
    const exchange = this.#exchange;
    if (this.#closing) return this.destroy();
    if (exchange === undefined) return this.#headTimedOut();
    if (this.#reply.begun) {
      exchange.fault = FAULTS["client-stalled"];
      this.#reset();
    } else if (this.#body?.flows === true) {
      this.#bodyBroken(this.#body, FAULTS["request-timeout"]);
    } else this.destroy();
  }

  #headTimedOut(): void {
    // A connection on which nothing was asked (a browser's spare one) ends without a word.
    if (this.#expects !== HEAD || this.#head.isEmpty) return this.#close();
    this.#refuse(FAULTS["request-timeout"], "head", NO_HEADERS);
  }
}

/** The framing of a reply of which nobody knows how long it is. */
function endless({ httpVersion }: Exchange): Framing {
  return httpVersion === 10 ? "close" : "chunked";
}

const NO_HEADERS: Headers = [];

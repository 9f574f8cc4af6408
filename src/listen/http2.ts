import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerSessionOptions,
} from "node:http2";
import type { Socket } from "node:net";
import type { Timed, TimeLimits } from "../lib/time-limits.ts";
import { type BodySource, NO_BODY } from "../model/body.ts";
import type { Client, Gateway } from "../model/client.ts";
import type { EntryPointSettings } from "../model/entry-point.ts";
import { errorReply } from "../model/error-reply.ts";
import type { Connection, Exchange } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import type { HeadLimits } from "../wire/limits.ts";
import type { RequestHead } from "../wire/request-head.ts";
import type { Http2Backlog } from "./http2-backlog.ts";
import { type Http2Head, readHttp2Head } from "./http2-head.ts";
import { completeWebSocketHandshake, Http2Stream } from "./http2-stream.ts";

/** What an entry point lends to all its HTTP/2 connections. */
export interface Http2Site {
  readonly gateway: Gateway;
  readonly limits: TimeLimits;
  readonly settings: EntryPointSettings;
  readonly headLimits: HeadLimits;
  readonly backlog: Http2Backlog;
  /** Applies the entry point's policy (path, host, forwarded headers). Undefined when it refuses: the head says why. */
  exchange(
    head: RequestHead,
    client: Client,
    connection: Connection,
    body: BodySource,
    startedAtMs: number,
  ): Exchange | undefined;
  /** The connection is closed. */
  closed(connection: Http2Connection): void;
}

const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants;
const FLAG_END_STREAM = 1;
const LAST_STREAM_MAX = 2 ** 31 - 1;
/** Bytes of all replies of a connection that wait for the client. */
const CONNECTION_BUFFER_MAX = 1024 * 1024;
/** RFC 9113 §6.9.2. */
const WINDOW_DEFAULT = 65_535;
/** A window that no browser and no library begins with: who does wants us to keep replies for it. */
const TINY_WINDOW = 16 * 1024;
/** How long nothing may move on a stream that asks for no such thing, when memory is short. */
const PATIENCE_MS = 30_000;
const DRAIN_RTT_MAX_MS = 1000;
/** H2-09. How often a connection that is going away is asked whether anybody is still there. */
const LEAVING_LOOK_MS = 2500;

/** What an HTTP/2 client of prior knowledge says first (RFC 9113 §3.4). */
export const HTTP2_PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** Options of Node's sessions for an entry point; made once. */
export function sessionOptions(settings: EntryPointSettings): ServerSessionOptions {
  const { http2, http } = settings;
  return {
    maxSessionMemory: Math.max(1, http2.maxSessionMemory),
    maxHeaderListPairs: http2.maxHeaderPairs,
    maxSettings: Math.max(1, http2.maxSettings),
    maxOutstandingPings: Math.max(1, http2.maxOutstandingPings),
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 200,
    maxSendHeaderBlockLength: 256 * 1024,
    maxDeflateDynamicTableSize: http2.maxEncoderHeaderTableSize,
    streamResetBurst: http2.streamResetBurst,
    streamResetRate: http2.streamResetRate,
    strictSingleValueFields: false,
    settings: {
      headerTableSize: http2.maxDecoderHeaderTableSize,
      maxConcurrentStreams: http2.maxConcurrentStreams,
      initialWindowSize: http2.streamWindow,
      maxHeaderListSize: http.maxHeaderBytes,
      enableConnectProtocol: http.upgrades.includes("websocket"),
    },
  };
}

/** One HTTP/2 connection: its streams, its budgets, and its end. */
export class Http2Connection implements Timed {
  readonly site: Http2Site;
  readonly info: Connection;
  limitAtMs: number;
  limitIndex: number;
  /** Bytes of each reply that the client takes before it says more. */
  windowAtFirst: number;
  readonly #session: ServerHttp2Session;
  readonly #streams: Set<Http2Stream>;
  readonly #bornAtMs: number;
  #requests: number;
  #resets: number;
  #resetsAtMs: number;
  #buffered: number;
  #draining: boolean;
  #look: NodeJS.Timeout | undefined;

  /** Bytes that were read ahead must have been put back into the socket. */
  constructor(site: Http2Site, options: ServerSessionOptions, socket: Socket, info: Connection) {
    this.site = site;
    this.info = info;
    this.limitAtMs = site.limits.nowMs + site.settings.transport.respondingTimeouts.headerTimeout;
    this.limitIndex = -1;
    this.windowAtFirst = WINDOW_DEFAULT;
    this.#streams = new Set();
    this.#bornAtMs = site.limits.nowMs;
    this.#requests = 0;
    this.#resets = 0;
    this.#resetsAtMs = site.limits.nowMs;
    this.#buffered = 0;
    this.#draining = false;
    this.#look = undefined;
    site.limits.add(this);
    site.backlog.opened(this);

    const session = performServerHandshake(socket, options);
    this.#session = session;
    session.setLocalWindowSize(site.settings.http2.connectionWindow);
    session.on("error", ignore);
    session.on("goaway", () => this.#leaving(socket));
    // Node waits for streams that nobody will ever end: the socket allows half-closed connections, HTTP/2 knows none.
    socket.on("end", () => session.destroy());
    session.on("stream", this.#begin);
    session.on("remoteSettings", ({ initialWindowSize }) => {
      this.windowAtFirst = initialWindowSize ?? WINDOW_DEFAULT;
    });
    session.on("close", () => {
      clearTimeout(this.#look);
      site.limits.remove(this);
      site.backlog.closed(this);
      site.closed(this);
    });
  }

  get open(): number {
    return this.#streams.size;
  }

  readonly #begin = (stream: ServerHttp2Stream, _headers: unknown, flags: number, raw: string[]) => {
    const startedAtMs = performance.now();
    stream.on("error", ignore);
    // Cancelled before we got to it: nothing has begun, so nothing needs to be undone.
    if (stream.destroyed || stream.aborted) {
      this.#countReset(stream.rstCode);
      return;
    }
    const { http } = this.site.settings;
    const head = readHttp2Head(raw, this.site.headLimits, http.underscoreHeadersStrategy);
    const length = (flags & FLAG_END_STREAM) !== 0 ? 0 : head.contentLength;
    const client = new Http2Stream(this, stream, length, head.expectsContinue);
    const exchange = this.#exchange(head, client, length, startedAtMs);
    if (exchange === undefined) {
      this.#refuse(stream, head);
      return;
    }
    client.begin(exchange);
    this.#streams.add(client);
    this.limitAtMs = Number.POSITIVE_INFINITY;
    if (this.#isOld()) this.drain();
    this.site.gateway.handle(exchange);
  };

  #exchange(head: Http2Head, client: Http2Stream, length: number, startedAtMs: number): Exchange | undefined {
    if (head.fault !== undefined) return undefined;
    if (head.upgrade !== undefined && !this.site.settings.http.upgrades.includes(head.upgrade)) {
      head.fail("connect-refused", ":protocol");
      return undefined;
    }
    if (head.upgrade === "websocket") completeWebSocketHandshake(head.headers);
    const body = length === 0 || head.upgrade !== undefined ? NO_BODY : client;
    return this.site.exchange(head, client, this.info, body, startedAtMs);
  }

  #refuse(stream: ServerHttp2Stream, head: RequestHead): void {
    const fault = FAULTS[head.fault ?? "bad-request"];
    this.site.gateway.refused(this.info, fault, head.detail);
    const { status, headers, body } = errorReply(fault, head.headers);
    stream.respond([":status", String(status), ...headers]);
    // Not before: see `#endStream` of our streams.
    stream.once("finish", () => stream.close(NGHTTP2_NO_ERROR));
    stream.end(head.method === "HEAD" ? undefined : body);
  }

  #isOld(): boolean {
    const { keepAliveMaxRequests, keepAliveMaxTime } = this.site.settings.transport;
    this.#requests++;
    if (keepAliveMaxRequests > 0 && this.#requests >= keepAliveMaxRequests) return true;
    return keepAliveMaxTime > 0 && this.site.limits.nowMs - this.#bornAtMs >= keepAliveMaxTime;
  }

  streamClosed(client: Http2Stream): void {
    this.#streams.delete(client);
    this.#countReset(client.stream.rstCode);
    if (this.#streams.size === 0) this.#rest();
  }

  /** H2-01, H2-02: whoever makes streams end early, by resets or by frames that force us to, has one budget. */
  #countReset(code: number): void {
    if (code === NGHTTP2_NO_ERROR || code === NGHTTP2_REFUSED_STREAM) return;
    const { streamResetBurst, streamResetRate } = this.site.settings.http2;
    const now = this.site.limits.nowMs;
    const forgiven = ((now - this.#resetsAtMs) * streamResetRate) / 1000;
    this.#resets = Math.max(0, this.#resets - forgiven) + 1;
    this.#resetsAtMs = now;
    if (this.#resets > streamResetBurst) this.#session.destroy(undefined, NGHTTP2_ENHANCE_YOUR_CALM);
  }

  #rest(): void {
    const { idleTimeout } = this.site.settings.http2;
    if (idleTimeout === 0) return;
    this.limitAtMs = this.site.limits.nowMs + idleTimeout * (0.9 + Math.random() * 0.2);
    this.site.limits.add(this);
  }

  /** Whether that many bytes more may wait for the client. A rough count first, and an exact one when it is too high. */
  mayBuffer(bytes: number): boolean {
    this.#buffered += bytes;
    if (this.#buffered <= CONNECTION_BUFFER_MAX) return true;
    let exact = 0;
    for (const { stream } of this.#streams) exact += stream.writableLength;
    this.#buffered = exact + bytes;
    return this.#buffered <= CONNECTION_BUFFER_MAX;
  }

  /** Bytes of requests and replies that wait. */
  held(): number {
    let bytes = 0;
    for (const client of this.#streams) bytes += client.held();
    return bytes;
  }

  /**
   * Ends streams on which nothing has moved for long, those that have waited longest first, until as many bytes are
   * free. Gives how many are. Slow is not hostile: what moves at all is never ended.
   */
  shed(bytes: number): number {
    let freed = 0;
    const patienceMs = this.windowAtFirst < TINY_WINDOW ? 0 : PATIENCE_MS;
    const sinceMs = this.site.limits.nowMs - patienceMs;
    const waiting = [...this.#streams].filter((client) => client.movedAtMs <= sinceMs && client.held() > 0);
    waiting.sort((a, b) => a.movedAtMs - b.movedAtMs);
    for (const client of waiting) {
      if (freed >= bytes) break;
      freed += client.held();
      client.shed();
    }
    return freed;
  }

  /** No first request, or no next one, in time. */
  timedOut(): void {
    if (this.#streams.size > 0) return;
    if (this.#requests === 0) this.#session.destroy();
    else this.drain();
  }

  /**
   * No more requests. A GOAWAY that still takes every stream first: requests that are on their way were sent in good
   * faith. After one round trip the client knows, and then it is final (RFC 9113 §6.8).
   */
  drain(): void {
    const session = this.#session;
    if (this.#draining || session.destroyed) return;
    this.#draining = true;
    session.goaway(NGHTTP2_NO_ERROR, LAST_STREAM_MAX);
    const finish = () => {
      clearTimeout(timer);
      if (session.destroyed || session.closed) return;
      session.close();
      this.#leaving(session.socket);
    };
    const timer = setTimeout(finish, DRAIN_RTT_MAX_MS);
    session.ping(finish);
  }

  /**
   * After a GOAWAY, of either side, broken frames make Node read no more without saying so: neither the end of the
   * connection nor that of its streams would ever be seen. Whoever is there answers a ping, or takes bytes.
   */
  #leaving(socket: Pick<Socket, "bytesWritten">): void {
    const session = this.#session;
    if (session.destroyed) return;
    let isThere = false;
    const before = socket.bytesWritten;
    session.ping((error) => (isThere = error === null));
    clearTimeout(this.#look);
    this.#look = setTimeout(() => {
      if (isThere || socket.bytesWritten > before) this.#leaving(socket);
      else session.destroy();
    }, LEAVING_LOOK_MS);
  }

  destroy(): void {
    this.#session.destroy();
  }
}

function ignore(): void {}

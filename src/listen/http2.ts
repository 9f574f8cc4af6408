import type { Socket } from "node:net";
import type { Timed, TimeLimits } from "../lib/time-limits.ts";
import { type BodySource, NO_BODY } from "../model/body.ts";
import type { Client, Gateway } from "../model/client.ts";
import type { EntryPointSettings } from "../model/entry-point.ts";
import { errorReply } from "../model/error-reply.ts";
import type { Connection, Exchange } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import { HpackDecoder } from "../wire/hpack-decoder.ts";
import { HpackEncoder } from "../wire/hpack-encoder.ts";
import {
  ACK,
  COMPRESSION_ERROR,
  ENABLE_CONNECT_PROTOCOL,
  ENABLE_PUSH,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_BYTES_DEFAULT,
  FRAME_BYTES_LIMIT,
  GOAWAY,
  HEADER_TABLE_SIZE,
  INITIAL_WINDOW_SIZE,
  MAX_CONCURRENT_STREAMS,
  MAX_FRAME_SIZE,
  MAX_HEADER_LIST_SIZE,
  NO_ERROR,
  PING,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  RST_STREAM,
  readUint32,
  SETTINGS,
  STREAM_CLOSED,
  WINDOW_DEFAULT,
  WINDOW_LIMIT,
  WINDOW_UPDATE,
  writeUint32,
} from "../wire/http2-frames.ts";
import { type FrameHandler, FrameReader } from "../wire/http2-reader.ts";
import type { HeadLimits } from "../wire/limits.ts";
import type { RequestHead } from "../wire/request-head.ts";
import type { Http2Backlog } from "./http2-backlog.ts";
import { type Http2Head, readHttp2Head, readTrailers } from "./http2-head.ts";
import { completeWebSocketHandshake, Http2Stream } from "./http2-stream.ts";
import { Http2Writer, type Outbox } from "./http2-writer.ts";

/** What an entry point lends to all its HTTP/2 connections. */
export interface Http2Site {
  readonly gateway: Gateway;
  readonly limits: TimeLimits;
  readonly settings: EntryPointSettings;
  readonly headLimits: HeadLimits;
  readonly backlog: Http2Backlog;
  readonly outbox: Outbox;
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

/** Most bytes of one compressed field block beyond those of the list it may be. */
const BLOCK_EXTRA_BYTES = 16 * 1024;
/** A client that takes no bytes is not read either while that much waits for it. */
const UNREAD_MAX = 512 * 1024;
/** A window that no browser and no library begins with: who does wants us to keep replies for it. */
const TINY_WINDOW = 16 * 1024;
/** How long nothing may move on a stream that asks for no such thing, when memory is short. */
const PATIENCE_MS = 30_000;
const DRAIN_RTT_MAX_MS = 1000;
/** How long a client may take to see why its connection ended. */
const LINGER_MS = 2000;
const LINGER_BYTES = 256 * 1024;
/** Frames that ask for nothing (PING, SETTINGS, PRIORITY, empty DATA): at once, and in a second. */
const IDLE_FRAMES_BURST = 1000;
const IDLE_FRAMES_RATE = 100;
/** What every frame of a reply and every request gives back of that budget. */
const IDLE_FRAMES_EARNED = 2;
const DRAIN_PING = Buffer.from("drained?");

/** One HTTP/2 connection of a client: its streams, its windows, its budgets, and its end (RFC 9113). */
export class Http2Connection implements FrameHandler, Timed {
  readonly site: Http2Site;
  readonly info: Connection;
  readonly writer: Http2Writer;
  limitAtMs: number;
  limitIndex: number;
  /** Bytes of a reply that the client takes before it says more. */
  windowAtFirst: number;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #decoder: HpackDecoder;
  readonly #encoder: HpackEncoder;
  readonly #streams: Map<number, Http2Stream>;
  /** Streams that have something to send, and only wait for the connection. */
  readonly #line: Set<Http2Stream>;
  readonly #bornAtMs: number;
  /** The last one that was taken up, and the last one that came at all. */
  #lastStream: number;
  #seenStream: number;
  /** Bytes of replies that the client takes, all streams together. */
  #sendWindow: number;
  #receiveWindow: number;
  #received: number;
  /** Of the stream that DATA is coming for; undefined when nobody wants it. */
  #dataStream: Http2Stream | undefined;
  /** Of its frame, not yet seen: in the end the padding. */
  #dataBytes: number;
  #isEmptyFrame: boolean;
  #settingsTaken: boolean;
  #requests: number;
  #resets: number;
  #resetsAtMs: number;
  #idleFrames: number;
  #idleFramesAtMs: number;
  #inBlock: boolean;
  #isPaused: boolean;
  /** Orderly: no more requests after those that are on their way, and then after those that are here. */
  #draining: boolean;
  #leaving: boolean;
  #ended: boolean;
  #discarded: number;
  #drainTimer: NodeJS.Timeout | undefined;

  constructor(site: Http2Site, socket: Socket, info: Connection) {
    const { limits, settings, headLimits } = site;
    const { http2 } = settings;
    this.site = site;
    this.info = info;
    this.#encoder = new HpackEncoder(http2.maxEncoderHeaderTableSize);
    this.#decoder = new HpackDecoder(http2.maxDecoderHeaderTableSize);
    const isSecure = info.tls !== undefined;
    this.writer = new Http2Writer(socket, isSecure, site.outbox, this.#encoder, () => this.#pump());
    this.limitAtMs = limits.nowMs + settings.transport.respondingTimeouts.headerTimeout;
    this.limitIndex = -1;
    this.windowAtFirst = WINDOW_DEFAULT;
    this.#socket = socket;
    this.#reader = new FrameReader(this, headLimits.headBytesMax + BLOCK_EXTRA_BYTES);
    this.#streams = new Map();
    this.#line = new Set();
    this.#bornAtMs = limits.nowMs;
    this.#lastStream = 0;
    this.#seenStream = 0;
    this.#sendWindow = WINDOW_DEFAULT;
    this.#receiveWindow = Math.max(http2.connectionWindow, WINDOW_DEFAULT);
    this.#received = 0;
    this.#dataStream = undefined;
    this.#dataBytes = 0;
    this.#isEmptyFrame = false;
    this.#settingsTaken = false;
    this.#requests = 0;
    this.#resets = 0;
    this.#resetsAtMs = limits.nowMs;
    this.#idleFrames = 0;
    this.#idleFramesAtMs = limits.nowMs;
    this.#inBlock = false;
    this.#isPaused = false;
    this.#draining = false;
    this.#leaving = false;
    this.#ended = false;
    this.#discarded = 0;
    this.#drainTimer = undefined;
    limits.add(this);
    site.backlog.opened(this);
    this.#greet();
    socket.on("data", this.#onData);
    // HTTP/2 knows no half-closed connections.
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onClose);
  }

  #greet(): void {
    const { http, http2 } = this.site.settings;
    const ours = [
      [HEADER_TABLE_SIZE, http2.maxDecoderHeaderTableSize],
      [MAX_CONCURRENT_STREAMS, http2.maxConcurrentStreams],
      [INITIAL_WINDOW_SIZE, http2.streamWindow],
      [MAX_HEADER_LIST_SIZE, http.maxHeaderBytes],
      ...(http.upgrades.includes("websocket") ? [[ENABLE_CONNECT_PROTOCOL, 1] as const] : []),
    ] as const;
    const bytes = Buffer.alloc(ours.length * 6);
    ours.forEach(([name, value], i) => {
      bytes[i * 6 + 1] = name;
      writeUint32(bytes, i * 6 + 2, value);
    });
    this.writer.frame(SETTINGS, 0, 0, bytes);
    const more = http2.connectionWindow - WINDOW_DEFAULT;
    if (more > 0) this.writer.frame(WINDOW_UPDATE, 0, 0, uint32(more));
  }

  get open(): number {
    return this.#streams.size;
  }

  // --- Bytes from the client.

  /** Bytes that were read before this connection was known to speak HTTP/2. */
  begin(bytes: Buffer): void {
    if (bytes.length > 0) this.#onData(bytes);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#reader.take(chunk);
    if (this.#ended) return this.#discard(chunk.length);
    const inBlock = this.#reader.isInBlock;
    if (inBlock !== this.#inBlock) this.#limitBlock(inBlock);
    if (this.writer.waiting > UNREAD_MAX) this.#pauseReading();
  };

  // A client that still speaks is read for a while, or it would be reset before it sees why its connection ended.
  #discard(bytes: number): void {
    this.#discarded += bytes;
    if (this.#discarded > LINGER_BYTES) this.#socket.destroy();
  }

  // A field block that does not end keeps all streams from being heard.
  #limitBlock(inBlock: boolean): void {
    this.#inBlock = inBlock;
    const { settings } = this.site;
    if (inBlock) this.#limitIn(settings.transport.respondingTimeouts.headerTimeout);
    else if (this.#streams.size > 0) this.limitAtMs = Number.POSITIVE_INFINITY;
    else this.#rest();
  }

  #pauseReading(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#socket.pause();
    const { writeStallTimeout } = this.site.settings.transport.respondingTimeouts;
    if (writeStallTimeout > 0) this.#limitIn(writeStallTimeout);
  }

  #readOn(): void {
    this.#isPaused = false;
    this.limitAtMs = Number.POSITIVE_INFINITY;
    if (this.#streams.size === 0) this.#rest();
    this.#socket.resume();
  }

  // --- DATA.

  dataBegins(id: number, bytes: number): void {
    this.#receiveWindow -= bytes;
    if (this.#receiveWindow < 0) return this.connectionError(FLOW_CONTROL_ERROR);
    this.#countReceived(bytes);
    const stream = this.#streams.get(id);
    this.#dataStream = undefined;
    this.#dataBytes = bytes;
    this.#isEmptyFrame = true;
    if (stream === undefined) {
      if (this.#isIdle(id)) this.connectionError(PROTOCOL_ERROR);
      else this.#spend();
    } else if (stream.requestEnded) this.#resetForFault(stream, STREAM_CLOSED);
    else if (!stream.takesBytes(bytes)) this.#resetForFault(stream, FLOW_CONTROL_ERROR);
    else this.#dataStream = stream;
  }

  dataPiece(piece: Buffer): void {
    const stream = this.#dataStream;
    if (stream === undefined) return;
    this.#dataBytes -= piece.length;
    this.#isEmptyFrame = false;
    if (!stream.bodyPiece(piece)) this.#resetForFault(stream, PROTOCOL_ERROR);
  }

  dataEnds(endStream: boolean): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if (stream === undefined || stream.isOver) return;
    // Padding is nothing that anybody takes.
    if (this.#dataBytes > 0) stream.taken(this.#dataBytes);
    if (endStream) this.#endRequest(stream, undefined);
    else if (this.#isEmptyFrame) this.#spend();
  }

  #endRequest(stream: Http2Stream, trailers: string[] | undefined): void {
    if (!stream.endRequest(trailers)) this.#resetForFault(stream, PROTOCOL_ERROR);
  }

  // What waits is bounded for each stream: one that is not read must not keep the others waiting.
  #countReceived(bytes: number): void {
    this.#received += bytes;
    if (this.#received < this.site.settings.http2.connectionWindow / 2) return;
    this.#receiveWindow += this.#received;
    this.writer.frame(WINDOW_UPDATE, 0, 0, uint32(this.#received));
    this.#received = 0;
  }

  // --- Requests.

  #isIdle(id: number): boolean {
    return (id & 1) === 0 || id > this.#seenStream;
  }

  headers(id: number, block: Buffer, start: number, end: number, endStream: boolean): void {
    const list: string[] = [];
    const { headLimits, settings } = this.site;
    const decoder = this.#decoder;
    if (!decoder.decode(block, start, end, list, headLimits.headBytesMax, settings.http2.maxHeaderPairs))
      return this.connectionError(COMPRESSION_ERROR);
    const stream = this.#streams.get(id);
    if (stream !== undefined) return this.#trailers(stream, list, endStream);
    if ((id & 1) === 0) return this.connectionError(PROTOCOL_ERROR);
    // Of a stream that is over, or one that was begun when our last GOAWAY was on its way.
    if (id <= this.#seenStream || this.#leaving) {
      this.#seenStream = Math.max(this.#seenStream, id);
      return this.#spend();
    }
    this.#seenStream = id;
    this.#lastStream = id;
    if (this.#streams.size >= settings.http2.maxConcurrentStreams) {
      this.#writeReset(id, REFUSED_STREAM);
      // Before it has seen our settings a client cannot know better.
      if (this.#settingsTaken) this.#countReset();
      else this.#spend();
      return;
    }
    this.#begin(id, list, endStream);
  }

  #trailers(stream: Http2Stream, list: string[], endStream: boolean): void {
    if (stream.requestEnded) return this.#resetForFault(stream, STREAM_CLOSED);
    const trailers = endStream && !this.#decoder.tooLarge ? readTrailers(list) : undefined;
    if (trailers === undefined) this.#resetForFault(stream, PROTOCOL_ERROR);
    else this.#endRequest(stream, trailers);
  }

  #begin(id: number, list: readonly string[], endStream: boolean): void {
    const startedAtMs = performance.now();
    const { settings, headLimits, gateway } = this.site;
    const head = readHttp2Head(list, headLimits, settings.http.underscoreHeadersStrategy);
    if (this.#decoder.tooLarge) head.fail("headers-too-large", "head");
    else if (endStream && head.contentLength > 0)
      head.failAsMalformed("bad-framing", "Content-Length without a body");
    const length = endStream ? 0 : head.contentLength;
    const client = new Http2Stream(this, id, length, endStream, this.#streamWindow(), head.expectsContinue);
    this.#requests++;
    const exchange = this.#exchange(head, client, length, startedAtMs);
    if (exchange === undefined) return this.#refuse(id, head, endStream);
    this.#earn();
    this.#streams.set(id, client);
    this.limitAtMs = Number.POSITIVE_INFINITY;
    client.begin(exchange);
    if (this.#isOld()) this.drain();
    gateway.handle(exchange);
  }

  // Until the client has taken our settings, it goes by the default (RFC 9113 section 6.9.2).
  #streamWindow(): number {
    return this.#settingsTaken ? this.site.settings.http2.streamWindow : WINDOW_DEFAULT;
  }

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

  #refuse(id: number, head: Http2Head, endStream: boolean): void {
    const fault = FAULTS[head.fault ?? "bad-request"];
    this.site.gateway.refused(this.info, fault, head.detail);
    if (head.malformed) {
      this.#writeReset(id, PROTOCOL_ERROR);
      this.#countReset();
      return;
    }
    const { status, headers, body } = errorReply(fault, head.headers);
    const bytes = Buffer.from(body);
    // A client that takes no bytes at all has the status only.
    const hasBody = head.method !== "HEAD" && bytes.length <= Math.min(this.#sendWindow, this.windowAtFirst);
    this.writer.headers(id, [":status", String(status), ...headers], !hasBody);
    if (hasBody) {
      this.#sendWindow -= bytes.length;
      this.writer.data(id, bytes, 0, bytes.length);
      this.writer.endStream(id);
    }
    if (!endStream) this.#writeReset(id, NO_ERROR);
    this.#spend();
  }

  #isOld(): boolean {
    const { keepAliveMaxRequests, keepAliveMaxTime } = this.site.settings.transport;
    if (keepAliveMaxRequests > 0 && this.#requests >= keepAliveMaxRequests) return true;
    return keepAliveMaxTime > 0 && this.site.limits.nowMs - this.#bornAtMs >= keepAliveMaxTime;
  }

  // --- Replies.

  /**
   * Sends of the chunk, from `start`, what the windows and the socket let through, and gives the offset behind it. Who
   * comes while others wait gets in line.
   */
  send(stream: Http2Stream, chunk: Buffer, start: number): number {
    if (this.#line.size > 0) return start;
    let at = start;
    while (at < chunk.length) {
      const next = this.#sendFrame(stream, chunk, at);
      if (next === at) break;
      at = next;
    }
    return at;
  }

  #sendFrame(stream: Http2Stream, chunk: Buffer, at: number): number {
    const bytes = Math.min(chunk.length - at, FRAME_BYTES_DEFAULT, stream.sendWindow, this.#sendWindow);
    if (bytes <= 0 || this.writer.isFull) return at;
    this.writer.data(stream.id, chunk, at, at + bytes);
    stream.sendWindow -= bytes;
    this.#sendWindow -= bytes;
    this.#earn();
    return at + bytes;
  }

  /** It has something to send and a window of its own. */
  lineUp(stream: Http2Stream): void {
    this.#line.add(stream);
  }

  /** A frame of each who waits, in turn, as long as there is room. */
  #pump(): void {
    if (this.#isPaused && this.writer.waiting < UNREAD_MAX / 2) this.#readOn();
    for (const stream of this.#line) {
      if (this.#sendWindow <= 0 || this.writer.isFull) return;
      this.#line.delete(stream);
      stream.sendNext((chunk, at) => this.#sendFrame(stream, chunk, at));
    }
  }

  windowUpdate(id: number, increment: number): void {
    if (id === 0) {
      if (increment === 0) return this.connectionError(PROTOCOL_ERROR);
      if (this.#sendWindow + increment > WINDOW_LIMIT) return this.connectionError(FLOW_CONTROL_ERROR);
      this.#sendWindow += increment;
      this.#pump();
      return;
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      if (this.#isIdle(id)) this.connectionError(PROTOCOL_ERROR);
      else this.#spend();
    } else if (increment === 0) this.#resetForFault(stream, PROTOCOL_ERROR);
    else if (stream.sendWindow + increment > WINDOW_LIMIT) this.#resetForFault(stream, FLOW_CONTROL_ERROR);
    else this.#widen(stream, increment);
  }

  #widen(stream: Http2Stream, increment: number): void {
    stream.sendWindow += increment;
    if (!stream.hasToSend || stream.sendWindow <= 0) return;
    this.#line.add(stream);
    this.#pump();
  }

  // --- Settings and the rest.

  settings(bytes: Buffer, start: number, end: number): void {
    const { maxSettings } = this.site.settings.http2;
    if (end - start > Math.max(1, maxSettings) * 6) return this.connectionError(ENHANCE_YOUR_CALM);
    for (let at = start; at < end; at += 6) {
      const code = this.#setting((bytes[at]! << 8) | bytes[at + 1]!, readUint32(bytes, at + 2));
      if (code !== NO_ERROR) return this.connectionError(code);
    }
    this.#spend();
    if (!this.#ended) this.writer.frame(SETTINGS, ACK, 0, EMPTY);
  }

  /** Gives an error code, or NO_ERROR. */
  #setting(name: number, value: number): number {
    switch (name) {
      case HEADER_TABLE_SIZE:
        this.#encoder.peerTableSize(value);
        return NO_ERROR;
      case ENABLE_PUSH:
        return value > 1 ? PROTOCOL_ERROR : NO_ERROR;
      case INITIAL_WINDOW_SIZE:
        return value > WINDOW_LIMIT ? FLOW_CONTROL_ERROR : this.#setWindow(value);
      // Smaller frames than everybody must take are all we send.
      case MAX_FRAME_SIZE:
        return value < FRAME_BYTES_DEFAULT || value > FRAME_BYTES_LIMIT ? PROTOCOL_ERROR : NO_ERROR;
      default:
        return NO_ERROR;
    }
  }

  #setWindow(bytes: number): number {
    const difference = bytes - this.windowAtFirst;
    this.windowAtFirst = bytes;
    for (const stream of this.#streams.values()) {
      if (stream.sendWindow + difference > WINDOW_LIMIT) return FLOW_CONTROL_ERROR;
      this.#widen(stream, difference);
    }
    return NO_ERROR;
  }

  settingsTaken(): void {
    if (this.#settingsTaken) return this.#spend();
    this.#settingsTaken = true;
    this.#decoder.settingsAcknowledged();
    const difference = this.site.settings.http2.streamWindow - WINDOW_DEFAULT;
    for (const stream of this.#streams.values()) stream.receiveWindow += difference;
  }

  ping(bytes: Buffer, start: number, isAnswer: boolean): void {
    if (!isAnswer) {
      this.#spend();
      if (!this.#ended) this.writer.frame(PING, ACK, 0, bytes.subarray(start, start + 8));
    } else if (this.#draining && bytes.compare(DRAIN_PING, 0, 8, start, start + 8) === 0) this.#drained();
    else this.#spend();
  }

  /** The client begins no more requests. */
  goaway(): void {
    this.#leaving = true;
    if (this.#streams.size === 0) this.#end();
  }

  idleFrame(): void {
    this.#spend();
  }

  // --- Budgets.

  /** H2-06: what costs its sender less than us, and asks for nothing, is bounded. */
  #spend(): void {
    if (++this.#idleFrames <= IDLE_FRAMES_BURST) return;
    const now = this.site.limits.nowMs;
    const forgiven = ((now - this.#idleFramesAtMs) * IDLE_FRAMES_RATE) / 1000;
    this.#idleFramesAtMs = now;
    this.#idleFrames = Math.max(0, this.#idleFrames - forgiven);
    if (this.#idleFrames > IDLE_FRAMES_BURST) this.connectionError(ENHANCE_YOUR_CALM);
  }

  #earn(): void {
    this.#idleFrames = Math.max(0, this.#idleFrames - IDLE_FRAMES_EARNED);
  }

  /** H2-01, H2-02: whoever makes streams end early, by resets or by frames that force us to, has one budget. */
  #countReset(): void {
    const { streamResetBurst, streamResetRate } = this.site.settings.http2;
    const now = this.site.limits.nowMs;
    const forgiven = ((now - this.#resetsAtMs) * streamResetRate) / 1000;
    this.#resets = Math.max(0, this.#resets - forgiven) + 1;
    this.#resetsAtMs = now;
    if (this.#resets > streamResetBurst) this.connectionError(ENHANCE_YOUR_CALM);
  }

  // --- The end of streams.

  #writeReset(id: number, code: number): void {
    this.writer.frame(RST_STREAM, 0, id, uint32(code));
  }

  /** The client has done something wrong on it. */
  #resetForFault(stream: Http2Stream, code: number): void {
    if (stream.isOver) return;
    this.#writeReset(stream.id, code);
    this.#forget(stream);
    stream.lost();
    this.#countReset();
  }

  /** The client cancels it. */
  reset(id: number, _code: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      if (this.#isIdle(id)) this.connectionError(PROTOCOL_ERROR);
      else this.#spend();
      return;
    }
    this.#forget(stream);
    stream.lost();
    this.#countReset();
  }

  /** We cannot finish it. */
  cut(stream: Http2Stream, code: number): void {
    this.#writeReset(stream.id, code);
    this.#forget(stream);
  }

  /** Its reply is whole. The rest of a request that was answered early is not wanted (RFC 9113 section 8.1). */
  finished(stream: Http2Stream): void {
    if (!stream.requestEnded) this.#writeReset(stream.id, NO_ERROR);
    this.#forget(stream);
  }

  #forget(stream: Http2Stream): void {
    this.#streams.delete(stream.id);
    this.#line.delete(stream);
    if (this.#streams.size > 0 || this.#ended) return;
    if (this.#leaving) this.#end();
    else this.#rest();
  }

  #rest(): void {
    const { idleTimeout } = this.site.settings.http2;
    if (idleTimeout === 0 || this.#requests === 0 || this.#isPaused) return;
    this.#limitIn(idleTimeout * (0.9 + Math.random() * 0.2));
  }

  // --- Memory.

  /** Bytes of requests and replies that wait. */
  held(): number {
    let bytes = 0;
    for (const stream of this.#streams.values()) bytes += stream.held();
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
    const waiting = [...this.#streams.values()].filter(
      (stream) => stream.movedAtMs <= sinceMs && stream.held() > 0,
    );
    waiting.sort((a, b) => a.movedAtMs - b.movedAtMs);
    for (const stream of waiting) {
      if (freed >= bytes) break;
      freed += stream.held();
      stream.shed();
    }
    return freed;
  }

  // --- The end of the connection.

  /** No first request, or no next one, in time; a field block that does not end; bytes that nobody takes. */
  timedOut(): void {
    if (this.#ended || this.#isPaused) this.#socket.destroy();
    else if (this.#inBlock) this.connectionError(ENHANCE_YOUR_CALM);
    else if (this.#requests === 0) this.#socket.destroy();
    else if (this.#streams.size === 0) this.drain();
  }

  connectionError(code: number): void {
    if (this.#ended) return;
    this.#sayGoodbye(this.#lastStream, code);
    this.#end();
    this.#limitIn(LINGER_MS);
  }

  #limitIn(ms: number): void {
    this.limitAtMs = this.site.limits.nowMs + ms;
  }

  #sayGoodbye(lastStream: number, code: number): void {
    const bytes = Buffer.allocUnsafe(8);
    writeUint32(bytes, writeUint32(bytes, 0, lastStream), code);
    this.writer.frame(GOAWAY, 0, 0, bytes);
  }

  /**
   * No more requests. A GOAWAY that still takes every stream first: requests that are on their way were sent in good
   * faith. After one round trip the client knows, and then it is final (RFC 9113 section 6.8).
   */
  drain(): void {
    if (this.#draining || this.#ended) return;
    this.#draining = true;
    this.#sayGoodbye(WINDOW_LIMIT, NO_ERROR);
    this.writer.frame(PING, 0, 0, DRAIN_PING);
    this.#drainTimer = setTimeout(() => this.#drained(), DRAIN_RTT_MAX_MS);
  }

  #drained(): void {
    clearTimeout(this.#drainTimer);
    if (this.#ended || this.#leaving) return;
    this.#sayGoodbye(this.#lastStream, NO_ERROR);
    this.#leaving = true;
    if (this.#streams.size === 0) this.#end();
  }

  /** What has been written still leaves, if the client takes it in time. */
  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#reader.stop();
    this.writer.flush();
    const { writeStallTimeout } = this.site.settings.transport.respondingTimeouts;
    this.#limitIn(Math.max(writeStallTimeout, LINGER_MS));
    this.#loseStreams();
    this.#socket.end(() => this.#limitIn(LINGER_MS));
    // Or nobody would notice that the client has gone.
    this.#socket.resume();
  }

  #loseStreams(): void {
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    this.#line.clear();
    for (const stream of streams) stream.lost();
  }

  readonly #onEnd = (): void => {
    this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    this.#ended = true;
    this.#reader.stop();
    clearTimeout(this.#drainTimer);
    this.site.limits.remove(this);
    this.site.backlog.closed(this);
    this.#loseStreams();
    this.site.closed(this);
  };

  destroy(): void {
    this.#socket.destroy();
  }
}

const EMPTY = Buffer.alloc(0);

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  writeUint32(bytes, 0, value);
  return bytes;
}

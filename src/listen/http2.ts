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
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  GOAWAY,
  NO_ERROR,
  PING,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  RST_STREAM,
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
import type { HoldingConnection, HoldingStream, Http2Backlog } from "./http2-backlog.ts";
import { Budget } from "./http2-budget.ts";
import { type Http2Head, readHttp2Head, readTrailers } from "./http2-head.ts";
import { Http2Sender } from "./http2-sender.ts";
import { ourSettings, readSettings, type SettingsTaker, settingsBytesMax } from "./http2-settings.ts";
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
const DRAIN_RTT_MAX_MS = 1000;
/** How long a client may take to see why its connection ended. */
const LINGER_MS = 2000;
const LINGER_BYTES = 256 * 1024;
/** Frames that ask for nothing (PING, SETTINGS, PRIORITY, empty DATA): at once, and in a second. */
const IDLE_FRAMES_BURST = 1000;
const IDLE_FRAMES_RATE = 100;
/** What every request gives back of that budget. */
const IDLE_FRAMES_EARNED = 2;
const DRAIN_PING = Buffer.from("drained?");

/** One HTTP/2 connection of a client: its streams, its windows, its budgets, and its end (RFC 9113). */
export class Http2Connection implements FrameHandler, SettingsTaker, HoldingConnection, Timed {
  readonly site: Http2Site;
  readonly info: Connection;
  readonly writer: Http2Writer;
  readonly sender: Http2Sender;
  limitAtMs: number;
  limitIndex: number;
  windowAtFirst: number;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #decoder: HpackDecoder;
  readonly #encoder: HpackEncoder;
  readonly #streams: Map<number, Http2Stream>;
  readonly #bornAtMs: number;
  /** The last one that was taken up, and the last one that came at all. */
  #lastStream: number;
  #seenStream: number;
  #receiveWindow: number;
  #received: number;
  /** Of the stream that DATA is coming for; undefined when nobody wants it. */
  #dataStream: Http2Stream | undefined;
  /** Of its frame, not yet seen: in the end the padding. */
  #dataBytes: number;
  #isEmptyFrame: boolean;
  #settingsTaken: boolean;
  #requests: number;
  readonly #resets: Budget;
  readonly #idleFrames: Budget;
  #openBlock: number;
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
    this.writer = new Http2Writer(socket, isSecure, site.outbox, this.#encoder, () => this.#drainedSocket());
    this.#idleFrames = new Budget(limits, IDLE_FRAMES_BURST, IDLE_FRAMES_RATE);
    this.sender = new Http2Sender(this.writer, this.#idleFrames);
    this.limitAtMs = limits.nowMs + settings.transport.respondingTimeouts.headerTimeout;
    this.limitIndex = -1;
    this.windowAtFirst = WINDOW_DEFAULT;
    this.#socket = socket;
    this.#reader = new FrameReader(this, headLimits.headBytesMax + BLOCK_EXTRA_BYTES);
    this.#streams = new Map();
    this.#bornAtMs = limits.nowMs;
    this.#lastStream = 0;
    this.#seenStream = 0;
    this.#receiveWindow = Math.max(http2.connectionWindow, WINDOW_DEFAULT);
    this.#received = 0;
    this.#dataStream = undefined;
    this.#dataBytes = 0;
    this.#isEmptyFrame = false;
    this.#settingsTaken = false;
    this.#requests = 0;
    this.#resets = new Budget(limits, http2.streamResetBurst, http2.streamResetRate);
    this.#openBlock = 0;
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
    const { settings } = this.site;
    this.writer.frame(SETTINGS, 0, 0, ourSettings(settings));
    const more = settings.http2.connectionWindow - WINDOW_DEFAULT;
    if (more > 0) this.writer.frame(WINDOW_UPDATE, 0, 0, uint32(more));
  }

  streams(): Iterable<HoldingStream> {
    return this.#streams.values();
  }

  // --- Bytes from the client.

  /** Bytes that were read before this connection was known to speak HTTP/2. */
  begin(bytes: Buffer): void {
    if (bytes.length > 0) this.#onData(bytes);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#reader.take(chunk);
    if (this.#ended) return this.#discard(chunk.length);
    const { openBlock } = this.#reader;
    if (openBlock !== this.#openBlock) this.#limitBlock(openBlock);
    if (this.writer.waiting > UNREAD_MAX) this.#pauseReading();
  };

  // A client that still speaks is read for a while, or it would be reset before it sees why its connection ended.
  #discard(bytes: number): void {
    this.#discarded += bytes;
    if (this.#discarded > LINGER_BYTES) this.#socket.destroy();
  }

  // A field block that does not end keeps all streams from being heard.
  #limitBlock(openBlock: number): void {
    this.#openBlock = openBlock;
    const { settings } = this.site;
    if (openBlock > 0) this.#limitIn(settings.transport.respondingTimeouts.headerTimeout);
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

  #drainedSocket(): void {
    if (this.#isPaused && this.writer.waiting < UNREAD_MAX / 2) {
      this.#isPaused = false;
      this.#limitBlock(this.#openBlock);
      this.#socket.resume();
    }
    this.sender.pump();
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
    if (stream === undefined) this.#meantForNobody(id);
    else if (stream.requestEnded) this.#resetForFault(stream, STREAM_CLOSED);
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
    if (this.#received === 0 || this.#received < this.site.settings.http2.connectionWindow / 2) return;
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
    this.#idleFrames.earn(IDLE_FRAMES_EARNED);
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
    const hasBody =
      head.method !== "HEAD" && bytes.length <= this.windowAtFirst && this.sender.takes(bytes.length);
    this.writer.headers(id, [":status", String(status), ...headers], !hasBody);
    if (hasBody) this.sender.sendAtOnce(id, bytes);
    if (!endStream) this.#writeReset(id, NO_ERROR);
    this.#spend();
  }

  #isOld(): boolean {
    const { keepAliveMaxRequests, keepAliveMaxTime } = this.site.settings.transport;
    if (keepAliveMaxRequests > 0 && this.#requests >= keepAliveMaxRequests) return true;
    return keepAliveMaxTime > 0 && this.site.limits.nowMs - this.#bornAtMs >= keepAliveMaxTime;
  }

  // --- Windows and settings.

  windowUpdate(id: number, increment: number): void {
    if (id === 0) {
      if (increment === 0) this.connectionError(PROTOCOL_ERROR);
      else if (!this.sender.widenAll(increment)) this.connectionError(FLOW_CONTROL_ERROR);
      return;
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) this.#meantForNobody(id);
    else if (increment === 0) this.#resetForFault(stream, PROTOCOL_ERROR);
    else if (!this.sender.widen(stream, increment)) this.#resetForFault(stream, FLOW_CONTROL_ERROR);
  }

  #meantForNobody(id: number): void {
    if (this.#isIdle(id)) this.connectionError(PROTOCOL_ERROR);
    else this.#spend();
  }

  settings(bytes: Buffer, start: number, end: number): void {
    if (end - start > settingsBytesMax(this.site.settings)) return this.connectionError(ENHANCE_YOUR_CALM);
    const code = readSettings(bytes, start, end, this);
    if (code !== NO_ERROR) return this.connectionError(code);
    this.#spend();
    if (!this.#ended) this.writer.frame(SETTINGS, ACK, 0, EMPTY);
  }

  tableSize(bytes: number): void {
    this.#encoder.peerTableSize(bytes);
  }

  initialWindow(bytes: number): boolean {
    const difference = bytes - this.windowAtFirst;
    this.windowAtFirst = bytes;
    for (const stream of this.#streams.values()) {
      if (!this.sender.widen(stream, difference)) return false;
    }
    return true;
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
    if (!this.#idleFrames.spend()) this.connectionError(ENHANCE_YOUR_CALM);
  }

  /** H2-01, H2-02: whoever makes streams end early, by resets or by frames that force us to, has one budget. */
  #countReset(): void {
    if (!this.#resets.spend()) this.connectionError(ENHANCE_YOUR_CALM);
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
    if (stream === undefined) return this.#meantForNobody(id);
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
    this.sender.leave(stream);
    if (this.#streams.size > 0 || this.#ended) return;
    if (this.#leaving) this.#end();
    else this.#rest();
  }

  #rest(): void {
    const { idleTimeout } = this.site.settings.http2;
    if (idleTimeout === 0 || this.#requests === 0 || this.#isPaused) return;
    this.#limitIn(idleTimeout * (0.9 + Math.random() * 0.2));
  }

  // --- The end of the connection.

  /** No first request, or no next one, in time; a field block that does not end; bytes that nobody takes. */
  timedOut(): void {
    if (this.#ended || this.#isPaused) this.#socket.destroy();
    else if (this.#openBlock > 0) this.connectionError(ENHANCE_YOUR_CALM);
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
    this.sender.clear();
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

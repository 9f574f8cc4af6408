import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect as connectNet, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { Timed } from "../lib/time-limits.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import { connectFault, describe, tlsOptions, whereTo } from "./connect.ts";
import type { Http2Call } from "./http2-call.ts";
import type { Http2Pool } from "./http2-pool.ts";

const { NGHTTP2_CANCEL } = constants;
const KEEP_ALIVE_DELAY_MS = 60_000;
/** What a server may be asked at once before it has said how much it takes (RFC 9113 §6.5.2 recommends no less). */
const STREAMS_AT_FIRST = 100;
/** However much a server takes: what waits for clients that do not read is bounded by streams times their window. */
const STREAMS_MAX = 256;
/**
 * Unread bytes of one reply. A few requests may fill a long line; many share what memory a connection may hold when
 * none of their clients reads.
 */
const WINDOWS: readonly { readonly streams: number; readonly bytes: number }[] = [
  { streams: 8, bytes: 128 * 1024 },
  { streams: 32, bytes: 32 * 1024 },
  { streams: 64, bytes: 16 * 1024 },
  { streams: STREAMS_MAX, bytes: 8 * 1024 },
];
const CONNECTION_WINDOW = 1024 * 1024;

/** Room for `:status` and for a few fields too many, so that it is us who say why the reply is refused. */
const BESIDE_HEADERS = 56;

const SESSION_OPTIONS = {
  maxSessionMemory: 50,
  maxReservedRemoteStreams: 0,
  strictSingleValueFields: false,
  maxSendHeaderBlockLength: 256 * 1024,
  settings: { enablePush: false },
};

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** One HTTP/2 connection to one server, and the calls that wait until it is made. */
export class Http2Session implements Timed {
  limitAtMs: number;
  limitIndex: number;
  readonly #pool: Http2Pool;
  readonly #socket: Socket;
  #session: ClientHttp2Session | undefined;
  #state: number;
  #waiting: Http2Call[];
  #active: number;
  #served: number;
  /** Place in WINDOWS of what the server was told, and whether it has said that it knows. */
  #window: number;
  #windowKnown: boolean;
  #bytesRead: number;
  #pinging: boolean;

  constructor(pool: Http2Pool, connectMs: number) {
    const { limits } = pool.transport;
    this.#pool = pool;
    this.#session = undefined;
    this.#state = CONNECTING;
    this.#waiting = [];
    this.#active = 0;
    this.#served = 0;
    this.#window = 0;
    this.#windowKnown = false;
    this.#bytesRead = 0;
    this.#pinging = false;
    this.limitIndex = -1;
    this.limitAtMs = connectMs === 0 ? Number.POSITIVE_INFINITY : limits.nowMs + connectMs;
    limits.add(this);
    this.#socket = this.#open();
  }

  #open(): Socket {
    const { server, transport } = this.#pool;
    const secure = server.spec.scheme === "https";
    const socket = secure
      ? connectTls({ ...tlsOptions(transport.tls, server.spec), ALPNProtocols: ["h2", "http/1.1"] })
      : connectNet(whereTo(server.spec));
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
    socket.on(secure ? "secureConnect" : "connect", () => this.#connected(secure));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (this.#state === CONNECTING) this.#notConnected(connectFault(error, secure), describe(error));
    });
    socket.on("close", () => {
      if (this.#state === CONNECTING) this.#notConnected(FAULTS["connect-failed"], "closed");
    });
    return socket;
  }

  /** Whether one more request may be given to it. */
  get hasRoom(): boolean {
    if (this.#state === CONNECTING) return this.#waiting.length < STREAMS_AT_FIRST;
    return this.#state === OPEN && this.#active < this.#streamsMax();
  }

  #streamsMax(): number {
    return Math.min(this.#session!.remoteSettings?.maxConcurrentStreams ?? STREAMS_AT_FIRST, STREAMS_MAX);
  }

  send(call: Http2Call): void {
    if (this.#state === CONNECTING) {
      this.#waiting.push(call);
      return;
    }
    this.limitAtMs = Number.POSITIVE_INFINITY;
    this.#watchSilence();
    this.#active++;
    if (this.#active > WINDOWS[this.#window]!.streams) this.#fitWindow();
    const reused = this.#served++ > 0;
    call.start(this, this.#session!, reused);
  }

  /** Unread bytes of one reply that the server may send. */
  get windowBytes(): number {
    return WINDOWS[this.#window]!.bytes;
  }

  /** One change at a time: the server may not have seen the last one. It grows again when far fewer are under way. */
  #fitWindow(): void {
    if (!this.#windowKnown || this.#session!.destroyed) return;
    let fit = 0;
    while (this.#active > WINDOWS[fit]!.streams && fit < WINDOWS.length - 1) fit++;
    if (fit < this.#window && this.#active * 2 > WINDOWS[this.#window - 1]!.streams) return;
    if (fit === this.#window) return;
    this.#window = fit;
    this.#windowKnown = false;
    this.#session!.settings({ initialWindowSize: this.windowBytes }, () => {
      this.#windowKnown = true;
      this.#fitWindow();
    });
  }

  #connected(secure: boolean): void {
    if (this.#state !== CONNECTING) return;
    if (secure && (this.#socket as TLSSocket).alpnProtocol !== "h2") {
      this.#end();
      this.#socket.destroy();
      this.#pool.speaksHttp1(this.#takeWaiting());
      return;
    }
    while (this.#waiting.length > WINDOWS[this.#window]!.streams) this.#window++;
    const { headersMax, headBytesMax } = this.#pool.transport.headLimits;
    const session = connectHttp2(secure ? "https://server" : "http://server", {
      ...SESSION_OPTIONS,
      maxHeaderListPairs: headersMax + BESIDE_HEADERS,
      settings: {
        ...SESSION_OPTIONS.settings,
        maxHeaderListSize: headBytesMax,
        initialWindowSize: this.windowBytes,
      },
      createConnection: () => this.#socket,
    });
    this.#session = session;
    this.#state = OPEN;
    session.on("error", ignore);
    session.on("goaway", () => this.#leave());
    session.on("close", () => this.#closed());
    session.on("remoteSettings", () => this.#pool.roomChanged());
    session.once("connect", () => session.setLocalWindowSize(CONNECTION_WINDOW));
    session.once("localSettings", () => {
      this.#windowKnown = true;
      this.#fitWindow();
    });
    for (const call of this.#takeWaiting()) if (!call.isOver) this.#pool.send(call);
    if (this.#active === 0) this.#rest();
  }

  #takeWaiting(): Http2Call[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }

  #notConnected(fault: Fault, detail: string): void {
    this.#end();
    this.#socket.destroy();
    for (const call of this.#takeWaiting()) call.failed(fault, detail, false, false);
  }

  callEnded(): void {
    this.#active--;
    if (this.#state === OPEN && this.#active === 0) this.#rest();
    if (this.#window > 0) this.#fitWindow();
    this.#pool.roomChanged();
  }

  #rest(): void {
    const { keepMs, limits } = this.#pool.transport;
    this.limitAtMs = keepMs === 0 ? Number.POSITIVE_INFINITY : limits.nowMs + keepMs;
  }

  timedOut(): void {
    if (this.#state === CONNECTING) this.#notConnected(FAULTS["connect-timeout"], "connect timeout");
    else if (this.#active === 0) this.close();
    else this.#askWhetherAlive();
  }

  #watchSilence(): void {
    const { readIdleMs, limits } = this.#pool.transport;
    if (readIdleMs > 0) this.limitAtMs = limits.nowMs + readIdleMs;
  }

  /** Requests are under way and nothing has come for a while: a ping tells a slow server from a dead one. */
  #askWhetherAlive(): void {
    const { limits, pingMs } = this.#pool.transport;
    if (this.#socket.bytesRead !== this.#bytesRead) {
      this.#bytesRead = this.#socket.bytesRead;
      this.#pinging = false;
      this.#watchSilence();
    } else if (this.#pinging) {
      this.#session!.destroy(undefined, NGHTTP2_CANCEL);
    } else {
      this.#pinging = true;
      this.#session!.ping(() => {});
      this.limitAtMs = limits.nowMs + pingMs;
    }
  }

  /** The server takes no more requests on this connection; those it has taken go on. */
  #leave(): void {
    if (this.#state !== OPEN) return;
    this.#state = CLOSING;
    this.#pool.gone(this);
  }

  #closed(): void {
    if (this.#state === CLOSED) return;
    this.#end();
  }

  #end(): void {
    this.#state = CLOSED;
    this.#pool.transport.limits.remove(this);
    this.#pool.gone(this);
  }

  /** No more requests from us. Idle connections close at once, others when their requests are over. */
  close(): void {
    if (this.#state === CONNECTING) this.#notConnected(FAULTS["connect-failed"], "server removed");
    else if (this.#state === OPEN) {
      this.#leave();
      if (this.#active === 0) this.#session!.destroy();
      else this.#session!.close();
    }
  }
}

function ignore(): void {}

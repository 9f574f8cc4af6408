import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Timed } from "../lib/time-limits.ts";
import type { ConnectionTls } from "../model/exchange.ts";
import type { TlsCaller } from "../model/tls-acceptor.ts";
import { HTTP2_PREFACE } from "../wire/http2-frames.ts";
import { mayBeProxyHeader, parseProxyHeader } from "../wire/proxy-protocol.ts";
import type { EntryPoint } from "./entry-point.ts";

const PREFACE = Buffer.from(HTTP2_PREFACE);
const EMPTY = Buffer.alloc(0);
const TLS_HANDSHAKE = 0x16;

/** A connection of which nobody knows yet what it speaks. */
export class Arrival implements Timed, TlsCaller {
  limitAtMs: number;
  limitIndex: number;
  readonly #socket: Socket;
  readonly #entryPoint: EntryPoint;
  #peerIp: string;
  #peerPort: number;
  #bytes: Buffer;
  /** A PROXY header may come first. */
  #mayBeProxied: boolean;
  #shaking: boolean;

  constructor(socket: Socket, entryPoint: EntryPoint, peerIp: string, mayBeProxied: boolean) {
    this.#socket = socket;
    this.#entryPoint = entryPoint;
    this.#peerIp = peerIp;
    this.#peerPort = socket.remotePort ?? 0;
    this.#bytes = EMPTY;
    this.#mayBeProxied = mayBeProxied;
    this.#shaking = false;
    this.limitIndex = -1;
    const { limits, settings } = entryPoint;
    this.limitAtMs = limits.nowMs + settings.transport.respondingTimeouts.headerTimeout;
    limits.add(this);
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onClose);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    if (this.#mayBeProxied && !this.#takeProxyHeader()) return;
    const bytes = this.#bytes;
    if (bytes.length === 0) return;
    const { tls, settings } = this.#entryPoint;
    // An entry point all of whose routers have TLS has nothing to say in plain HTTP; the acceptor says so.
    if (tls !== undefined && (bytes[0] === TLS_HANDSHAKE || settings.http.tls !== undefined)) {
      this.#leave();
      this.#shaking = true;
      this.#socket.on("close", this.#onClose);
      tls.accept(this.#socket, bytes, this);
      return;
    }
    const common = Math.min(bytes.length, PREFACE.length);
    if (bytes.compare(PREFACE, 0, common, 0, common) !== 0) return this.#http1(bytes);
    if (bytes.length < PREFACE.length) return;
    this.#leave();
    this.#entryPoint.http2(this, this.#socket, this.#info(undefined), bytes);
  };

  #http1(bytes: Buffer): void {
    this.#leave();
    this.#entryPoint.http1(this, this.#socket, this.#info(undefined), bytes);
  }

  #info(tls: ConnectionTls | undefined) {
    return this.#entryPoint.info(this.#peerIp, this.#peerPort, this.#socket.localPort ?? 0, tls);
  }

  /** False: there must be more, or the connection is refused. */
  #takeProxyHeader(): boolean {
    if (!mayBeProxyHeader(this.#bytes)) {
      this.#mayBeProxied = false;
      return true;
    }
    const header = parseProxyHeader(this.#bytes);
    if (header === undefined) return false;
    if (header === null) {
      this.#socket.destroy();
      return false;
    }
    this.#mayBeProxied = false;
    if (header.source !== undefined) {
      this.#peerIp = header.source.ip;
      this.#peerPort = header.source.port;
    }
    this.#bytes = this.#bytes.subarray(header.length);
    return true;
  }

  #leave(): void {
    this.#entryPoint.limits.remove(this);
    this.#socket.off("data", this.#onData);
    this.#socket.off("end", this.#onEnd);
    this.#socket.off("close", this.#onClose);
  }

  // --- TLS.

  get handshakeTimeoutMs(): number {
    return this.#entryPoint.settings.transport.respondingTimeouts.tlsHandshakeTimeout;
  }

  secured(socket: TLSSocket, tls: ConnectionTls, protocol: "h2" | "http/1.1"): void {
    this.#socket.off("close", this.#onClose);
    const info = this.#info(tls);
    if (protocol === "h2") this.#entryPoint.http2(this, socket, info, EMPTY);
    else this.#entryPoint.http1(this, socket, info, EMPTY);
  }

  refused(): void {
    this.#entryPoint.closed(this);
  }

  // --- The end.

  readonly #onEnd = (): void => {
    this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    this.#entryPoint.limits.remove(this);
    this.#entryPoint.closed(this);
  };

  timedOut(): void {
    this.#socket.destroy();
  }

  drain(): void {
    if (!this.#shaking) this.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

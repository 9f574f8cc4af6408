import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { ConnectionTls } from "./exchange.ts";
import type { TlsSpec } from "./snapshot.ts";

/**
 * Makes TLS connections of plain ones: chooses certificate and options by server name, bounds handshakes in time and
 * number. One a thread; `src/tls/acceptor.ts` implements it and `src/listen/` uses it.
 */
export interface TlsAcceptor {
  /**
   * Takes the connection over. `head` holds the bytes that were read from it already (it may be empty), and the
   * socket is not read by anybody else. Ends with exactly one call of `secured` or `refused`.
   */
  accept(socket: Socket, head: Buffer, caller: TlsCaller): void;
  /** Puts other certificates and options in force for connections that come from now on. */
  update(spec: TlsSpec): void;
  /** Connections whose handshake is under way. */
  readonly handshaking: number;
}

/** One object an entry point or connection, told how the handshake went. */
export interface TlsCaller {
  /** From `accept` to the end of the handshake. */
  readonly handshakeTimeoutMs: number;
  /** The handshake is complete. The socket already has an `error` listener; it is `protocol` that the client speaks on it. */
  secured(socket: TLSSocket, tls: ConnectionTls, protocol: "h2" | "http/1.1"): void;
  /** The socket is destroyed, or closes as soon as its last bytes have left. */
  refused(reason: TlsRefusal): void;
}

export type TlsRefusal =
  /** The handshake (or the first bytes of it) took longer than it may. */
  | "timeout"
  /** More handshakes at once than there may be. */
  | "busy"
  /** The client went away. */
  | "closed"
  /** Not TLS at all: plain HTTP got a 400, anything else was closed. */
  | "not-tls"
  /** An alert was sent: no certificate for the name, and the options are strict. */
  | "unknown-name"
  /** An alert was sent: none of the client's protocols is offered. */
  | "no-protocol"
  /** Nothing is wrong: a certificate authority has seen the certificate of its TLS-ALPN-01 challenge. */
  | "challenge-shown"
  /** Versions, ciphers, client certificate or messages that do not fit. */
  | "handshake-failed";

import type { TLSSocket, TlsOptions } from "node:tls";
import type { ConnectionTls } from "./exchange.ts";

/** What a ClientHello says, before any byte of it is answered. */
export interface Hello {
  /** Lower-case, without a trailing dot; undefined if there is none or it is not a name. */
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
}

/** One way to shake hands. The same object for every connection that uses it: a listener keeps a server for each. */
export interface TlsChoice {
  /** Name of the TLS options: `default`, `strict@file`. */
  readonly name: string;
  /** With an SNI callback that gives the certificate. Read once. */
  readonly options: TlsOptions;
}

/** Implemented by `src/tls/`, used by `src/listen/`. */
export interface TlsProvider {
  /** Undefined: the handshake is refused. Never throws. */
  choose(entryPoint: string, hello: Hello): TlsChoice | undefined;
  /** After the handshake. */
  describe(socket: TLSSocket, choice: TlsChoice, hello: Hello): ConnectionTls;
}

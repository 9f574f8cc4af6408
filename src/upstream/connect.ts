import { connect as connectNet, isIP, type LookupFunction, type Socket } from "node:net";
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect as connectTls,
  type PeerCertificate,
} from "node:tls";
import { lookupForeign } from "../lib/own-addresses.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import type { ServerSpec } from "../model/snapshot.ts";
import type { Http1Connection } from "./http1-connection.ts";
import type { Pool } from "./pool.ts";
import type { TransportTls } from "./transport.ts";

const KEEP_ALIVE_DELAY_MS = 60_000;

/** Opens a connection to the pool's server and ties the socket's events to it. */
export function connect(pool: Pool, connection: Http1Connection, limitMs: number): void {
  const { spec } = pool.server;
  const secure = spec.scheme === "https";
  const socket = secure ? openTls(pool) : openPlain(spec, connection);
  connection.connecting(socket, limitMs);
  socket.on(secure ? "secureConnect" : "connect", () => connection.connected());
  socket.on("end", () => connection.ended());
  socket.on("error", (error: NodeJS.ErrnoException) => {
    if (connection.isConnecting) connection.connectFailed(connectFault(error, secure), describe(error));
    else connection.broke(describe(error));
  });
  socket.on("close", () => connection.closed());
  if (!secure) return;
  socket.on("session", (session: Buffer) => {
    pool.session = session;
  });
  socket.on("data", (chunk: Buffer) => {
    if (!connection.take(chunk)) socket.pause();
  });
}

function openPlain(spec: ServerSpec, connection: Http1Connection): Socket {
  return connectNet({
    ...whereTo(spec),
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
    onread: {
      buffer: () => connection.buffer.get(),
      callback: (bytes, buffer) => connection.take((buffer as Buffer).subarray(0, bytes)),
    },
  });
}

/** A path is a Unix socket. */
export function whereTo(
  spec: ServerSpec,
): { path: string } | { host: string; port: number; lookup?: LookupFunction } {
  const { host, port } = spec;
  if (host.startsWith("/")) return { path: host };
  return spec.foreign === true ? { host, port, lookup: lookupForeign } : { host, port };
}

function openTls(pool: Pool): Socket {
  const { spec } = pool.server;
  const socket = connectTls({
    ...tlsOptions(pool.transport.tls, spec),
    ...(pool.session !== undefined && { session: pool.session }),
    ALPNProtocols: ["http/1.1"],
  });
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
  return socket;
}

/** How a server of this transport is spoken TLS to. */
export function tlsOptions(tls: TransportTls, spec: ServerSpec): ConnectionOptions {
  const name = tls.serverName === "" ? spec.host : tls.serverName;
  return {
    ...whereTo(spec),
    // RFC 6066 §3: an address is no server name.
    servername: isIP(name) === 0 && !name.startsWith("/") ? name : "",
    rejectUnauthorized: !tls.insecureSkipVerify,
    checkServerIdentity: (_host, certificate) => checkIdentity(tls, name, certificate),
    ...(tls.ca.length > 0 && { ca: [...tls.ca] }),
    ...(tls.certificates.length > 0 && {
      cert: tls.certificates.map(({ cert }) => cert),
      key: tls.certificates.map(({ key }) => key),
    }),
    ...(tls.ciphers !== undefined && { ciphers: tls.ciphers }),
    ...(tls.minVersion !== undefined && { minVersion: tls.minVersion }),
    ...(tls.maxVersion !== undefined && { maxVersion: tls.maxVersion }),
  };
}

function checkIdentity(tls: TransportTls, name: string, certificate: PeerCertificate): Error | undefined {
  if (tls.peerCertUri === "") return checkServerIdentity(name, certificate);
  const names = (certificate.subjectaltname ?? "").split(", ");
  if (names.includes(`URI:${tls.peerCertUri}`)) return undefined;
  return new Error(`certificate does not name ${tls.peerCertUri}`);
}

/** What a failed connection means. */
export function connectFault(error: NodeJS.ErrnoException, secure: boolean): Fault {
  if (error.syscall === "getaddrinfo") return FAULTS["dns-failed"];
  if (error.code === "ETIMEDOUT") return FAULTS["connect-timeout"];
  return secure && error.syscall !== "connect" ? FAULTS["tls-failed"] : FAULTS["connect-failed"];
}

export function describe(error: NodeJS.ErrnoException): string {
  return error.code === undefined ? error.message : `${error.code} ${error.message}`;
}

import { group, list, nameOnly } from "../schema/composites.ts";
import {
  bool,
  choice,
  cidr,
  count,
  duration,
  float,
  headerName,
  int64,
  size,
  text,
} from "../schema/kinds.ts";
import type { Values } from "../schema/option.ts";
import { routerTls } from "./dynamic.ts";

/**
 * What an entry point can be told: where it listens, whom it believes, how long it waits and how much it takes.
 * Options without a mark are Traefik's; where its defaults let a slow or greedy client in, ours are tighter.
 */

/** Clients that are not told of HTTP/3 come by HTTP/2 as they did before it. */
export const NO_HTTP3 =
  "HTTP/3 is not served, because Node.js has no stable QUIC server; clients use HTTP/2 on the same port";

const respondingTimeouts = group({
  readTimeout: duration({
    doc: "Longest time for a whole request, body included; 0 for no limit beyond the other timeouts.",
    default: "0",
  }),
  writeTimeout: duration({
    doc: "Longest time from the end of the request's head to the last byte of the reply; 0 for no limit.",
    default: "0",
  }),
  idleTimeout: duration({
    doc: "How long a kept-alive connection may be idle, give or take a tenth.",
    default: "75s",
  }),
  headerTimeout: duration({
    doc: "Longest time for a request's head, from its first byte, or from the start of the connection.",
    default: "10s",
    added: true,
  }),
  bodyIdleTimeout: duration({
    doc: "Longest silence of a client within a request body; 0 for no limit.",
    default: "60s",
    added: true,
  }),
  bodyRateMin: count({
    doc: "Bytes a second that a request body must reach after its first ten seconds; 0 for no limit.",
    default: "240",
    added: true,
  }),
  writeStallTimeout: duration({
    doc: "How long a client may leave a reply unread before it is cut off; 0 for no limit.",
    default: "60s",
    added: true,
  }),
  tunnelIdleTimeout: duration({
    doc: "How long a WebSocket or another tunnel may be silent in both directions; 0 for no limit.",
    default: "1h",
    added: true,
  }),
  tlsHandshakeTimeout: duration({ doc: "Longest TLS handshake.", default: "10s", added: true }),
});

const lifeCycle = group({
  requestAcceptGraceTimeout: duration({
    doc: "How long requests are still accepted after the signal to stop, while ping already answers 503.",
    default: "0",
  }),
  graceTimeOut: duration({ doc: "How long requests under way may then take.", default: "10s" }),
});

const transport = group({
  respondingTimeouts: respondingTimeouts({ doc: "Time limits towards clients.", always: true }),
  lifeCycle: lifeCycle({ doc: "How it stops.", always: true }),
  keepAliveMaxTime: duration({ doc: "Oldest age of a connection that is kept; 0 for any.", default: "0" }),
  keepAliveMaxRequests: count({ doc: "Requests on one connection; 0 for any number.", default: "10000" }),
  maxConnections: count({
    doc: "Connections at once on this entry point, over all threads; 0 for four fifths of the file limit.",
    default: "0",
    added: true,
  }),
  maxConnectionsPerIP: count({
    doc: "Connections at once from one address, over all threads; 0 for no limit.",
    default: "1000",
    added: true,
  }),
});

const forwardedHeaders = group({
  insecure: bool({ doc: "Believe the forwarded headers of every peer.", default: "false" }),
  trustedIPs: list(cidr)({ doc: "Peers whose forwarded headers are believed.", example: "10.0.0.0/8" }),
  connection: list(headerName)({ doc: "Headers that a client's Connection header cannot remove." }),
  notAppendXForwardedFor: bool({
    doc: "Do not add the peer's address to X-Forwarded-For.",
    default: "false",
  }),
});

const proxyProtocol = group(
  {
    insecure: bool({ doc: "Believe the PROXY protocol header of every peer.", default: "false" }),
    trustedIPs: list(cidr)({ doc: "Peers whose PROXY protocol header is believed." }),
  },
  { enabler: true },
);

const entryPointRedirection = group({
  to: text({ doc: "Entry point, or `:port`, to go to.", required: true, example: "websecure" }),
  scheme: choice("http", "https")({ doc: "Scheme to go to.", default: "https" }),
  permanent: bool({ doc: "301 or 308 rather than 302 or 307.", default: "true" }),
  priority: int64({ doc: "Priority of the redirecting router.", default: "9223372036854775806" }),
});

const encodedCharacters = group({
  allowEncodedSlash: bool({ doc: "Let `%2F` in paths through.", default: "false" }),
  allowEncodedBackSlash: bool({ doc: "Let `%5C` in paths through.", default: "false" }),
  allowEncodedNullCharacter: bool({ doc: "Let `%00` in paths through.", default: "false" }),
  allowEncodedSemicolon: bool({ doc: "Let `%3B` in paths through.", default: "true" }),
  allowEncodedPercent: bool({ doc: "Let `%25` in paths through.", default: "true" }),
  allowEncodedQuestionMark: bool({ doc: "Let `%3F` in paths through.", default: "true" }),
  allowEncodedHash: bool({ doc: "Let `%23` in paths through.", default: "true" }),
});
export type EncodedCharacters = NonNullable<HttpSettings["encodedCharacters"]>;

const httpOptions = {
  redirections: group({
    entryPoint: entryPointRedirection({ doc: "Send every request to another entry point." }),
  })({ doc: "Redirections of the whole entry point." }),
  middlewares: list(text)({
    doc: "Middlewares of every router of this entry point, before its own; `name@provider`.",
    example: "secure-headers@file",
  }),
  tls: routerTls({ doc: "TLS for every router that says nothing about it." }),
  encodedCharacters: encodedCharacters({ doc: "Encoded characters that paths may hold.", always: true }),
  encodeQuerySemicolons: bool({
    doc: "Send `;` in the query as `%3B`; else the query is passed on untouched.",
    default: "false",
  }),
  sanitizePath: bool({
    doc: "Resolve `.`, `..` and `//` before anything looks at the path.",
    default: "true",
  }),
  maxHeaderBytes: size({ doc: "Largest head of a request.", default: "32KiB" }),
  maxHeaders: count({ doc: "Most header lines of a request.", default: "100", added: true }),
  maxRequestLineBytes: size({ doc: "Longest request line.", default: "8KiB", added: true }),
  underscoreHeadersStrategy: choice(
    "delete",
    "reject",
    "keep",
  )({
    doc: "What happens to headers with `_` or `.` in their name, which many applications read as `-`.",
    default: "delete",
  }),
  upgrades: list(text)({
    doc: "Protocols that clients may switch to.",
    default: "websocket",
    added: true,
  }),
};
export type HttpSettings = Values<typeof httpOptions>;
const http = group(httpOptions);

const http2 = group({
  maxConcurrentStreams: count({ doc: "Requests at once on one connection.", default: "100" }),
  maxDecoderHeaderTableSize: count({ doc: "Bytes of the table of received headers.", default: "4096" }),
  maxEncoderHeaderTableSize: count({ doc: "Bytes of the table of sent headers.", default: "4096" }),
  maxHeaderPairs: count({
    doc: "Most header fields of a request, cookie crumbs included.",
    default: "128",
    added: true,
  }),
  streamWindow: size({ doc: "Unread bytes of one request body.", default: "64KiB", added: true }),
  connectionWindow: size({
    doc: "Bytes of all bodies of a connection that may be under way, at least the 64 KiB that HTTP/2 begins with. What waits is bounded by `streamWindow` for each.",
    default: "1MiB",
    added: true,
  }),
  streamResetBurst: count({ doc: "Requests a client may cancel at once.", default: "100", added: true }),
  streamResetRate: count({
    doc: "Requests a second a client may go on cancelling.",
    default: "33",
    added: true,
  }),
  maxSettings: count({ doc: "Entries of one SETTINGS frame, at least 1.", default: "32", added: true }),
  idleTimeout: duration({ doc: "How long an HTTP/2 connection may be idle.", default: "180s", added: true }),
});

export const entryPointOptions = {
  address: text({ doc: "Where it listens: `[host]:port`.", required: true, example: ":443" }),
  reusePort: bool({
    doc: "Share the port with other processes; threads of one process share it always.",
    default: "false",
  }),
  asDefault: bool({ doc: "Routers that name no entry point use this one.", default: "false" }),
  allowACMEByPass: bool({ doc: "Let routers answer ACME challenges themselves.", default: "false" }),
  transport: transport({ doc: "Connections and their limits.", always: true }),
  proxyProtocol: proxyProtocol({ doc: "PROXY protocol, version 1 and 2." }),
  forwardedHeaders: forwardedHeaders({ doc: "Whose forwarded headers are believed.", always: true }),
  http: http({ doc: "HTTP.", always: true }),
  http2: http2({ doc: "HTTP/2.", always: true }),
  http3: nameOnly({ doc: "HTTP/3.", obsolete: NO_HTTP3 }),
  udp: nameOnly({ doc: "UDP.", obsolete: "UDP entry points are not served" }),
  observability: group({
    accessLogs: bool({ doc: "Write access-log lines.", default: "true" }),
    metrics: bool({ doc: "Count requests.", default: "true" }),
    tracing: bool({ doc: "Make spans.", default: "true" }),
    traceVerbosity: choice(
      "minimal",
      "detailed",
    )({ doc: "Spans of router, middlewares and service too, or only of the request.", default: "minimal" }),
    accessLogSampleRate: float({
      doc: "Share of the requests that are logged, from 0 to 1; `accessLog.sampleRate` says more.",
      added: true,
      example: "0.1",
    }),
  })({ doc: "What is recorded for routers that say nothing about it.", always: true }),
};
export type EntryPointSettings = Values<typeof entryPointOptions>;

/** `[host]:port[/protocol]`, read. */
export interface Address {
  /** Without brackets; undefined for every address of the machine. */
  readonly host: string | undefined;
  readonly port: number;
  readonly protocol: "tcp" | "udp";
}

/** Undefined when the text is not an address. Port 0 asks the system for a free one. */
export function parseAddress(text: string): Address | undefined {
  const parts = /^(?:\[([0-9a-f:.%a-z]+)\]|([^:[\]/]*)):(\d{1,5})(?:\/(tcp|udp))?$/i.exec(text);
  if (parts === null) return undefined;
  const port = Number(parts[3]);
  if (port > 65535) return undefined;
  const host = parts[1] ?? parts[2] ?? "";
  const protocol = parts[4]?.toLowerCase() === "udp" ? "udp" : "tcp";
  return { host: host === "" ? undefined : host, port, protocol };
}

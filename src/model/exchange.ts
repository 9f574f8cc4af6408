import { type BodySink, type BodySource, NO_BODY } from "./body.ts";
import type { Client } from "./client.ts";
import type { Fault } from "./fault.ts";
import type { Headers } from "./headers.ts";
import type { Route } from "./route.ts";
import type { Leaf, Service } from "./service.ts";
import type { UpstreamCall } from "./upstream.ts";

/** What all requests of one client connection share. */
export interface Connection {
  readonly entryPoint: string;
  /** The peer's address after the PROXY protocol, IPv4-mapped IPv6 written as IPv4, without a zone. */
  readonly peerIp: string;
  readonly peerPort: number;
  readonly localPort: number;
  readonly tls: ConnectionTls | undefined;
  /** The peer is not added to X-Forwarded-For when a request is sent on. */
  readonly notAppendForwardedFor?: boolean;
  /** How long a tunnel may be silent; 0 for any time, an hour if it is not said. */
  readonly tunnelIdleMs?: number;
}

export interface ConnectionTls {
  /** Lower-case, without a trailing dot; undefined if the client sent none. */
  readonly serverName: string | undefined;
  /** Name of the TLS options the handshake used: `default`, `strict@file`. */
  readonly options: string;
  /** `1.2` or `1.3`. */
  readonly version: string;
  readonly cipher: string;
  /** DER of every certificate the client sent, leaf first; empty if none. Read once a connection. */
  readonly peerCertificates: () => readonly Buffer[];
}

/** Wraps the sink of a body with one that changes the bytes on their way. */
export type BodyTransform = (sink: BodySink, source: BodySource) => BodySink;

/**
 * One request and its reply. Every field is set in the constructor, in this order, so that all exchanges share one
 * shape. `method`, `host`, `path`, `query` and `headers` are the only form of the request there is: what is matched
 * is what is authorised, logged and forwarded. Middlewares change them in place.
 */
export class Exchange {
  readonly client: Client;
  readonly connection: Connection;
  /** `performance.now()` at the first byte of the head. */
  readonly startedAtMs: number;
  /** 10, 11 or 20. */
  readonly httpVersion: number;

  method: string;
  scheme: "http" | "https";
  /** The Host header or `:authority` as it arrived, with port. */
  authority: string;
  /** `authority` in canonical form: lower-case, no port, no brackets, no trailing dot. Empty when there is none. */
  host: string;
  /** Normalised and still escaped: dot segments resolved, unreserved characters decoded, other escapes upper-case. */
  path: string;
  /** Without the `?`. Undefined when there is no `?` at all. */
  query: string | undefined;
  /**
   * Without hop-by-hop headers and without Host; forwarded headers are already rebuilt, but the peer is
   * added to X-Forwarded-For only when the request is sent on.
   */
  headers: Headers;
  requestBody: BodySource;
  /** Lower-case protocol the client asks to switch to (`websocket`), or undefined. */
  upgrade: string | undefined;
  /** The client sent `TE: trailers` or speaks HTTP/2. */
  acceptsTrailers: boolean;

  /** `path` and `query` as they were matched, before middlewares changed them: for logs. */
  readonly askedPath: string;
  readonly askedQuery: string | undefined;

  route: Route | undefined;
  /** Set once the route's hooks have let the request through and its service has chosen. */
  leaf: Leaf | undefined;
  /**
   * Hooks of the route, and then of the leaf, whose `onRequest` has run: only those see the reply and `onDone`.
   */
  hooksRun: number;
  /** `headers` as they were before the first hook ran. */
  receivedHeaders: readonly string[] | undefined;
  /** Who the request is from, once a middleware knows: for logs. */
  username: string | undefined;
  /** A middleware wants the peer left out of X-Forwarded-For. */
  hidesPeer: boolean;

  /** 0 until there is a reply. */
  status: number;
  replyHeaders: Headers;
  replyBody: BodySource;
  /** Applied to the request body from first to last added, before it is sent to the server. */
  requestTransforms: BodyTransform[] | undefined;
  replyTransforms: BodyTransform[] | undefined;
  /** Why the application did not answer, if it did not. */
  fault: Fault | undefined;
  /** What exactly happened, for logs and `explain`; never sent to a client. */
  detail: string | undefined;

  /** Composite services ask here for more than one forwarding. */
  plan: ForwardPlan | undefined;
  /** The forwarding under way. */
  call: UpstreamCall | undefined;
  /** The Host that the server is sent. */
  sentAuthority: string;
  service: string | undefined;
  /** `http://172.18.0.3:80`: the server that was asked last. */
  server: string | undefined;
  /** Connections that were tried: 1 without retries. */
  attempts: number;
  /** `performance.now()`; 0 if it did not come to that. */
  sentAtMs: number;
  repliedAtMs: number;
  /** What the server answered, before middlewares changed it; 0 if it did not. */
  originStatus: number;
  /** The same for its headers; kept only where an access log wants them, or hooks may change them. */
  originHeaders: Headers | undefined;
  /** Bytes of the server's body, where an access log wants them and a middleware may change them; else -1. */
  originBytes: number;
  /** The server's trailers, where the metrics want them. */
  originTrailers: readonly string[] | undefined;
  requestBytes: number;
  replyBytes: number;
  clientLeft: boolean;
  /** Things a middleware keeps from request to reply, by a key object of its own. Rarely used, so made on demand. */
  notes: Map<object, unknown> | undefined;

  constructor(
    client: Client,
    connection: Connection,
    startedAtMs: number,
    httpVersion: number,
    method: string,
    scheme: "http" | "https",
    authority: string,
    host: string,
    path: string,
    query: string | undefined,
    headers: Headers,
    requestBody: BodySource,
    upgrade: string | undefined,
    acceptsTrailers: boolean,
  ) {
    this.client = client;
    this.connection = connection;
    this.startedAtMs = startedAtMs;
    this.httpVersion = httpVersion;
    this.method = method;
    this.scheme = scheme;
    this.authority = authority;
    this.host = host;
    this.path = path;
    this.query = query;
    this.headers = headers;
    this.requestBody = requestBody;
    this.upgrade = upgrade;
    this.acceptsTrailers = acceptsTrailers;
    this.askedPath = path;
    this.askedQuery = query;
    this.route = undefined;
    this.leaf = undefined;
    this.hooksRun = 0;
    this.receivedHeaders = undefined;
    this.username = undefined;
    this.hidesPeer = false;
    this.status = 0;
    this.replyHeaders = NO_HEADERS;
    this.replyBody = NO_BODY;
    this.requestTransforms = undefined;
    this.replyTransforms = undefined;
    this.fault = undefined;
    this.detail = undefined;
    this.plan = undefined;
    this.call = undefined;
    this.sentAuthority = authority;
    this.service = undefined;
    this.server = undefined;
    this.attempts = 0;
    this.sentAtMs = 0;
    this.repliedAtMs = 0;
    this.originStatus = 0;
    this.originHeaders = undefined;
    this.originBytes = -1;
    this.originTrailers = undefined;
    this.requestBytes = 0;
    this.replyBytes = 0;
    this.clientLeft = false;
    this.notes = undefined;
  }
}

// Replaced, never changed: every reply brings its own list.
const NO_HEADERS: Headers = [];

/** What a composite service asks for, when it chooses, beside the one forwarding. */
export interface ForwardPlan {
  /** Services that get a copy of the request; their replies are thrown away. */
  readonly mirrors: readonly Mirror[];
  /** Where the request goes when the first service's reply has one of these statuses. */
  readonly fallback: Fallback | undefined;
}

export interface Mirror {
  readonly service: Service;
  readonly body: boolean;
  /** Larger bodies are not mirrored; -1 for no limit. */
  readonly bodyBytesMax: number;
}

export interface Fallback {
  readonly service: Service;
  readonly when: (status: number) => boolean;
  /** Larger bodies are refused with 413; -1 for no limit. */
  readonly bodyBytesMax: number;
}

/** An answer that does not come from the application. */
export interface Reply {
  readonly status: number;
  /** Flat list, name then value. */
  readonly headers: readonly string[];
  /** An empty string stands for the status text; an empty Buffer is an empty body. */
  readonly body: string | Buffer;
  /** Set when this reply reports a fault of the catalogue. */
  readonly fault?: Fault;
  /** What logs say beside the status: `rate limit`, `no-route`. */
  readonly reason: string;
}

/** Answers the client without asking the application. Without a body the status text is sent. */
export function reply(
  status: number,
  reason: string,
  headers: readonly string[] = [],
  body: string | Buffer = "",
): Reply {
  return { status, reason, headers, body };
}

import type { Exchange } from "../model/exchange.ts";
import { getHeader, getHeaders } from "../model/headers.ts";
import type { Hooks } from "../model/middleware.ts";
import type { Settings } from "../model/settings.ts";
import type { SpanRecord, TraceContext } from "../model/spans.ts";
import { continueTrace, newSpanId } from "./trace-context.ts";

type TracingOptions = NonNullable<Settings["tracing"]>;
type Attributes = (string | number | readonly string[])[];

type Common = Pick<SpanRecord, "traceId" | "traceState" | "endMs">;

const BATCH_MAX = 512;
const WAITING_MAX = 4096;
const FLUSH_MS = 1000;

/** Key of the exchange's notes. */
const CONTEXT = {};

/** Where the exchange stands in its trace, for logs; undefined when it is not traced. */
export function traceOf(exchange: Exchange): TraceContext | undefined {
  return exchange.notes?.get(CONTEXT) as TraceContext | undefined;
}

/**
 * Spans of one thread, under Traefik's names. A traced router has one hook more, before all others; a router that is
 * not traced has none, and costs nothing.
 */
export class Tracer {
  readonly #options: TracingOptions;
  readonly #send: (spans: readonly SpanRecord[]) => void;
  readonly #safe: ReadonlySet<string>;
  readonly #requestHeaders: readonly string[];
  readonly #replyHeaders: readonly string[];
  readonly #timer: NodeJS.Timeout;
  readonly #minimal = this.#hooks(false);
  readonly #detailed = this.#hooks(true);
  #spans: SpanRecord[] = [];

  constructor(options: TracingOptions, send: (spans: readonly SpanRecord[]) => void) {
    this.#options = options;
    this.#send = send;
    this.#safe = new Set(options.safeQueryParams);
    this.#requestHeaders = options.capturedRequestHeaders.map((name) => name.toLowerCase());
    this.#replyHeaders = options.capturedResponseHeaders.map((name) => name.toLowerCase());
    this.#timer = setInterval(() => this.flush(), FLUSH_MS);
    this.#timer.unref();
  }

  /** What a router's requests are traced by. */
  hooksFor(detailed: boolean): Hooks {
    return detailed ? this.#detailed : this.#minimal;
  }

  #hooks(detailed: boolean): Hooks {
    return {
      onRequest: (exchange) => {
        exchange.notes ??= new Map();
        exchange.notes.set(CONTEXT, continueTrace(exchange.headers, this.#options.sampleRate));
        return undefined;
      },
      onDone: (exchange) => {
        const context = traceOf(exchange);
        if (context?.sampled === true) this.#record(exchange, context, detailed);
      },
    };
  }

  /** A request that no router took has a span too, though nothing was there to begin it. */
  unrouted(exchange: Exchange): void {
    const context = continueTrace([...exchange.headers], this.#options.sampleRate);
    if (context.sampled) this.#record(exchange, context, false);
  }

  flush(): void {
    while (this.#spans.length > 0) this.#send(this.#spans.splice(0, BATCH_MAX));
  }

  close(): void {
    clearInterval(this.#timer);
    this.flush();
  }

  #record(exchange: Exchange, context: TraceContext, detailed: boolean): void {
    // Whoever reads them is slower than we are: rather holes than memory without bound.
    if (this.#spans.length >= WAITING_MAX) return;
    const epochMs = Date.now() - performance.now();
    const startMs = epochMs + exchange.startedAtMs;
    const endMs = Date.now();
    const { traceId, spanId, parentId, clientSpanId } = context;
    const traceState = getHeader(exchange.headers, "tracestate") ?? "";
    const common = { traceId, traceState, endMs };
    const { status } = exchange;
    this.#spans.push({
      ...common,
      spanId,
      parentId,
      name: exchange.method,
      kind: "server",
      startMs,
      attributes: this.#serverAttributes(exchange),
      failed: status >= 500 || status === 0,
    });
    const above = detailed ? this.#detail(exchange, common, startMs, spanId) : spanId;
    if (exchange.sentAtMs > 0 && exchange.server !== undefined) {
      this.#spans.push({
        ...common,
        spanId: clientSpanId,
        parentId: above,
        name: "ReverseProxy",
        kind: "client",
        startMs: epochMs + exchange.sentAtMs,
        attributes: this.#clientAttributes(exchange),
        failed: status >= 400 || status === 0,
      });
    }
    if (this.#spans.length >= BATCH_MAX) this.flush();
  }

  /** Router and service as spans of their own; gives the id of the innermost. */
  #detail(exchange: Exchange, common: Common, startMs: number, parentId: string): string {
    const { route, service } = exchange;
    if (route === undefined) return parentId;
    const inside = { ...common, kind: "internal", startMs, failed: false } as const;
    const router = newSpanId();
    const names = ["traefik.service.name", service ?? "", "traefik.router.name", route.name];
    const attributes = [...names, "http.route", route.rule];
    this.#spans.push({ ...inside, spanId: router, parentId, attributes, name: "Router" });
    if (service === undefined) return router;
    const spanId = newSpanId();
    const own = { spanId, parentId: router, attributes: ["traefik.service.name", service], name: "Service" };
    this.#spans.push({ ...inside, ...own });
    return spanId;
  }

  #serverAttributes(exchange: Exchange): Attributes {
    const { connection, fault, detail } = exchange;
    const attributes: Attributes = [
      "entry_point",
      connection.entryPoint,
      "http.request.method",
      exchange.method,
      "network.protocol.version",
      versionOf(exchange),
      "http.request.body.size",
      exchange.requestBytes,
      "url.path",
      exchange.askedPath,
      "url.query",
      this.#redacted(exchange.askedQuery),
      "url.scheme",
      getHeader(exchange.headers, "x-forwarded-proto") ?? exchange.scheme,
      "user_agent.original",
      getHeader(exchange.headers, "user-agent") ?? "",
      "server.address",
      exchange.authority,
      "network.peer.address",
      connection.peerIp,
      "network.peer.port",
      connection.peerPort,
      "client.address",
      connection.peerIp,
      "client.port",
      connection.peerPort,
      "http.response.status_code",
      exchange.status,
    ];
    if (fault !== undefined)
      attributes.push("waybill.fault", fault.code, "waybill.fault.source", fault.source);
    if (fault !== undefined && detail !== undefined) attributes.push("waybill.fault.detail", detail);
    this.#capture(attributes, exchange);
    return attributes;
  }

  #clientAttributes(exchange: Exchange): Attributes {
    const { server = "", query } = exchange;
    const { hostname, port, protocol } = new URL(server);
    const scheme = protocol.slice(0, -1);
    const asked = query === undefined ? exchange.path : `${exchange.path}?${this.#redacted(query)}`;
    const at = Number(port) || (scheme === "https" ? 443 : 80);
    const attributes: Attributes = [
      "http.request.method",
      exchange.method,
      "network.protocol.version",
      scheme === "h2c" ? "2" : "1.1",
      "url.full",
      server + asked,
      "url.scheme",
      scheme,
      "user_agent.original",
      getHeader(exchange.headers, "user-agent") ?? "",
      "server.address",
      hostname,
      "server.port",
      at,
      "network.peer.address",
      hostname,
      "network.peer.port",
      at,
      "http.response.status_code",
      exchange.status,
    ];
    if (exchange.attempts > 1) attributes.push("http.resend_count", exchange.attempts - 1);
    this.#capture(attributes, exchange);
    return attributes;
  }

  #capture(attributes: Attributes, { headers, replyHeaders }: Exchange): void {
    for (const name of this.#requestHeaders) {
      const values = getHeaders(headers, name);
      if (values.length > 0) attributes.push(`http.request.header.${name}`, values);
    }
    for (const name of this.#replyHeaders) {
      const values = getHeaders(replyHeaders, name);
      if (values.length > 0) attributes.push(`http.response.header.${name}`, values);
    }
  }

  /** Values of parameters may be secrets, unless the operator says that they are not. */
  #redacted(query: string | undefined): string {
    if (query === undefined || query === "") return "";
    const parts = query.split("&").map((part) => {
      const at = part.indexOf("=");
      return at < 0 || this.#safe.has(part.slice(0, at)) ? part : `${part.slice(0, at)}=REDACTED`;
    });
    return parts.join("&");
  }
}

const versionOf = ({ httpVersion }: Exchange) =>
  httpVersion === 20 ? "2" : httpVersion === 11 ? "1.1" : "1.0";

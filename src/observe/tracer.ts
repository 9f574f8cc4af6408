import type { Exchange } from "../model/exchange.ts";
import { getHeader, putHeader } from "../model/headers.ts";
import type { FetchReply, FetchRequest } from "../model/host.ts";
import type { Hooks } from "../model/middleware.ts";
import type { MiddlewareSpec } from "../model/snapshot.ts";
import type { SpanRecord, TraceContext } from "../model/spans.ts";
import { SpanAttributes, type TracingOptions } from "./span-attributes.ts";
import { continueTrace, newSpanId } from "./trace-context.ts";

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
  readonly #attributes: SpanAttributes;
  readonly #marks = new WeakMap<MiddlewareSpec, Hooks>();
  readonly #timer: NodeJS.Timeout;
  readonly #minimal = this.#hooks(false);
  readonly #detailed = this.#hooks(true);
  #spans: SpanRecord[] = [];

  constructor(options: TracingOptions, send: (spans: readonly SpanRecord[]) => void) {
    this.#options = options;
    this.#send = send;
    this.#attributes = new SpanAttributes(options);
    this.#timer = setInterval(() => this.flush(), FLUSH_MS);
    this.#timer.unref();
  }

  /** What a router's requests are traced by. */
  hooksFor(detailed: boolean): Hooks {
    return detailed ? this.#detailed : this.#minimal;
  }

  /** Stands before a middleware of a router that is traced in detail, and notes when it began. */
  markFor(spec: MiddlewareSpec): Hooks {
    let mark = this.#marks.get(spec);
    if (mark === undefined) {
      const type = SPAN_NAMES.get(spec.type) ?? spec.type;
      mark = {
        onRequest: (exchange) => {
          const context = traceOf(exchange);
          if (context?.sampled !== true) return undefined;
          const spanId = newSpanId();
          context.middlewares.push({ spanId, type, name: spec.name, atMs: performance.now() });
          return undefined;
        },
      };
      this.#marks.set(spec, mark);
    }
    return mark;
  }

  /** A request that a middleware makes on behalf of another: it gets a span, and is told of it. */
  async fetch(
    send: (request: FetchRequest) => Promise<FetchReply>,
    request: FetchRequest,
    exchange: Exchange | undefined,
  ): Promise<FetchReply> {
    const context = exchange && traceOf(exchange);
    if (context === undefined) return send(request);
    const { traceId, sampled } = context;
    const spanId = newSpanId();
    const headers = request.headers.slice();
    putHeader(headers, "traceparent", "traceparent", `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`);
    if (!sampled) return send({ ...request, headers });
    const startMs = Date.now();
    let status = 0;
    try {
      const reply = await send({ ...request, headers });
      status = reply.status;
      return reply;
    } finally {
      this.#push({
        traceId,
        traceState: getHeader(headers, "tracestate") ?? "",
        spanId,
        parentId: context.middlewares.at(-1)?.spanId ?? context.spanId,
        name: "AuthRequest",
        kind: "client",
        startMs,
        endMs: Date.now(),
        attributes: this.#attributes.asked(request, status),
        failed: status === 0 || status >= 400,
      });
    }
  }

  #push(span: SpanRecord): void {
    // Whoever reads them is slower than we are: rather holes than memory without bound.
    if (this.#spans.length >= WAITING_MAX) return;
    this.#spans.push(span);
    if (this.#spans.length >= BATCH_MAX) this.flush();
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
    const epochMs = Date.now() - performance.now();
    const startMs = epochMs + exchange.startedAtMs;
    const endMs = Date.now();
    const { traceId, spanId, parentId, clientSpanId } = context;
    const traceState = getHeader(exchange.headers, "tracestate") ?? "";
    const common = { traceId, traceState, endMs };
    const { status } = exchange;
    this.#push({
      ...common,
      spanId,
      parentId,
      name: exchange.method,
      kind: "server",
      startMs,
      attributes: this.#attributes.server(exchange),
      failed: status >= 500 || status === 0,
    });
    const above = detailed ? this.#detail(exchange, common, startMs, epochMs, context) : spanId;
    if (exchange.sentAtMs > 0 && exchange.server !== undefined) {
      this.#push({
        ...common,
        spanId: clientSpanId,
        parentId: above,
        name: "ReverseProxy",
        kind: "client",
        startMs: epochMs + exchange.sentAtMs,
        attributes: this.#attributes.client(exchange),
        failed: status >= 400 || status === 0,
      });
    }
  }

  /** Router, middlewares and service as spans of their own, each within the one before; gives the innermost. */
  #detail(
    exchange: Exchange,
    common: Common,
    startMs: number,
    epochMs: number,
    { spanId, middlewares }: TraceContext,
  ): string {
    const { route, service } = exchange;
    if (route === undefined) return spanId;
    const inside = { ...common, kind: "internal", failed: false } as const;
    let parentId = spanId;
    const add = (name: string, atMs: number, attributes: readonly string[], id = newSpanId()) => {
      this.#push({ ...inside, spanId: id, parentId, name, startMs: atMs, attributes });
      parentId = id;
    };
    const names = ["traefik.service.name", service ?? "", "traefik.router.name", route.name];
    add("Router", startMs, [...names, "http.route", route.rule]);
    for (const { type, name, atMs, spanId: id } of middlewares)
      add(type, epochMs + atMs, ["traefik.middleware.name", name], id);
    if (service === undefined) return parentId;
    const began = exchange.sentAtMs > 0 ? epochMs + exchange.sentAtMs : startMs;
    add("Service", began, ["traefik.service.name", service]);
    return parentId;
  }
}

/** What Traefik calls the spans of middlewares. */
const SPAN_NAMES: ReadonlyMap<string, string> = new Map([
  ["addPrefix", "AddPrefix"],
  ["basicAuth", "BasicAuth"],
  ["buffering", "Buffer"],
  ["circuitBreaker", "CircuitBreaker"],
  ["compress", "Compress"],
  ["contentType", "ContentType"],
  ["digestAuth", "digestAuth"],
  ["errors", "customError"],
  ["forwardAuth", "ForwardAuth"],
  ["grpcWeb", "GRPCWeb"],
  ["headers", "Headers"],
  ["inFlightReq", "InFlightReq"],
  ["ipAllowList", "IPAllowLister"],
  ["ipWhiteList", "IPWhiteLister"],
  ["passTLSClientCert", "PassClientTLSCert"],
  ["rateLimit", "RateLimiterType"],
  ["redirectRegex", "Redirect"],
  ["redirectScheme", "Redirect"],
  ["replacePath", "ReplacePath"],
  ["replacePathRegex", "ReplacePathRegex"],
  ["retry", "Retry"],
  ["stripPrefix", "StripPrefix"],
  ["stripPrefixRegex", "StripPrefixRegex"],
]);

/** One finished span, as a data-plane thread hands it to the control plane. */
export interface SpanRecord {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: "internal" | "server" | "client";
  /** Milliseconds since 1970, with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  /** Flat list, name then value. */
  readonly attributes: readonly (string | number | readonly string[])[];
  readonly failed: boolean;
}

/** Where a request stands in its trace. */
export interface TraceContext {
  readonly traceId: string;
  /** Of our server span. */
  readonly spanId: string;
  /** Of the client's span, or empty. */
  readonly parentId: string;
  /** Of the span for the request to the server. */
  readonly clientSpanId: string;
  readonly sampled: boolean;
  /** Those that have begun, for routers that are traced in detail. */
  readonly middlewares: MiddlewareMark[];
}

export interface MiddlewareMark {
  readonly spanId: string;
  /** As the span is called. */
  readonly type: string;
  /** `auth@docker`. */
  readonly name: string;
  /** `performance.now()`. */
  readonly atMs: number;
}

import { randomFillSync } from "node:crypto";
import { getHeaders, type Headers, putHeader, removeHeader } from "../model/headers.ts";
import type { TraceContext } from "../model/spans.ts";

const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZEROS = /^0+$/;

/**
 * Continues the trace that the client is in, or begins one (W3C Trace Context). The request's headers then say so to
 * the server. A client that has decided whether to sample is followed.
 */
export function continueTrace(headers: Headers, sampleRate: number): TraceContext {
  const written = getHeaders(headers, "traceparent");
  const parent = written.length === 1 ? parseParent(written[0]!) : undefined;
  // State without its parent belongs to another trace.
  if (parent === undefined) removeHeader(headers, "tracestate");
  const context: TraceContext = {
    traceId: parent?.traceId ?? randomHex(16),
    spanId: randomHex(8),
    parentId: parent?.spanId ?? "",
    clientSpanId: randomHex(8),
    sampled: parent?.sampled ?? Math.random() < sampleRate,
    middlewares: [],
  };
  const next = context.sampled ? context.clientSpanId : context.spanId;
  const value = `00-${context.traceId}-${next}-${context.sampled ? "01" : "00"}`;
  putHeader(headers, "traceparent", "traceparent", value);
  return context;
}

function parseParent(text: string): { traceId: string; spanId: string; sampled: boolean } | undefined {
  const [, version, traceId = "", spanId = "", flags = "", rest] = PARENT.exec(text) ?? [];
  if (version === undefined || version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export const newSpanId = (): string => randomHex(8);

const pool = Buffer.allocUnsafe(4096);
let used = pool.length;

/** Random bytes are drawn by the page: asking for each would cost more than all the rest. */
function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  return pool.toString("hex", used - bytes, used);
}

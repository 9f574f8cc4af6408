import type { Exchange } from "../model/exchange.ts";
import { sameName } from "../model/headers.ts";
import { traceOf } from "./tracer.ts";

/** What is the same for all fields of one line. */
export interface Moment {
  readonly startMs: number;
  readonly endMs: number;
  readonly durationMs: number;
  readonly count: number;
  readonly path: string;
}
export type Field = readonly [
  name: string,
  read: (exchange: Exchange, moment: Moment) => string | number | undefined,
];

const startTime = isoClock();
const endTime = isoClock();
const ns = (ms: number) => Math.max(0, Math.round(ms * 1e6));
const asked = (exchange: Exchange) => exchange.sentAtMs > 0;
const originMs = (exchange: Exchange) =>
  exchange.repliedAtMs > 0 ? exchange.repliedAtMs - exchange.sentAtMs : undefined;

export const FIELDS: readonly Field[] = [
  ["ClientAddr", ({ connection }) => `${bracket(connection.peerIp)}:${connection.peerPort}`],
  ["ClientHost", (exchange) => clientHost(exchange)],
  ["ClientPort", ({ connection }) => String(connection.peerPort)],
  ["ClientUsername", ({ username }) => username ?? "-"],
  ["DownstreamContentSize", ({ replyBytes }) => replyBytes],
  ["DownstreamStatus", ({ status }) => status],
  ["Duration", (_, { durationMs }) => ns(durationMs)],
  ["Fault", ({ fault }) => fault?.code],
  ["FaultDetail", ({ detail }) => detail],
  ["FaultSource", ({ fault }) => fault?.source],
  ["OriginContentSize", (exchange) => (exchange.repliedAtMs > 0 ? exchange.replyBytes : undefined)],
  ["OriginDuration", (exchange) => (asked(exchange) ? ns(originMs(exchange) ?? 0) : undefined)],
  [
    "OriginStatus",
    (exchange) => (exchange.repliedAtMs > 0 && exchange.fault === undefined ? exchange.status : undefined),
  ],
  ["Overhead", (exchange, { durationMs }) => ns(durationMs - (originMs(exchange) ?? 0))],
  ["RequestAddr", ({ authority }) => authority],
  ["RequestContentSize", ({ requestBytes }) => requestBytes],
  ["RequestCount", (_, { count }) => count],
  ["RequestHost", ({ host }) => host],
  ["RequestMethod", ({ method }) => method],
  ["RequestPath", (_, { path }) => path],
  ["RequestPort", ({ authority }) => /:(\d+)$/.exec(authority)?.[1] ?? "-"],
  ["RequestProtocol", (exchange) => protocolOf(exchange)],
  ["RequestScheme", ({ scheme }) => scheme],
  ["RetryAttempts", ({ attempts }) => Math.max(0, attempts - 1)],
  ["RouterName", ({ route }) => route?.name],
  ["ServiceAddr", ({ server }) => server?.replace(/^[a-z0-9]+:\/\//, "")],
  ["ServiceName", ({ service }) => service],
  ["ServiceURL", ({ server }) => server],
  ["SpanId", (exchange) => traced(exchange)?.spanId],
  ["StartLocal", (_, { startMs }) => startTime(startMs)],
  ["StartUTC", (_, { startMs }) => startTime(startMs)],
  ["TLSCipher", ({ connection }) => connection.tls?.cipher],
  ["TLSVersion", ({ connection }) => connection.tls?.version],
  ["TraceId", (exchange) => traced(exchange)?.traceId],
  ["entryPointName", ({ connection }) => connection.entryPoint],
  ["level", () => "info"],
  ["msg", () => ""],
  ["span_id", (exchange) => traced(exchange)?.spanId],
  ["time", (_, { endMs }) => endTime(endMs)],
  ["trace_id", (exchange) => traced(exchange)?.traceId],
];

const bracket = (ip: string) => (ip.includes(":") ? `[${ip}]` : ip);

// The first address of X-Forwarded-For that a trusted proxy passed on, as Traefik logs it; else the peer.
export function clientHost({ headers, connection }: Exchange): string {
  for (let i = 0; i < headers.length; i += 2) {
    if (!sameName(headers[i]!, "x-forwarded-for")) continue;
    const value = headers[i + 1]!;
    const comma = value.indexOf(",");
    return comma < 0 ? value : value.slice(0, comma);
  }
  return connection.peerIp;
}

export const protocolOf = ({ httpVersion }: Exchange) =>
  httpVersion === 11 ? "HTTP/1.1" : httpVersion === 20 ? "HTTP/2.0" : "HTTP/1.0";

// Most requests are not traced and have no notes at all.
const traced = (exchange: Exchange) => (exchange.notes === undefined ? undefined : traceOf(exchange));

/** Writes times that mostly go forward: within one second only the last digits differ. */
function isoClock(): (ms: number) => string {
  let lastSecond = -1;
  let lastText = "";
  return (ms) => {
    const whole = Math.floor(ms);
    const second = Math.floor(whole / 1000);
    if (second !== lastSecond) lastText = new Date(second * 1000).toISOString().slice(0, 20);
    lastSecond = second;
    const rest = whole - second * 1000;
    return `${lastText}${rest < 10 ? "00" : rest < 100 ? "0" : ""}${rest}Z`;
  };
}

import type { SpanRecord } from "../model/spans.ts";
import type { Series } from "./meter-reader.ts";

/** What OTLP's messages hold, in the names of its JSON form. Numbers of 64 bits are written as text. */
export type OtlpMessage = { readonly [field: string]: unknown };

/** The process in the telemetry. */
export interface Resource {
  readonly serviceName: string;
  readonly version: string;
  readonly attributes: ReadonlyMap<string, string>;
}

const SCOPE = "waybill";
const KINDS = { internal: 1, server: 2, client: 3 } as const;

export function traceMessage(resource: Resource, spans: readonly SpanRecord[]): OtlpMessage {
  return {
    resourceSpans: [
      {
        resource: resourceMessage(resource),
        scopeSpans: [{ scope: scopeMessage(resource), spans: spans.map(spanMessage) }],
      },
    ],
  };
}

function spanMessage(span: SpanRecord): OtlpMessage {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.traceState !== "" && { traceState: span.traceState }),
    ...(span.parentId !== "" && { parentSpanId: span.parentId }),
    name: span.name,
    kind: KINDS[span.kind],
    startTimeUnixNano: nanoseconds(span.startMs),
    endTimeUnixNano: nanoseconds(Math.max(span.startMs, span.endMs)),
    attributes: attributeMessages(span.attributes),
    ...(span.failed && { status: { code: 2 } }),
  };
}

export function metricsMessage(
  resource: Resource,
  series: readonly Series[],
  startedAtMs: number,
  nowMs: number,
): OtlpMessage {
  const times = { startTimeUnixNano: nanoseconds(startedAtMs), timeUnixNano: nanoseconds(nowMs) };
  const metrics = [...Map.groupBy(series, (one) => one.family.name).values()].map((members) =>
    metricMessage(members, times),
  );
  return {
    resourceMetrics: [
      { resource: resourceMessage(resource), scopeMetrics: [{ scope: scopeMessage(resource), metrics }] },
    ],
  };
}

/** Sums from the start on: the aggregation temporality that OTLP calls cumulative. */
const CUMULATIVE = 2;

function metricMessage(members: readonly Series[], times: OtlpMessage): OtlpMessage {
  const { name, help, type, bounds } = members[0]!.family;
  const common = { name, description: help };
  if (type === "histogram") {
    const dataPoints = members.map(({ labels, values }) => {
      const [sum, ...buckets] = values;
      const count = buckets.reduce((total, bucket) => total + bucket, 0);
      const own = { count: String(count), sum, bucketCounts: buckets.map(String), explicitBounds: bounds };
      return { attributes: attributeMessages(labels), ...times, ...own };
    });
    return { ...common, unit: "s", histogram: { dataPoints, aggregationTemporality: CUMULATIVE } };
  }
  const dataPoints = members.map(({ labels, values }) => ({
    attributes: attributeMessages(labels),
    ...times,
    asDouble: values[0],
  }));
  if (type === "gauge") return { ...common, gauge: { dataPoints } };
  return { ...common, sum: { dataPoints, aggregationTemporality: CUMULATIVE, isMonotonic: true } };
}

function resourceMessage({ serviceName, version, attributes }: Resource): OtlpMessage {
  const own = ["service.name", serviceName, "service.version", version];
  return { attributes: attributeMessages([...own, ...[...attributes].flat()]) };
}

const scopeMessage = ({ version }: Resource): OtlpMessage => ({ name: SCOPE, version });

function attributeMessages(flat: readonly (string | number | readonly string[])[]): OtlpMessage[] {
  const messages: OtlpMessage[] = [];
  for (let i = 0; i < flat.length; i += 2) messages.push({ key: flat[i], value: valueMessage(flat[i + 1]!) });
  return messages;
}

function valueMessage(value: string | number | readonly string[]): OtlpMessage {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "number")
    return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  return { arrayValue: { values: value.map((one) => ({ stringValue: one })) } };
}

/** Exact to the microsecond: that is what a clock of milliseconds with fractions holds. */
const nanoseconds = (ms: number): string => `${Math.round(ms * 1000)}000`;

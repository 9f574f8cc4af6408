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

type AttributeValue = string | number | boolean | readonly string[];

export interface LogRecord {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly severity: keyof typeof SEVERITIES;
  readonly body: string;
  /** Flat list, name then value. */
  readonly attributes: readonly AttributeValue[];
  /** Empty outside a trace. */
  readonly traceId?: string;
  readonly spanId?: string;
}

/** What the settings say, after what the environment says to every program (OTEL_RESOURCE_ATTRIBUTES). */
export function resourceOf(
  {
    serviceName,
    resourceAttributes,
  }: { serviceName: string; resourceAttributes: ReadonlyMap<string, string> },
  version: string,
  env: NodeJS.ProcessEnv = process.env,
): Resource {
  const pairs = (env["OTEL_RESOURCE_ATTRIBUTES"] ?? "").split(",").flatMap((pair) => {
    const at = pair.indexOf("=");
    return at < 1 ? [] : [[pair.slice(0, at).trim(), decoded(pair.slice(at + 1).trim())] as const];
  });
  return { serviceName, version, attributes: new Map([...pairs, ...resourceAttributes]) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
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

const SEVERITIES = { debug: 5, info: 9, warn: 13, error: 17 } as const;

export function logsMessage(resource: Resource, records: readonly LogRecord[]): OtlpMessage {
  const logRecords = records.map(({ timeMs, severity, body, attributes, traceId = "", spanId = "" }) => ({
    timeUnixNano: nanoseconds(timeMs),
    observedTimeUnixNano: nanoseconds(timeMs),
    severityNumber: SEVERITIES[severity],
    severityText: severity.toUpperCase(),
    body: { stringValue: body },
    attributes: attributeMessages(attributes),
    ...(traceId !== "" && { traceId }),
    ...(spanId !== "" && { spanId }),
  }));
  const scopeLogs = [{ scope: scopeMessage(resource), logRecords }];
  return { resourceLogs: [{ resource: resourceMessage(resource), scopeLogs }] };
}

function resourceMessage({ serviceName, version, attributes }: Resource): OtlpMessage {
  const own = ["service.name", serviceName, "service.version", version];
  return { attributes: attributeMessages([...own, ...[...attributes].flat()]) };
}

const scopeMessage = ({ version }: Resource): OtlpMessage => ({ name: SCOPE, version });

function attributeMessages(flat: readonly AttributeValue[]): OtlpMessage[] {
  const messages: OtlpMessage[] = [];
  for (let i = 0; i < flat.length; i += 2) messages.push({ key: flat[i], value: valueMessage(flat[i + 1]!) });
  return messages;
}

function valueMessage(value: AttributeValue): OtlpMessage {
  if (typeof value === "boolean") return { boolValue: value };
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "number")
    return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  return { arrayValue: { values: value.map((one) => ({ stringValue: one })) } };
}

/** Exact to the microsecond: that is what a clock of milliseconds with fractions holds. */
const nanoseconds = (ms: number): string => `${Math.round(ms * 1000)}000`;

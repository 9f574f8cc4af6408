import type { OtlpMessage } from "./otlp.ts";

/** How a field is written: its number, and its kind or the message it holds. A list is written once an item. */
type Field = readonly [number, Kind | (() => Schema)];
type Kind = "text" | "hex" | "enum" | "bool" | "int64" | "fixed64" | "double" | "fixed64s" | "doubles";
type Schema = { readonly [field: string]: Field };

// The messages of opentelemetry-proto 1.x, as far as we fill them.
const AnyValue: Schema = {
  stringValue: [1, "text"],
  boolValue: [2, "bool"],
  intValue: [3, "int64"],
  doubleValue: [4, "double"],
  arrayValue: [5, () => ({ values: [1, () => AnyValue] })],
};
const KeyValue: Schema = { key: [1, "text"], value: [2, () => AnyValue] };
const attributes = (number: number): Field => [number, () => KeyValue];
const ResourceMessage: Schema = { attributes: attributes(1) };
const Scope: Schema = { name: [1, "text"], version: [2, "text"] };
const Span: Schema = {
  traceId: [1, "hex"],
  spanId: [2, "hex"],
  traceState: [3, "text"],
  parentSpanId: [4, "hex"],
  name: [5, "text"],
  kind: [6, "enum"],
  startTimeUnixNano: [7, "fixed64"],
  endTimeUnixNano: [8, "fixed64"],
  attributes: attributes(9),
  status: [15, () => ({ code: [3, "enum"] })],
};
const times = { startTimeUnixNano: [2, "fixed64"], timeUnixNano: [3, "fixed64"] } as const;
const NumberPoint: Schema = { attributes: attributes(7), ...times, asDouble: [4, "double"] };
const HistogramPoint: Schema = {
  attributes: attributes(9),
  ...times,
  count: [4, "fixed64"],
  sum: [5, "double"],
  bucketCounts: [6, "fixed64s"],
  explicitBounds: [7, "doubles"],
};
const Metric: Schema = {
  name: [1, "text"],
  description: [2, "text"],
  unit: [3, "text"],
  gauge: [5, () => ({ dataPoints: [1, () => NumberPoint] })],
  sum: [
    7,
    () => ({
      dataPoints: [1, () => NumberPoint],
      aggregationTemporality: [2, "enum"],
      isMonotonic: [3, "bool"],
    }),
  ],
  histogram: [9, () => ({ dataPoints: [1, () => HistogramPoint], aggregationTemporality: [2, "enum"] })],
};
const LogRecord: Schema = {
  timeUnixNano: [1, "fixed64"],
  severityNumber: [2, "enum"],
  severityText: [3, "text"],
  body: [5, () => AnyValue],
  attributes: attributes(6),
  traceId: [9, "hex"],
  spanId: [10, "hex"],
  observedTimeUnixNano: [11, "fixed64"],
};

const scoped = (items: string, item: Schema): Schema => ({
  scope: [1, () => Scope],
  [items]: [2, () => item],
});
const resourced = (scopes: string, items: string, item: Schema): Schema => ({
  resource: [1, () => ResourceMessage],
  [scopes]: [2, () => scoped(items, item)],
});

export const REQUEST: Schema = {
  resourceSpans: [1, () => resourced("scopeSpans", "spans", Span)],
  resourceMetrics: [1, () => resourced("scopeMetrics", "metrics", Metric)],
  resourceLogs: [1, () => resourced("scopeLogs", "logRecords", LogRecord)],
};

/** The message in protobuf, as gRPC needs it. What the schema does not know is left out. */
export function encodeProtobuf(message: OtlpMessage, schema: Schema = REQUEST): Buffer {
  const parts: Buffer[] = [];
  for (const [name, [number, kind]] of Object.entries(schema)) {
    const value = message[name];
    if (value === undefined) continue;
    if (typeof kind === "function") {
      for (const one of Array.isArray(value) ? value : [value]) {
        parts.push(delimited(number, encodeProtobuf(one as OtlpMessage, kind())));
      }
    } else parts.push(encodeScalar(number, kind, value));
  }
  return Buffer.concat(parts);
}

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;

function encodeScalar(number: number, kind: Kind, value: unknown): Buffer {
  switch (kind) {
    case "text":
      return delimited(number, Buffer.from(value as string));
    case "hex":
      return delimited(number, Buffer.from(value as string, "hex"));
    case "enum":
    case "bool":
    case "int64":
      return Buffer.concat([tag(number, VARINT), varint(BigInt(value as number | string | boolean))]);
    case "fixed64":
      return Buffer.concat([tag(number, FIXED64), fixed64(value as string)]);
    case "double":
      return Buffer.concat([tag(number, FIXED64), double(value as number)]);
    case "fixed64s":
      return delimited(number, Buffer.concat((value as readonly string[]).map(fixed64)));
    case "doubles":
      return delimited(number, Buffer.concat((value as readonly number[]).map(double)));
  }
}

const tag = (number: number, wire: number) => varint(BigInt(number * 8 + wire));

const delimited = (number: number, bytes: Buffer) =>
  Buffer.concat([tag(number, LENGTH), varint(BigInt(bytes.length)), bytes]);

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function fixed64(text: string): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(text));
  return bytes;
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

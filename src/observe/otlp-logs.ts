import type { Logger } from "../model/host.ts";
import type { LogRecord } from "./otlp.ts";

const TEXT_MAX = 4000;

/** A line of our own log as a record: its fields become attributes, an error those of an exception. */
export function recordOfLog(
  level: keyof Logger,
  fields: Readonly<Record<string, unknown>>,
  message: string,
  timeMs: number,
): LogRecord {
  const attributes: (string | number | boolean)[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Error) attributes.push(...exceptionOf(value));
    else if (value !== undefined) attributes.push(name, plainOf(value));
  }
  return { timeMs, severity: level, body: message.slice(0, TEXT_MAX), attributes };
}

function exceptionOf({ name, message, stack }: Error): string[] {
  const texts = ["exception.type", name, "exception.message", message, "exception.stacktrace", stack ?? ""];
  return texts.map((text) => text.slice(0, TEXT_MAX));
}

function plainOf(value: unknown): string | number | boolean {
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (typeof value === "string") return value.slice(0, TEXT_MAX);
  try {
    return (JSON.stringify(value) ?? "").slice(0, TEXT_MAX);
  } catch {
    return String(value).slice(0, TEXT_MAX);
  }
}

/** What the fields of a record say already, in places of their own. */
const OWN_PLACE = new Set(["level", "msg", "time", "trace_id", "span_id", "TraceId", "SpanId"]);

/** A request as a record: the line as the format has it, and its fields as attributes. */
export function recordOfRequest(json: string, line: string): LogRecord {
  const fields = JSON.parse(json) as Readonly<Record<string, string | number>>;
  const attributes = Object.entries(fields).filter(([name]) => !OWN_PLACE.has(name));
  return {
    timeMs: Date.parse(String(fields["StartUTC"] ?? fields["time"])),
    severity: "info",
    body: line.trimEnd(),
    attributes: attributes.flat(),
    traceId: textOf(fields["trace_id"]),
    spanId: textOf(fields["span_id"]),
  };
}

const textOf = (value: string | number | undefined) => (typeof value === "string" ? value : "");

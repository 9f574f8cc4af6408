import type { Logger } from "../model/host.ts";
import type { Settings } from "../model/settings.ts";
import type { SpanRecord } from "../model/spans.ts";
import type { Log } from "../observe/log.ts";
import type { Series } from "../observe/meter-reader.ts";
import { viewOf } from "../observe/metric-view.ts";
import {
  type LogRecord,
  logsMessage,
  metricsMessage,
  type Resource,
  resourceOf,
  traceMessage,
} from "../observe/otlp.ts";
import { OtlpExporter } from "../observe/otlp-exporter.ts";
import { recordOfRequest } from "../observe/otlp-logs.ts";
import { makeSender, type Signal } from "../observe/otlp-sender.ts";

/** A log that may itself be sent to a collector. */
export type SentLog = Logger & Partial<Pick<Log, "notCollected">>;

export interface TelemetryHost {
  readonly settings: Settings;
  readonly log: SentLog;
  readonly version: string;
  readonly startedAtMs: number;
  readonly series: () => readonly Series[];
}

type Described = Pick<NonNullable<Settings["tracing"]>, "serviceName" | "resourceAttributes">;

interface Export {
  readonly exporter: OtlpExporter;
  readonly resource: Resource;
}

/** What is sent to OpenTelemetry collectors. */
export class Telemetry {
  readonly #host: TelemetryHost;
  readonly #spans: Export | undefined;
  readonly #metrics: Export | undefined;
  readonly #accessLog: Export | undefined;
  readonly #push: NodeJS.Timeout | undefined;

  constructor(host: TelemetryHost) {
    const { tracing, metrics, accessLog } = host.settings;
    this.#host = host;
    if (tracing !== undefined) this.#spans = this.#exporter(tracing, tracing.otlp ?? {}, "traces");
    if (accessLog?.otlp !== undefined)
      this.#accessLog = this.#exporter(accessLog.otlp, accessLog.otlp, "logs", "access log");
    const otlp = metrics?.otlp;
    if (otlp === undefined) return;
    this.#metrics = this.#exporter(otlp, otlp, "metrics");
    this.#push = setInterval(() => this.#pushMetrics(), Math.max(100, otlp.pushInterval));
    this.#push.unref();
  }

  spans(spans: readonly SpanRecord[]): void {
    if (this.#spans === undefined) return;
    const { exporter, resource } = this.#spans;
    exporter.export(() => traceMessage(resource, spans), spans.length);
  }

  /** Requests of one thread: their fields in JSON and their line, by turns. */
  requests(texts: readonly string[]): void {
    if (this.#accessLog === undefined) return;
    const { exporter, resource } = this.#accessLog;
    exporter.export(() => logsMessage(resource, recordsOf(texts)), texts.length / 2);
  }

  /** What was lost because a collector did not take it, by kind. */
  dropped(): ReadonlyMap<string, number> {
    const kinds = [
      ["traces", this.#spans?.exporter.dropped],
      ["metrics", this.#metrics?.exporter.dropped],
      ["access-log", this.#accessLog?.exporter.dropped],
      ["log", this.#host.log.notCollected],
    ] as const;
    return new Map(kinds.flatMap(([kind, count]) => (count === undefined ? [] : [[kind, count]])));
  }

  async close(): Promise<void> {
    clearInterval(this.#push);
    const exports = [this.#spans, this.#metrics, this.#accessLog];
    await Promise.all(exports.map((one) => one?.exporter.close()));
  }

  #pushMetrics(): void {
    const { series, startedAtMs } = this.#host;
    const { resource, exporter } = this.#metrics!;
    const { explicitBoundaries, ...switches } = this.#host.settings.metrics!.otlp!;
    const now = viewOf(series(), { ...switches, bounds: explicitBoundaries });
    const message = metricsMessage(resource, now, startedAtMs, Date.now());
    exporter.export(() => message, now.length);
  }

  #exporter(
    described: Described,
    transports: Parameters<typeof makeSender>[0],
    signal: Signal,
    what: string = signal,
  ): Export {
    const resource = resourceOf(described, this.#host.version);
    return { resource, exporter: new OtlpExporter(makeSender(transports, signal), what, this.#host.log) };
  }
}

function recordsOf(texts: readonly string[]): LogRecord[] {
  const records: LogRecord[] = [];
  for (let i = 0; i < texts.length; i += 2) records.push(recordOfRequest(texts[i]!, texts[i + 1]!));
  return records;
}

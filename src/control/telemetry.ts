import type { Logger } from "../model/host.ts";
import type { Settings } from "../model/settings.ts";
import type { SpanRecord } from "../model/spans.ts";
import type { Series } from "../observe/meter-reader.ts";
import { metricsMessage, type Resource, traceMessage } from "../observe/otlp.ts";
import { OtlpExporter } from "../observe/otlp-exporter.ts";
import { makeSender, type Signal } from "../observe/otlp-sender.ts";

export interface TelemetryHost {
  readonly settings: Settings;
  readonly log: Logger;
  readonly version: string;
  readonly startedAtMs: number;
  readonly series: () => readonly Series[];
}

type Described = Pick<NonNullable<Settings["tracing"]>, "serviceName" | "resourceAttributes">;

/** What is sent to OpenTelemetry collectors. */
export class Telemetry {
  readonly #host: TelemetryHost;
  readonly #spans: { readonly exporter: OtlpExporter; readonly resource: Resource } | undefined;
  readonly #metrics: { readonly exporter: OtlpExporter; readonly resource: Resource } | undefined;
  readonly #push: NodeJS.Timeout | undefined;

  constructor(host: TelemetryHost) {
    const { tracing, metrics } = host.settings;
    this.#host = host;
    if (tracing !== undefined) this.#spans = this.#exporter(tracing, tracing.otlp ?? {}, "traces");
    const otlp = metrics?.otlp;
    if (otlp === undefined) return;
    this.#metrics = this.#exporter(otlp, otlp, "metrics");
    this.#push = setInterval(() => this.#pushMetrics(), Math.max(100, otlp.pushInterval));
    this.#push.unref();
  }

  spans(spans: readonly SpanRecord[]): void {
    if (this.#spans === undefined) return;
    this.#spans.exporter.export(traceMessage(this.#spans.resource, spans));
  }

  async close(): Promise<void> {
    clearInterval(this.#push);
    await Promise.all([this.#spans?.exporter.close(), this.#metrics?.exporter.close()]);
  }

  #pushMetrics(): void {
    const { series, startedAtMs } = this.#host;
    const { resource, exporter } = this.#metrics!;
    exporter.export(metricsMessage(resource, series(), startedAtMs, Date.now()));
  }

  #exporter(described: Described, transports: Parameters<typeof makeSender>[0], signal: Signal) {
    const { serviceName, resourceAttributes } = described;
    const resource: Resource = { serviceName, version: this.#host.version, attributes: resourceAttributes };
    return { resource, exporter: new OtlpExporter(makeSender(transports, signal), signal, this.#host.log) };
  }
}

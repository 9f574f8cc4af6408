import type { Logger } from "../model/host.ts";
import type { LogOptions } from "../model/log-settings.ts";
import { type LogRecord, logsMessage, type Resource, resourceOf } from "./otlp.ts";
import { OtlpExporter } from "./otlp-exporter.ts";
import { recordOfLog } from "./otlp-logs.ts";
import { makeSender } from "./otlp-sender.ts";

const BATCH_MAX = 256;
const FLUSH_MS = 1000;

/** Sends the log to a collector. Complaints about that go to `own`, which is not sent. */
export class LogExport {
  readonly #resource: Resource;
  readonly #exporter: OtlpExporter;
  #records: LogRecord[] = [];
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(options: NonNullable<LogOptions["otlp"]>, version: string, own: Logger) {
    this.#resource = resourceOf(options, version);
    this.#exporter = new OtlpExporter(makeSender(options, "logs"), "logs", own);
  }

  get dropped(): number {
    return this.#exporter.dropped;
  }

  add(level: keyof Logger, fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#records.push(recordOfLog(level, fields, message, Date.now()));
    if (this.#records.length >= BATCH_MAX) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS).unref();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const records = this.#records;
    this.#records = [];
    if (records.length > 0) this.#exporter.export(() => logsMessage(this.#resource, records), records.length);
  }

  /** What waits has a moment to leave. */
  async close(): Promise<void> {
    this.#flush();
    await this.#exporter.close();
  }
}

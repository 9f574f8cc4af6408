import type { Exchange } from "../model/exchange.ts";
import type { AccessLogOptions } from "../model/log-settings.ts";
import { AccessLogFormat } from "./access-log.ts";
import { LineSink } from "./line-sink.ts";

export interface AccessLogHost {
  /** Numbers the requests of the whole process. */
  readonly nextCount: () => number;
  /** The file or pipe does not take lines. */
  readonly failed: (error: Error) => void;
  /** To whoever sends them to a collector: twice as many texts as requests, their fields in JSON and their line. */
  readonly send: (texts: readonly string[]) => void;
}

/** Where one thread's access log goes: into a file or pipe, to a collector, or both. */
export class AccessLog {
  readonly #options: AccessLogOptions;
  readonly #lines: AccessLogFormat;
  readonly #fields: AccessLogFormat;
  readonly #sink: LineSink | undefined;
  readonly #courier: Courier | undefined;

  constructor(options: AccessLogOptions, { nextCount, failed, send }: AccessLogHost) {
    const { otlp, dualOutput, filePath } = options;
    let count = 0;
    const next = () => {
      count = nextCount();
      return count;
    };
    this.#options = options;
    this.#lines = new AccessLogFormat(options, next);
    this.#fields =
      options.format === "json"
        ? this.#lines
        : new AccessLogFormat({ ...options, format: "json" }, () => count);
    this.#courier = otlp === undefined ? undefined : new Courier(send);
    this.#sink = otlp === undefined || dualOutput ? new LineSink(filePath, failed) : undefined;
  }

  done(exchange: Exchange, durationMs: number): void {
    if (exchange.route?.accessLog === false || !this.#isSampled(exchange)) return;
    const line = this.#lines.line(exchange, durationMs);
    if (line === undefined) return;
    this.#sink?.write(line);
    if (this.#courier === undefined) return;
    const fields = this.#fields === this.#lines ? line : this.#fields.line(exchange, durationMs)!;
    this.#courier.add(fields, line);
  }

  /** What failed is never left out. */
  #isSampled({ route, status }: Exchange): boolean {
    const rate = route?.accessLogSampleRate ?? this.#options.sampleRate;
    return rate >= 1 || status === 0 || status >= 500 || Math.random() < rate;
  }

  /** Somebody must keep the headers of servers' replies before middlewares change them. */
  get wantsOriginHeaders(): boolean {
    return this.wantsOriginSize && this.#fields.wantsOriginHeaders;
  }

  /** The same for the number of bytes. */
  get wantsOriginSize(): boolean {
    return this.#courier !== undefined || this.#options.format === "json";
  }

  /** Lines that nobody took. */
  get dropped(): number {
    return (this.#sink?.dropped ?? 0) + (this.#courier?.dropped ?? 0);
  }

  /** One batch has been taken. */
  taken(): void {
    this.#courier?.taken();
  }

  /** Opens the file again, after somebody rotated it. */
  reopen(): void {
    this.#sink?.reopen();
  }

  /** Resolves when everything is written, or when nobody takes it. */
  async close(): Promise<void> {
    this.#courier?.flush();
    await this.#sink?.flush();
  }
}

const BATCH_LINES_MAX = 256;
const BATCH_LETTERS_MAX = 256 * 1024;
const UNDER_WAY_MAX = 8;
const FLUSH_MS = 1000;

/** Hands requests over in batches, and drops what is more than the other side has asked for. */
class Courier {
  readonly #send: (texts: readonly string[]) => void;
  #texts: string[] = [];
  #letters = 0;
  #underWay = 0;
  #timer: NodeJS.Timeout | undefined = undefined;
  dropped = 0;

  constructor(send: (texts: readonly string[]) => void) {
    this.#send = send;
  }

  add(fields: string, line: string): void {
    if (this.#underWay >= UNDER_WAY_MAX) {
      this.dropped++;
      return;
    }
    this.#texts.push(fields, line);
    this.#letters += fields.length + line.length;
    if (this.#texts.length >= 2 * BATCH_LINES_MAX || this.#letters >= BATCH_LETTERS_MAX) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  taken(): void {
    this.#underWay--;
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#texts.length === 0) return;
    this.#underWay++;
    this.#send(this.#texts);
    this.#texts = [];
    this.#letters = 0;
  }
}

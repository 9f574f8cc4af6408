import type { Logger } from "../model/host.ts";
import type { OtlpMessage } from "./otlp.ts";
import type { OtlpSender } from "./otlp-sender.ts";

/** Messages that may wait for a collector that is slow or gone. */
const WAITING_MAX = 16;
const TRIES = 3;
const PAUSE_MS = 1000;
const TOLD_EVERY_MS = 60_000;

interface Waiting {
  readonly make: () => OtlpMessage;
  readonly count: number;
}

/** Sends messages one after the other and never lets anyone wait: what the collector does not take is dropped. */
export class OtlpExporter {
  readonly #sender: OtlpSender;
  readonly #log: Logger;
  readonly #what: string;
  readonly #waiting: Waiting[] = [];
  #isSending = false;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #closed = false;
  /** Spans, records or series that were dropped. */
  dropped = 0;

  constructor(sender: OtlpSender, what: string, log: Logger) {
    this.#sender = sender;
    this.#what = what;
    this.#log = log;
  }

  /** `make` is asked for the message, with `count` things in it, when it is its turn. */
  export(make: () => OtlpMessage, count: number): void {
    if (this.#waiting.length >= WAITING_MAX) {
      this.dropped += count;
      return;
    }
    this.#waiting.push({ make, count });
    if (!this.#isSending) void this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (!(await this.#send(next.make()))) this.dropped += next.count;
    }
    this.#isSending = false;
  }

  async #send(message: OtlpMessage): Promise<boolean> {
    for (let attempt = 1; attempt <= TRIES && !this.#closed; attempt++) {
      try {
        await this.#sender.send(message);
        return true;
      } catch (error) {
        this.#tell(error as Error);
        if (attempt < TRIES && !this.#closed) await pause(PAUSE_MS * attempt);
      }
    }
    return false;
  }

  #tell({ message }: Error): void {
    if (performance.now() - this.#toldAtMs < TOLD_EVERY_MS) return;
    this.#toldAtMs = performance.now();
    this.#log.warn(
      { reason: message, dropped: this.dropped },
      `the collector does not take our ${this.#what}`,
    );
  }

  /** What waits has a moment to leave. */
  async close(): Promise<void> {
    const untilMs = performance.now() + PAUSE_MS;
    while (this.#isSending && performance.now() < untilMs) await pause(20);
    this.#closed = true;
    this.#sender.close();
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms).unref());

import { mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import sonic from "sonic-boom";

/** Bytes that may wait for a slow disk or a blocked pipe before lines are dropped (RS-15). */
const WAITING_BYTES_MAX = 10 * 1024 * 1024;
/** Lines are gathered up to this size before they are written. */
const GATHERED_BYTES = 8 * 1024;
const FLUSH_MS = 250;
const STDOUT = 1;

/** Writes lines to a file or to standard output without ever holding a request up. */
export class LineSink {
  readonly #path: string;
  readonly #onError: (error: Error) => void;
  readonly #atOnce: boolean;
  #stream: sonic.SonicBoom;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  /** Lines that were dropped because the file or pipe did not take them. */
  dropped = 0;

  /**
   * `path` empty: standard output. `onError` is told once a minute at most. Lines are gathered for a moment unless
   * `atOnce`.
   */
  constructor(path: string, onError: (error: Error) => void, atOnce = false) {
    this.#path = path;
    this.#onError = onError;
    this.#atOnce = atOnce;
    this.#stream = this.#open();
  }

  write(line: string): void {
    this.#stream.write(line);
  }

  /** Opens the file again under its name (SIGUSR1); what was written before goes where the old file is now. */
  reopen(): void {
    if (this.#path === "") return;
    this.flushSync();
    this.#stream.end();
    this.#stream = this.#open();
  }

  /** Waits for everything to be written: only before the process ends. */
  flushSync(): void {
    try {
      this.#stream.flushSync();
    } catch (error) {
      this.#tell(error as Error);
    }
  }

  close(): void {
    this.#stream.end();
  }

  #open(): sonic.SonicBoom {
    const stream = new sonic.SonicBoom({
      fd: this.#descriptor(),
      sync: false,
      maxLength: WAITING_BYTES_MAX,
      ...(!this.#atOnce && { minLength: GATHERED_BYTES, periodicFlush: FLUSH_MS }),
    });
    stream.on("drop", () => {
      this.dropped++;
    });
    stream.on("error", (error: Error) => this.#tell(error));
    return stream;
  }

  // A log that has no place to go is no reason to stop serving: the lines then go where a person will see them.
  #descriptor(): number {
    if (this.#path === "") return STDOUT;
    try {
      mkdirSync(dirname(this.#path), { recursive: true });
      return openSync(this.#path, "a", 0o664);
    } catch (error) {
      this.#tell(error as Error);
      return STDOUT;
    }
  }

  #tell(error: Error): void {
    if (performance.now() - this.#toldAtMs < 60_000) return;
    this.#toldAtMs = performance.now();
    this.#onError(error);
  }
}

import sonic from "sonic-boom";

/** Bytes that may wait for a slow disk or a blocked pipe before lines are dropped (RS-15). */
const WAITING_BYTES_MAX = 10 * 1024 * 1024;
const FLUSH_MS = 250;

/** Writes lines to a file or to standard output without ever holding a request up. */
export class LineSink {
  readonly #stream: sonic.SonicBoom;
  /** Lines that were dropped because the file or pipe did not take them. */
  dropped = 0;

  /**
   * `path` empty: standard output. `onError` is told once a minute at most. Lines are gathered for a moment unless
   * `atOnce`.
   */
  constructor(path: string, onError: (error: Error) => void, atOnce = false) {
    this.#stream = new sonic.SonicBoom({
      ...(path === "" ? { fd: 1 } : { dest: path, append: true, mkdir: true, mode: 0o664 }),
      sync: false,
      maxLength: WAITING_BYTES_MAX,
      ...(!atOnce && { minLength: 16 * 1024, periodicFlush: FLUSH_MS }),
    });
    let toldAtMs = Number.NEGATIVE_INFINITY;
    this.#stream.on("drop", () => {
      this.dropped++;
    });
    this.#stream.on("error", (error: Error) => {
      if (performance.now() - toldAtMs < 60_000) return;
      toldAtMs = performance.now();
      onError(error);
    });
  }

  write(line: string): void {
    this.#stream.write(line);
  }

  /** Opens the file again under its name, for log rotation (SIGUSR1). */
  reopen(): void {
    this.#stream.reopen();
  }

  /** Waits for everything to be written: only before the process ends. */
  flushSync(): void {
    try {
      this.#stream.flushSync();
    } catch {
      // A file that was never opened, or a pipe whose reader has gone: there is nowhere left to write.
    }
  }

  close(): void {
    this.#stream.end();
  }
}

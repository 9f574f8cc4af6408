import { SonicBoom } from "sonic-boom";

/** Bytes that may wait for a slow disk or a blocked pipe before lines are dropped (RS-15). */
const WAITING_BYTES_MAX = 10 * 1024 * 1024;
const FLUSH_MS = 250;

/** Writes lines to a file or to standard output without ever holding a request up. */
export class LineSink {
  readonly #stream: SonicBoom;
  /** Lines that were dropped because the file or pipe did not take them. */
  dropped = 0;

  /** `path` empty: standard output. `onError` is told once a minute at most. */
  constructor(path: string, onError: (error: Error) => void) {
    this.#stream = new SonicBoom({
      ...(path === "" ? { fd: 1 } : { dest: path, append: true, mkdir: true, mode: 0o664 }),
      sync: false,
      minLength: 16 * 1024,
      maxLength: WAITING_BYTES_MAX,
      periodicFlush: FLUSH_MS,
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

  close(): void {
    this.#stream.end();
  }
}

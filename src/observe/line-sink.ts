import { close, closeSync, constants, fstatSync, mkdirSync, openSync, write, writeSync } from "node:fs";
import { dirname } from "node:path";

/** Bytes that may wait for a slow disk or a blocked pipe before lines are dropped (RS-15). */
const WAITING_BYTES_MAX = 10 * 1024 * 1024;
/** Lines are gathered up to this size before they are written. */
const BATCH_BYTES = 16 * 1024;
// What is written into a pipe at once is not mixed with what other threads write, up to this size (PIPE_BUF).
const PIPE_BATCH_BYTES = 4096;
const FLUSH_MS = 250;
/** A full pipe is tried again after this time, and then less and less often. */
const AGAIN_FIRST_MS = 2;
const AGAIN_MAX_MS = 100;
const AFTER_ERROR_MS = 1000;
const TOLD_EVERY_MS = 60_000;
/** At the end of the process, somebody who reads has this long. */
const LAST_MOMENT_MS = 1000;
const STDOUT = 1;
const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants;

/**
 * Nobody may read what we say, and a write into a full pipe would then hold a thread of the pool that file and
 * name look-ups need too. A pipe that Node opens as its standard output does not block, for all threads.
 */
export function letOutputNotBlock(): void {
  void process.stdout;
}

/** Writes lines to a file or to standard output without ever holding a request up. */
export class LineSink {
  readonly #path: string;
  readonly #onError: (error: Error) => void;
  readonly #atOnce: boolean;
  readonly #flushNow = () => this.#begin();
  readonly #written = (error: Error | null, bytes: number) => this.#wrote(error, bytes);
  #fd: number;
  #batchBytes: number;
  #gathered = "";
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #state: "idle" | "writing" | "paused" = "idle";
  #flushTimer: NodeJS.Timeout | undefined = undefined;
  #againMs = AGAIN_FIRST_MS;
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
    this.#fd = this.#open();
    this.#batchBytes = batchBytesOf(this.#fd);
  }

  write(line: string): void {
    if (this.#waitingBytes >= WAITING_BYTES_MAX) return this.#drop();
    if (this.#gathered.length + line.length > this.#batchBytes) this.#begin();
    this.#gathered += line;
    if (this.#atOnce) this.#begin();
    else this.#flushTimer ??= setTimeout(this.#flushNow, FLUSH_MS).unref();
  }

  /** Opens the file again under its name (SIGUSR1); what waits goes into the new one. */
  reopen(): void {
    if (this.#path === "") return;
    const old = this.#fd;
    this.#fd = this.#open();
    this.#batchBytes = batchBytesOf(this.#fd);
    // A write that is under way has the old number, which the system must not give to another file meanwhile.
    if (old !== STDOUT) setTimeout(() => close(old, () => {}), LAST_MOMENT_MS).unref();
  }

  /** Resolves when everything is written, or when nobody takes it. */
  async flush(): Promise<void> {
    this.#begin();
    const untilMs = performance.now() + LAST_MOMENT_MS;
    while (this.#waiting.length > 0 && performance.now() < untilMs)
      await new Promise((resolve) => setTimeout(resolve, AGAIN_FIRST_MS));
  }

  /** The same without waiting for others: only before the process ends. */
  flushSync(): void {
    this.#settle();
    const untilMs = performance.now() + LAST_MOMENT_MS;
    // The first may be under way, and will arrive.
    const first = this.#state === "writing" ? 1 : 0;
    while (this.#waiting.length > first) {
      try {
        const bytes = writeSync(this.#fd, this.#waiting[first]!);
        this.#shorten(first, bytes);
      } catch (error) {
        if (!isBusy(error as Error)) return this.#tell(error as Error);
        if (performance.now() > untilMs) return;
      }
    }
  }

  close(): void {
    this.flushSync();
    if (this.#fd !== STDOUT && this.#state !== "writing") closeSync(this.#fd);
  }

  #begin(): void {
    this.#settle();
    if (this.#state === "idle") this.#writeNext();
  }

  #settle(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    if (this.#gathered === "") return;
    const bytes = Buffer.from(this.#gathered);
    this.#gathered = "";
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  #writeNext(): void {
    const next = this.#waiting[0];
    this.#state = next === undefined ? "idle" : "writing";
    if (next !== undefined) write(this.#fd, next, this.#written);
  }

  #wrote(error: Error | null, bytes: number): void {
    if (error === null) {
      this.#againMs = AGAIN_FIRST_MS;
      this.#shorten(0, bytes);
      return this.#writeNext();
    }
    if (!isBusy(error)) {
      this.#tell(error);
      return this.#pause(AFTER_ERROR_MS);
    }
    this.#pause(this.#againMs);
    this.#againMs = Math.min(this.#againMs * 2, AGAIN_MAX_MS);
  }

  #pause(ms: number): void {
    this.#state = "paused";
    setTimeout(() => this.#writeNext(), ms).unref();
  }

  #shorten(index: number, bytes: number): void {
    const batch = this.#waiting[index]!;
    this.#waitingBytes -= bytes;
    if (bytes < batch.length) this.#waiting[index] = batch.subarray(bytes);
    else this.#waiting.splice(index, 1);
  }

  // A log that has no place to go is no reason to stop serving: the lines then go where a person will see them.
  #open(): number {
    if (this.#path === "") return STDOUT;
    try {
      mkdirSync(dirname(this.#path), { recursive: true });
      // Without waiting, because somebody may have put a pipe in the file's place.
      return openSync(this.#path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o664);
    } catch (error) {
      this.#tell(error as Error);
      return STDOUT;
    }
  }

  #drop(): void {
    this.dropped++;
    this.#tell(new Error("lines are dropped, because whoever should take them does not"));
  }

  #tell(error: Error): void {
    if (performance.now() - this.#toldAtMs < TOLD_EVERY_MS) return;
    this.#toldAtMs = performance.now();
    this.#onError(error);
  }
}

const isBusy = (error: NodeJS.ErrnoException) => error.code === "EAGAIN" || error.code === "EBUSY";

function batchBytesOf(fd: number): number {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket() ? PIPE_BATCH_BYTES : BATCH_BYTES;
  } catch {
    // Standard output may be closed.
    return BATCH_BYTES;
  }
}

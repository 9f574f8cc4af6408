import { createReadStream, createWriteStream, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { LineSink } from "./line-sink.ts";

export interface RotationOptions {
  /** Empty: standard output, which is never rotated. */
  readonly filePath: string;
  /** Megabytes; 0 for 100. */
  readonly maxSize: number;
  /** Days; 0 for ever. */
  readonly maxAge: number;
  /** 0 for all. */
  readonly maxBackups: number;
  readonly compress: boolean;
}

const MEGABYTE = 1024 * 1024;
const DAY_MS = 86_400_000;

/** A line sink whose file makes way for a new one when it is large: `waybill.log` to `waybill-<time>.log`. */
export class RotatingSink {
  readonly #options: RotationOptions;
  readonly #onError: (error: Error) => void;
  readonly #sink: LineSink;
  readonly #bytesMax: number;
  #bytes: number;

  constructor(options: RotationOptions, onError: (error: Error) => void, atOnce = false) {
    this.#options = options;
    this.#onError = onError;
    this.#sink = new LineSink(options.filePath, onError, atOnce);
    this.#bytesMax = options.filePath === "" ? Number.POSITIVE_INFINITY : (options.maxSize || 100) * MEGABYTE;
    this.#bytes = options.filePath === "" ? 0 : sizeOf(options.filePath);
  }

  get dropped(): number {
    return this.#sink.dropped;
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#bytes > 0 && this.#bytes + bytes > this.#bytesMax) this.#rotate();
    this.#bytes += bytes;
    this.#sink.write(line);
  }

  reopen(): void {
    this.#sink.reopen();
    this.#bytes = sizeOf(this.#options.filePath);
  }

  flushSync(): void {
    this.#sink.flushSync();
  }

  close(): void {
    this.#sink.close();
  }

  #rotate(): void {
    const { filePath, compress } = this.#options;
    this.#bytes = 0;
    try {
      const backup = backupName(filePath, new Date());
      renameSync(filePath, backup);
      this.#sink.reopen();
      if (compress) gzip(backup).catch(this.#onError);
      this.#clean();
    } catch (error) {
      this.#onError(error as Error);
    }
  }

  #clean(): void {
    const { filePath, maxAge, maxBackups } = this.#options;
    const backups = listBackups(filePath);
    const tooMany = maxBackups > 0 ? backups.slice(maxBackups) : [];
    const oldestMs = Date.now() - maxAge * DAY_MS;
    const tooOld = maxAge > 0 ? backups.filter((path) => statSync(path).mtimeMs < oldestMs) : [];
    for (const path of new Set([...tooMany, ...tooOld])) rmSync(path, { force: true });
  }
}

function sizeOf(path: string): number {
  return path === "" ? 0 : (statSync(path, { throwIfNoEntry: false })?.size ?? 0);
}

function backupName(path: string, at: Date): string {
  const end = extname(path);
  const stem = join(dirname(path), `${basename(path, end)}-${at.toISOString().replaceAll(":", "-")}`);
  let name = stem + end;
  // Two rotations within one millisecond must not lose the first.
  for (let n = 1; sizeOf(name) > 0 || sizeOf(`${name}.gz`) > 0; n++) name = `${stem}.${n}${end}`;
  return name;
}

/** Newest first. */
function listBackups(path: string): string[] {
  const end = extname(path);
  const start = `${basename(path, end)}-`;
  const stamp = /^\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}\.\d{3}Z/;
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(start) && stamp.test(name.slice(start.length)))
    .sort()
    .reverse()
    .map((name) => join(dirname(path), name));
}

async function gzip(path: string): Promise<void> {
  await pipeline(createReadStream(path), createGzip(), createWriteStream(`${path}.gz`, { mode: 0o640 }));
  rmSync(path, { force: true });
}

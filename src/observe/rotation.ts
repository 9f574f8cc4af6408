import { createReadStream, createWriteStream, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

export interface RotationOptions {
  /** Empty: standard output, which is never rotated. */
  readonly filePath: string;
  /** Megabytes; 0 for any. */
  readonly maxSize: number;
  /** Milliseconds; 0 for never. */
  readonly rotateEvery: number;
  /** Days; 0 for ever. */
  readonly maxAge: number;
  /** 0 for all. */
  readonly maxBackups: number;
  readonly compress: boolean;
}

const MEGABYTE = 1024 * 1024;
const DAY_MS = 86_400_000;
const LOOK_MS = 1000;
/** Whoever writes has opened the new file by then, and the old one changes no more. */
const SETTLED_MS = 10_000;

/**
 * Makes a file way for a new one when it is large or old: `access.log` to `access-<time>.log`. One of it looks after
 * a file that all threads write to, and `reopen` tells them.
 */
export class Rotation {
  readonly #options: RotationOptions;
  readonly #reopen: () => void;
  readonly #onError: (error: Error) => void;
  readonly #timer: NodeJS.Timeout;
  #backupsLookedAtMs = 0;
  #bornMs = Date.now();
  #packing: Promise<void> | undefined = undefined;

  /** Undefined when there is nothing to look after. */
  static of(
    options: RotationOptions,
    reopen: () => void,
    onError: (error: Error) => void,
  ): Rotation | undefined {
    const { filePath, maxSize, rotateEvery } = options;
    if (filePath === "" || (maxSize === 0 && rotateEvery === 0)) return undefined;
    return new Rotation(options, reopen, onError);
  }

  private constructor(options: RotationOptions, reopen: () => void, onError: (error: Error) => void) {
    this.#options = options;
    this.#reopen = reopen;
    this.#onError = onError;
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Every second. */
  look(nowMs = Date.now()): void {
    try {
      if (this.#isDue(nowMs)) this.#rotate(nowMs);
      if (nowMs - this.#backupsLookedAtMs >= SETTLED_MS) this.#lookAtBackups(nowMs);
    } catch (error) {
      this.#onError(error as Error);
    }
  }

  #isDue(nowMs: number): boolean {
    const { filePath, maxSize, rotateEvery } = this.#options;
    const stat = statSync(filePath, { throwIfNoEntry: false });
    // What is no file, such as /dev/stdout, stays where it is.
    if (stat?.isFile() !== true || stat.size === 0) return false;
    if (maxSize > 0 && stat.size >= maxSize * MEGABYTE) return true;
    // At full hours or days, so that one knows which file an event is in.
    // A file system that does not know when a file was made says 0.
    const bornMs = stat.birthtimeMs > 0 ? stat.birthtimeMs : this.#bornMs;
    return rotateEvery > 0 && Math.floor(nowMs / rotateEvery) > Math.floor(bornMs / rotateEvery);
  }

  #rotate(nowMs: number): void {
    const { filePath } = this.#options;
    renameSync(filePath, backupName(filePath, new Date(nowMs)));
    this.#bornMs = nowMs;
    this.#backupsLookedAtMs = 0;
    this.#reopen();
  }

  #lookAtBackups(nowMs: number): void {
    const { filePath, maxAge, maxBackups, compress } = this.#options;
    this.#backupsLookedAtMs = nowMs;
    const backups = listBackups(filePath);
    for (const [i, { path, atMs }] of backups.entries()) {
      const isTooMany = maxBackups > 0 && i >= maxBackups;
      const isTooOld = maxAge > 0 && atMs < nowMs - maxAge * DAY_MS;
      if (isTooMany || isTooOld) rmSync(path, { force: true });
      else if (compress && !path.endsWith(".gz") && atMs <= nowMs - SETTLED_MS) this.#pack(path);
    }
  }

  // One after another: a processor has better things to do.
  #pack(path: string): void {
    this.#packing ??= gzip(path)
      .catch(this.#onError)
      .finally(() => {
        this.#packing = undefined;
        // There may be another.
        this.#backupsLookedAtMs = 0;
      });
  }
}

function backupName(path: string, at: Date): string {
  const end = extname(path);
  const stem = join(dirname(path), `${basename(path, end)}-${at.toISOString().replaceAll(":", "-")}`);
  const isTaken = (name: string) => statSync(name, { throwIfNoEntry: false }) !== undefined;
  let name = stem + end;
  for (let n = 1; isTaken(name) || isTaken(`${name}.gz`); n++) name = `${stem}.${n}${end}`;
  return name;
}

interface Backup {
  readonly path: string;
  readonly atMs: number;
}

/** Newest first. */
function listBackups(path: string): Backup[] {
  const end = extname(path);
  const start = `${basename(path, end)}-`;
  const stamp = /^(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2}\.\d{3}Z)/;
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(start) && !name.endsWith(".part"))
    .flatMap((name) => {
      const [, date, hour, minute, second] = stamp.exec(name.slice(start.length)) ?? [];
      if (date === undefined) return [];
      return [{ path: join(dirname(path), name), atMs: Date.parse(`${date}T${hour}:${minute}:${second}`) }];
    })
    .sort((a, b) => b.atMs - a.atMs || (a.path < b.path ? 1 : -1));
}

// Under a name of its own until it is whole, so that a crash leaves no half of a file that looks like one.
async function gzip(path: string): Promise<void> {
  const part = `${path}.part`;
  await pipeline(createReadStream(path), createGzip(), createWriteStream(part, { mode: 0o640 }));
  renameSync(part, `${path}.gz`);
  rmSync(path, { force: true });
}

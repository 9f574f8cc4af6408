import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

const BEAT_MS = 60_000;
const GONE_MS = 150_000;

/** A file for each process that watches a shared directory, written anew every minute. */
export class Presence {
  readonly #folder: string;
  readonly #name = `${randomBytes(8).toString("hex")}`;
  #timer: NodeJS.Timeout | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  announce(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => void this.#beat(), BEAT_MS);
    this.#timer.unref();
    void this.#beat();
  }

  // A disk that fails only means that the others do not wait for us.
  async #beat(): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await writeFile(join(this.#folder, this.#name), "", { mode: 0o600 });
      if (this.#timer === undefined) await this.end();
    } catch {}
  }

  /** How many others there are. Times are compared with our own file's: both are the file server's. */
  async others(): Promise<number> {
    try {
      const files = await Promise.all((await readdir(this.#folder)).map((name) => this.#timeOf(name)));
      const own = files.find(({ name }) => name === this.#name)?.atMs;
      if (own === undefined) return 0;
      const old = files.filter(({ atMs }) => atMs < own - GONE_MS);
      await Promise.all(old.map(({ name }) => rm(join(this.#folder, name), { force: true })));
      return files.length - old.length - 1;
    } catch {
      return 0;
    }
  }

  async #timeOf(name: string): Promise<{ name: string; atMs: number }> {
    const { mtimeMs } = await stat(join(this.#folder, name));
    return { name, atMs: mtimeMs };
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await rm(join(this.#folder, this.#name), { force: true }).catch(() => {});
  }
}

import { randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rename, rm, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Lock } from "./vault.ts";

const BEAT_MS = 5000;
/** Two heartbeats missed. */
const STALE_MS = 10_000;

/** This process and no other, even when a restarted container gives the next one the same host name and pid. */
const LIFE = randomBytes(8).toString("hex");

interface Holder {
  readonly host: string;
  readonly pid: number;
  readonly life: string;
  readonly token: string;
}

/** The file as it was once seen: who holds it, and his last heartbeat. */
interface Sighting {
  readonly content: string;
  readonly beatMs: number;
  readonly atMs: number;
}

/**
 * Locks that processes sharing a directory respect. A holder shows that it lives by touching the file, and
 * whoever sees its time stand still for ten seconds of his own clock may take over: clocks are never compared.
 */
export class FileLocks {
  readonly #folder: string;
  readonly #seen = new Map<string, Sighting>();
  readonly #held = new Set<FileLock>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async tryLock(name: string): Promise<Lock | undefined> {
    const file = join(this.#folder, `${name}.lock`);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const sighting = await look(file);
    if (sighting !== undefined && !(await this.#clearIfStale(file, sighting))) return undefined;
    const lock = new FileLock(file, () => this.#held.delete(lock));
    if (!(await lock.take())) return undefined;
    this.#held.add(lock);
    this.#seen.delete(file);
    return lock;
  }

  /** Whether the lock was abandoned and is gone now. */
  async #clearIfStale(file: string, sighting: Sighting): Promise<boolean> {
    const { content, beatMs, atMs } = sighting;
    const seen = this.#seen.get(file);
    const isSame = seen?.content === content && seen.beatMs === beatMs;
    if (!isSame) this.#seen.set(file, sighting);
    const stoodStill = isSame && atMs - seen.atMs >= STALE_MS;
    if (!stoodStill && !isDead(content)) return false;
    this.#seen.delete(file);
    // Renaming picks one winner among those who clear it; the content shows whether it was still the dead one.
    const grave = `${file}.${randomBytes(6).toString("hex")}.tmp`;
    try {
      await rename(file, grave);
      const found = await readFile(grave, "utf8");
      if (found !== content) {
        await link(grave, file).catch(() => {});
        return false;
      }
      return true;
    } catch {
      return false;
    } finally {
      await rm(grave, { force: true });
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#held].map((lock) => lock.release()));
  }
}

// Opened anew each time: that is when a network file system asks its server.
async function look(file: string): Promise<Sighting | undefined> {
  try {
    const handle = await open(file);
    try {
      const { mtimeMs } = await handle.stat();
      return { content: await handle.readFile("utf8"), beatMs: mtimeMs, atMs: performance.now() };
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  }
}

/** Known to be dead without waiting: a process of this machine that is gone, or of our own container before. */
function isDead(content: string): boolean {
  let holder: Partial<Holder>;
  try {
    holder = JSON.parse(content) as Partial<Holder>;
  } catch {
    return false;
  }
  if (holder.host !== hostname() || typeof holder.pid !== "number") return false;
  if (holder.pid === process.pid) return holder.life !== LIFE;
  try {
    process.kill(holder.pid, 0);
    return false;
  } catch (error) {
    return (error as { code?: string }).code === "ESRCH";
  }
}

class FileLock implements Lock {
  readonly #file: string;
  readonly #released: () => void;
  readonly #holder: Holder;
  #timer: NodeJS.Timeout | undefined;

  constructor(file: string, released: () => void) {
    this.#file = file;
    this.#released = released;
    this.#holder = { host: hostname(), pid: process.pid, life: LIFE, token: randomBytes(8).toString("hex") };
  }

  async take(): Promise<boolean> {
    if (!(await this.#place())) return false;
    this.#timer = setInterval(() => void this.#beat(), BEAT_MS);
    this.#timer.unref();
    return true;
  }

  // Written aside and linked into place, so that the lock is never seen half written.
  async #place(): Promise<boolean> {
    const draft = `${this.#file}.${this.#holder.token}.tmp`;
    try {
      await writeFile(draft, JSON.stringify(this.#holder), { mode: 0o600 });
      await link(draft, this.#file);
      return true;
    } catch (error) {
      if ((error as { code?: string }).code === "EEXIST") return false;
      throw error;
    } finally {
      await rm(draft, { force: true });
    }
  }

  async #beat(): Promise<void> {
    try {
      if (!(await this.held())) return clearInterval(this.#timer);
      await utimes(this.#file, new Date(), new Date());
    } catch {
      // A disk that fails: the others will take over, and `held` tells us so before anything is saved.
    }
  }

  async held(): Promise<boolean> {
    const content = await readFile(this.#file, "utf8").catch(() => "");
    return content.includes(this.#holder.token);
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    if (await this.held()) await rm(this.#file, { force: true });
    this.#released();
  }
}

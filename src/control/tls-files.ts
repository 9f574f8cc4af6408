import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type FSWatcher, watch } from "chokidar";
import { readBoundedFile } from "../lib/bounded-file.ts";
import type { Logger } from "../model/host.ts";

// Chain and key are two files, written one after the other.
const QUIET_MS = 150;
const LOOK_AGAIN_MS = 60_000;

/**
 * Reads the files that the configuration names (certificates, keys, authorities), and tells when one of those in use
 * has changed. Watching is only a hint: what changed is found by reading, at the latest a minute later.
 */
export class TlsFiles {
  readonly #log: Logger;
  readonly #changed: () => void;
  /** Digests by path, as of the configuration in force. */
  #used = new Map<string, string>();
  #reading = new Map<string, string>();
  readonly #watched = new Set<string>();
  #watcher: FSWatcher | undefined;
  #quiet: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;

  constructor(log: Logger, changed: () => void) {
    this.#log = log;
    this.#changed = changed;
  }

  /** Throws as `readBoundedFile` does: a label may have named the file. */
  readonly read = (path: string): string => {
    this.#reading.set(path, "");
    const text = readBoundedFile(path);
    this.#reading.set(path, digest(text));
    return text;
  };

  /** A configuration is complete: what was read for it is what is in use. */
  settle(): void {
    this.#used = this.#reading;
    this.#reading = new Map();
    if (this.#used.size === 0 && this.#watcher === undefined) return;
    this.#watchAll();
    this.#again ??= setInterval(() => this.#look(), LOOK_AGAIN_MS).unref();
  }

  close(): void {
    clearInterval(this.#again);
    clearTimeout(this.#quiet);
    void this.#watcher?.close();
  }

  /** Directories rather than files: a file that is replaced by renaming is another file. */
  #watchAll(): void {
    this.#watcher ??= watch([], { ignoreInitial: true, depth: 0 })
      .on("all", () => this.#lookSoon())
      .on("error", (error) =>
        this.#log.warn(
          { err: error },
          "certificate files are not watched well; they are read again every minute",
        ),
      );
    const wanted = new Set([...this.#used.keys()].flatMap(homesOf));
    for (const path of wanted) if (!this.#watched.has(path)) this.#watcher.add(path);
    for (const path of this.#watched) if (!wanted.has(path)) this.#watcher.unwatch(path);
    this.#watched.clear();
    for (const path of wanted) this.#watched.add(path);
  }

  #lookSoon(): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#look(), QUIET_MS);
  }

  #look(): void {
    for (const [path, seen] of this.#used) {
      if (digestOf(path) === seen) continue;
      this.#changed();
      return;
    }
  }
}

const digest = (text: string) => createHash("sha256").update(text).digest("base64");

function digestOf(path: string): string {
  try {
    return digest(readBoundedFile(path));
  } catch {
    return "";
  }
}

/** Where the name is, and where the file is that it stands for: mounted secrets are links that are swapped. */
function homesOf(path: string): string[] {
  const named = dirname(resolve(path));
  try {
    return [named, dirname(realpathSync(path))];
  } catch {
    return [named];
  }
}

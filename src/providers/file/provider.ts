import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type FSWatcher, watch } from "chokidar";
import type { Declaration } from "../../model/declared.ts";
import type { Logger } from "../../model/host.ts";
import type { FileOptions } from "../../model/provider-settings.ts";
import { DEPTH_MAX, isPassing, type Scan, scanFiles } from "./files.ts";
import { FileStore, type StoreHost } from "./store.ts";

export interface FileHost extends Omit<StoreHost, "rendered"> {
  readonly log: Logger;
  readonly publish: (declaration: Declaration) => void;
}

// Editors and deployments write in several steps; the last of them is what counts.
const QUIET_MS = 150;
const RESCAN_MS = 60_000;

/** Follows a file or a directory of dynamic configuration. */
export class FileProvider {
  readonly #options: FileOptions;
  readonly #host: FileHost;
  readonly #store: FileStore;
  readonly #watched = new Set<string>();
  #watcher: FSWatcher | undefined;
  #rescan: NodeJS.Timeout | undefined;
  #quiet: NodeJS.Timeout | undefined;
  #lastSeen = "";

  constructor(options: FileOptions, host: FileHost) {
    this.#options = options;
    this.#host = host;
    const { log } = host;
    this.#store = new FileStore({
      ...host,
      ...(options.debugLogGeneratedTemplate && {
        rendered: (file, text) => log.debug({ file, text }, "a template made this of a file"),
      }),
    });
  }

  /** Publishes what is there now before it returns, and every change from then on; resolves when it is watching. */
  async start(): Promise<void> {
    this.reload();
    if (!this.#options.watch) return;
    const depth = this.#options.directory === "" ? 0 : DEPTH_MAX;
    // Only a hint: what changed is found by reading, so one watcher that missed something does no harm for long.
    this.#watcher = watch([], { ignoreInitial: true, ignored: isPassingFile, depth })
      .on("all", () => this.#reloadSoon())
      .on("error", (error) => {
        this.#host.log.warn({ err: error }, "files are not watched well; they are looked at every minute");
      });
    this.#rescan = setInterval(() => this.#reloadIfChanged(), RESCAN_MS);
    this.#rescan.unref();
    this.#watchAll();
    await new Promise<void>((resolve) => this.#watcher!.once("ready", resolve));
    this.#reloadIfChanged();
  }

  /** Reads everything again and publishes it: SIGHUP. */
  reload(): void {
    const scan = scanFiles(this.#options);
    this.#lastSeen = digest(scan);
    this.#host.publish(this.#store.apply(scan));
  }

  async close(): Promise<void> {
    clearInterval(this.#rescan);
    clearTimeout(this.#quiet);
    await this.#watcher?.close();
  }

  #reloadSoon(): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#reloadIfChanged(), QUIET_MS);
  }

  #reloadIfChanged(): void {
    const scan: Scan = scanFiles(this.#options);
    const seen = digest(scan);
    if (this.#watcher?.closed) return;
    this.#watchAll();
    if (seen === this.#lastSeen) return;
    this.#lastSeen = seen;
    this.#host.publish(this.#store.apply(scan));
  }

  /** Directories rather than files: a file that is replaced by renaming is another file. */
  #watchAll(): void {
    const { directory, filename } = this.#options;
    const wanted = new Set(directory === "" ? homesOf(filename) : [resolve(directory)]);
    for (const path of wanted) if (!this.#watched.has(path)) this.#watcher?.add(path);
    for (const path of this.#watched) if (!wanted.has(path)) this.#watcher?.unwatch(path);
    this.#watched.clear();
    for (const path of wanted) this.#watched.add(path);
  }
}

const digest = (scan: Scan) => createHash("sha256").update(JSON.stringify(scan)).digest("base64");

// `..data`, which a mounted secret swaps, is hidden and yet what matters.
const isPassingFile = (path: string) => isPassing(path) && !/(?:^|\/)\.\.data$/.test(path);

/** Where the name is, and where the file is that the name stands for. */
function homesOf(filename: string): string[] {
  const named = dirname(resolve(filename));
  try {
    return [named, dirname(realpathSync(filename))];
  } catch {
    return [named];
  }
}

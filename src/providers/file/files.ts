import { readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { FileOptions } from "../../model/provider-settings.ts";

/** One file as it was found. */
export interface FoundFile {
  readonly path: string;
  /** Undefined: it is there, but cannot be read, or no longer there. */
  readonly text: string | undefined;
  readonly fault: string;
}

/** All files, by name; or why the place where they should be cannot be looked at. */
export type Scan =
  | { readonly files: readonly FoundFile[] }
  | { readonly path: string; readonly fault: string };

const BYTES_MAX = 4 * 1024 * 1024;
const FILES_MAX = 2000;
export const DEPTH_MAX = 16;

/** Reads the file, or every file of the directory and those below it, in the order of their names. */
export function scanFiles({ directory, filename }: Pick<FileOptions, "directory" | "filename">): Scan {
  if (directory === "") return { files: [readOne(filename)] };
  try {
    const paths: string[] = [];
    collect(directory, paths, new Set(), 0);
    return { files: paths.sort().map(readOne) };
  } catch (error) {
    const reason = reasonOf(error);
    return { path: directory, fault: `the directory of providers.file ${reason}` };
  }
}

function collect(directory: string, paths: string[], seen: Set<string>, depth: number): void {
  const real = realpathSync(directory);
  // A link may lead back up.
  if (seen.has(real) || depth > DEPTH_MAX) return;
  seen.add(real);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (isPassing(entry.name)) continue;
    const isDirectory = entry.isSymbolicLink() ? pointsToDirectory(path) : entry.isDirectory();
    if (isDirectory) collect(path, paths, seen, depth + 1);
    else if (/\.(?:ya?ml|toml|json)$/i.test(entry.name)) paths.push(path);
    if (paths.length > FILES_MAX) throw new Error(`holds more than ${FILES_MAX} files`);
  }
}

/** Hidden files, and what editors leave for a moment: `.app.yml.swp`, `#app.yml#`, `app.yml~`, vim's `4913`. */
export function isPassing(path: string): boolean {
  return /^(?:\.|#|4913$)|(?:~|\.sw[a-p]|\.tmp|\.bak|___jb_\w+___)$/.test(basename(path));
}

const pointsToDirectory = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

function readOne(path: string): FoundFile {
  try {
    const { size } = statSync(path);
    if (size > BYTES_MAX) return { path, text: undefined, fault: "is larger than 4 MiB" };
    return { path, text: readFileSync(path, "utf8"), fault: "" };
  } catch (error) {
    return { path, text: undefined, fault: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "does not exist";
  if (code === "EACCES") return "may not be read by the user that Waybill runs as";
  if (code === "EISDIR") return "is a directory; use providers.file.directory";
  return code === undefined ? message : `cannot be read (${code})`;
}

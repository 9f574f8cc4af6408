import { realpathSync } from "node:fs";
import { resolve, sep } from "node:path";
import { readBoundedFile } from "./bounded-file.ts";

/** What stands there is no file of anybody's, but the environment, the memory and the devices of processes. */
const SYSTEM = ["/proc", "/sys", "/dev"];

/**
 * Reads files that whoever configures may name, by where links lead in the end: none of the system's, none in the
 * folders that are the proxy's own, no pipe, nothing without an end. Throws with a reason that shows nothing of them.
 */
export function foreignFileReader(own: readonly string[]): (path: string) => string {
  return (path) => {
    const real = realpathSync(path);
    const folder = [...SYSTEM, ...own.map(realOf)].find(
      (closed) => real === closed || real.startsWith(`${closed}${sep}`),
    );
    if (folder === undefined) return readBoundedFile(real);
    throw Object.assign(
      new Error(`${path} is in ${folder}, which holds nothing for a configuration to read`),
      {
        code: "EACCES",
      },
    );
  };
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

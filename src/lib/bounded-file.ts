import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";

const BYTES_MAX = 4 * 1024 * 1024;

/**
 * Reads a file that somebody else may have named, as UTF-8. Throws for what is no plain file, or has no end: reading
 * a pipe would stop the thread, and `/dev/zero` fill its memory.
 */
export function readBoundedFile(path: string): string {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { size } = check(path, fstatSync(file));
    // Some files, those of /proc among them, have more in them than they say.
    let bytes = Buffer.allocUnsafe(Math.max(size + 1, 4096));
    for (let length = 0; ; ) {
      const read = readSync(file, bytes, length, bytes.length - length, null);
      if (read === 0) return bytes.toString("utf8", 0, length);
      length += read;
      if (length > BYTES_MAX) throw tooLarge(path);
      if (length === bytes.length) bytes = Buffer.concat([bytes, Buffer.allocUnsafe(length)]);
    }
  } finally {
    closeSync(file);
  }
}

function check(path: string, stats: Stats): Stats {
  if (!stats.isFile()) throw Object.assign(new Error(`${path} is no plain file`), { code: "ENOTFILE" });
  if (stats.size > BYTES_MAX) throw tooLarge(path);
  return stats;
}

function tooLarge(path: string): Error {
  return Object.assign(new Error(`${path} has more than ${BYTES_MAX} bytes`), { code: "EFBIG" });
}

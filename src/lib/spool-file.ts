import { randomUUID } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Bytes kept on disk because they are too many for memory. The file has no name from the moment it is open, so that
 * nobody else can read it and nothing is left behind by a crash.
 */
export class SpoolFile {
  // Node ends the thread when a file handle is collected that was not closed. Nothing should come to that.
  static readonly #forgotten = new FinalizationRegistry((handle: FileHandle) => {
    handle.close().catch(() => {});
  });
  readonly #handle: FileHandle;
  #size = 0;
  #isClosed = false;

  static async open(): Promise<SpoolFile> {
    const path = join(tmpdir(), `waybill-${randomUUID()}`);
    const handle = await open(path, "wx+", 0o600);
    await unlink(path);
    return new SpoolFile(handle);
  }

  constructor(handle: FileHandle) {
    this.#handle = handle;
    SpoolFile.#forgotten.register(this, handle, this);
  }

  get size(): number {
    return this.#size;
  }

  async write(chunk: Buffer): Promise<void> {
    for (let written = 0; written < chunk.length; ) {
      const { bytesWritten } = await this.#handle.write(chunk, written, chunk.length - written, this.#size);
      written += bytesWritten;
      this.#size += bytesWritten;
    }
  }

  /** At most `length` bytes from `position`; fewer at the end. */
  async read(position: number, length: number): Promise<Buffer> {
    const { buffer, bytesRead } = await this.#handle.read(Buffer.allocUnsafe(length), 0, length, position);
    return buffer.subarray(0, bytesRead);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    SpoolFile.#forgotten.unregister(this);
    this.#handle.close().catch(() => {});
  }
}

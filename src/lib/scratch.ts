import type { Socket } from "node:net";

const SIZE = 64 * 1024;
/** Chunks up to this size are copied behind their head, which is cheaper than a second buffer for the system call. */
export const COPY_MAX = 16 * 1024;

/**
 * One buffer a thread in which small writes are put together, so that a head and its body leave in one system call
 * and without a buffer made for each. It is only ever filled and written within one turn of the caller.
 */
export class Scratch {
  #bytes: Buffer;
  #length: number;

  constructor() {
    this.#bytes = Buffer.allocUnsafeSlow(SIZE);
    this.#length = 0;
  }

  get length(): number {
    return this.#length;
  }

  text(text: string): void {
    this.#length += this.#bytes.write(text, this.#length, "latin1");
  }

  chunk(chunk: Buffer): void {
    chunk.copy(this.#bytes, this.#length);
    this.#length += chunk.length;
  }

  write(socket: Socket): void {
    socket.write(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    // Bytes the kernel has not taken yet still lie in the buffer.
    if (socket.writableLength !== 0) this.#bytes = Buffer.allocUnsafeSlow(SIZE);
  }
}

/** Bytes that may wait in a TLS socket, which never takes them at once. */
export const WAITING_MAX = 128 * 1024;

/**
 * Writes head, chunk and tail to a TLS socket as one. They are copied, because they leave later. False: as much waits
 * as may; `drained` is then called when it has left.
 */
export function writeCopied(
  socket: Socket,
  head: string,
  chunk: Buffer,
  tail: string,
  drained: () => void,
): boolean {
  const bytes = Buffer.allocUnsafe(head.length + chunk.length + tail.length);
  bytes.write(head, 0, "latin1");
  chunk.copy(bytes, head.length);
  bytes.write(tail, head.length + chunk.length, "latin1");
  if (socket.writableLength + bytes.length <= WAITING_MAX) {
    socket.write(bytes);
    return true;
  }
  socket.write(bytes, drained);
  return false;
}

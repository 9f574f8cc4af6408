import type { Readable } from "node:stream";

/**
 * Makes a paused stream of `node:http2` take one more chunk and no further ones. No option sets its high-water mark, and
 * up to that, 64 KiB, Node tells the peer to go on sending, however small the window was made.
 */
export function limitReadAhead(stream: Readable): void {
  const state = (stream as unknown as { _readableState?: { highWaterMark: number } })._readableState;
  if (state !== undefined) state.highWaterMark = 1;
}

/**
 * The chunk in a form that may be kept: it may be a small part of what was read at once, and keep all of that alive.
 */
export function keepable(chunk: Buffer): Buffer {
  return chunk.length * 2 > chunk.buffer.byteLength ? chunk : Buffer.from(chunk);
}

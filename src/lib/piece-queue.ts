import { keepable } from "./read-ahead.ts";

/** Below this size a piece is copied: a buffer of its own would cost more than what is in it. */
const SMALL = 4096;
const BLOCK_FIRST = 256;
const BLOCK_MAX = 16 * 1024;

/** Bytes that wait, in few buffers however many pieces they came in. */
export class PieceQueue {
  /** How many wait. */
  bytes: number;
  readonly #pieces: Buffer[];
  /** The last one, while it has room for more small pieces. */
  #block: Buffer | undefined;
  #blockBytes: number;

  constructor() {
    this.bytes = 0;
    this.#pieces = [];
    this.#block = undefined;
    this.#blockBytes = 0;
  }

  push(piece: Buffer): void {
    this.bytes += piece.length;
    if (piece.length >= SMALL) {
      this.#closeBlock();
      this.#pieces.push(keepable(piece));
      return;
    }
    const block = this.#roomFor(piece.length);
    this.#blockBytes += piece.copy(block, this.#blockBytes);
  }

  #roomFor(bytes: number): Buffer {
    const need = this.#blockBytes + bytes;
    if (need > BLOCK_MAX) this.#closeBlock();
    else if (this.#block !== undefined && need <= this.#block.length) return this.#block;
    const old = this.#block;
    const block = Buffer.allocUnsafe(
      Math.min(BLOCK_MAX, Math.max(BLOCK_FIRST, 2 * (this.#blockBytes + bytes))),
    );
    old?.copy(block, 0, 0, this.#blockBytes);
    this.#block = block;
    return block;
  }

  #closeBlock(): void {
    const block = this.#block;
    if (block === undefined) return;
    this.#pieces.push(block.subarray(0, this.#blockBytes));
    this.#block = undefined;
    this.#blockBytes = 0;
  }

  /** The bytes that came first; undefined when there are none. */
  shift(): Buffer | undefined {
    if (this.#pieces.length === 0) this.#closeBlock();
    const piece = this.#pieces.shift();
    if (piece !== undefined) this.bytes -= piece.length;
    return piece;
  }
}

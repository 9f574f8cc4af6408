const CR = 0x0d;
const LF = 0x0a;
const END = Buffer.from("\r\n\r\n");

/**
 * Collects the bytes of one head, whatever pieces they come in, and says when it is complete. Each byte is looked at
 * a bounded number of times, so a head sent one byte a packet costs no more than its length.
 */
export class HeadBuffer {
  #bytes: Buffer | undefined;
  #length: number;
  #checked: number;

  constructor() {
    this.#bytes = undefined;
    this.#length = 0;
    this.#checked = 0;
  }

  get length(): number {
    return this.#length;
  }

  /** All that was kept so far. */
  bytes(): Buffer {
    return this.#bytes === undefined ? EMPTY : this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#bytes = undefined;
    this.#length = 0;
    this.#checked = 0;
  }

  /** Keeps a copy of bytes that hold no whole head yet. */
  add(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (this.#bytes === undefined || this.#bytes.length < length) {
      const larger = Buffer.allocUnsafe(Math.max(512, length * 2));
      this.#bytes?.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    chunk.copy(this.#bytes, this.#length);
    this.#length = length;
  }

  /** Offset just after the empty line that ends the head, or -1. */
  end(from: number): number {
    const bytes = this.bytes();
    const at = bytes.indexOf(END, Math.max(0, from - 3));
    return at < 0 ? -1 : at + 4;
  }

  /** Whether a CR or LF came without the other. Bytes are checked once; a CR at the very end is given time. */
  hasBareLineEnd(): boolean {
    const bytes = this.bytes();
    const bare = bareLineEnd(bytes, this.#checked, bytes.length);
    this.#checked = Math.max(0, bytes.length - 1);
    return bare >= 0;
  }
}

const EMPTY = Buffer.alloc(0);

/** Offset of the first CR or LF that stands alone, or -1. A CR as the last byte may still be followed by its LF. */
export function bareLineEnd(bytes: Buffer, from: number, end: number): number {
  for (let i = from; i < end; i++) {
    const byte = bytes[i];
    if (byte === LF && (i === 0 || bytes[i - 1] !== CR)) return i;
    if (byte === CR && i + 1 < end && bytes[i + 1] !== LF) return i;
  }
  return -1;
}

/** Offset just after the head in `bytes`, or -1. */
export function headEnd(bytes: Buffer, from: number): number {
  const at = bytes.indexOf(END, from);
  return at < 0 ? -1 : at + 4;
}

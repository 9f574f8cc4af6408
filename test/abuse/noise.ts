/** Noise with a seed, so that what it finds can be found again. */
export class Noise {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  /** 0 to 2^32 - 1 (xorshift32). */
  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return this.#state;
  }

  below(limit: number): number {
    return this.next() % limit;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count);
    for (let i = 0; i < count; i++) bytes[i] = this.next() >>> 8;
    return bytes;
  }

  /** Good bytes with a few of them changed, cut out, doubled or put in. */
  mangle(good: Buffer, bits: readonly (string | Buffer)[]): Buffer {
    let bytes = good;
    for (let left = this.below(4); left > 0; left--) {
      const at = this.below(bytes.length + 1);
      const head = bytes.subarray(0, at);
      const tail = bytes.subarray(at);
      switch (this.below(6)) {
        case 0:
          bytes = Buffer.concat([head, this.bytes(1 + this.below(3)), tail]);
          break;
        case 1:
          bytes = Buffer.concat([head, tail.subarray(this.below(8))]);
          break;
        case 2:
          bytes = Buffer.concat([head, tail.subarray(0, this.below(60)), tail]);
          break;
        case 3:
          bytes = Buffer.from(bytes);
          if (at < bytes.length) bytes[at]! ^= 1 << this.below(8);
          break;
        case 4:
          bytes = head;
          break;
        default:
          bytes = Buffer.concat([head, Buffer.from(this.pick(bits) as string, "latin1"), tail]);
      }
    }
    return bytes;
  }

  /** The same bytes in a few pieces. */
  cut(bytes: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = this.below(3) === 0 ? bytes.length : at + 1 + this.below(bytes.length - at);
      pieces.push(bytes.subarray(at, end));
      at = end;
    }
    return pieces;
  }
}

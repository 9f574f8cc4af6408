import { randomFillSync } from "node:crypto";
import { hash32 } from "./hash.ts";

const HEADER_BYTES = 64;
const SLOT_BYTES = 16;
const WAYS = 8;
const SEED_NONE = 0;
const SEED_BEING_MADE = 1;
const SEED_READY = 2;
/** Words of the header. */
const SEED = 0;
const CLAIM_LOCK = 12;
/** Of a millisecond each, at most. */
const LOCK_TRIES = 50;

/**
 * A map from texts to 64-bit numbers in memory that several threads share, of a fixed size. A slot is a key of 64
 * bits, hashed with a seed that nobody outside knows, and a value that is changed by compare and swap; only a key that
 * is new needs a lock, or two threads would give it a slot each. Each key may live in one of eight slots; whose value
 * is at most `freeAtMost` may be taken by another key.
 */
export class SharedTable {
  readonly #words: Int32Array;
  /** Slots alone, the header left out: two halves of the key, two of the value. */
  readonly #halves: Uint32Array;
  readonly #longs: BigUint64Array;
  readonly #sets: number;
  readonly #seedA: number;
  readonly #seedB: number;

  /** `slots` must be a power of two. */
  static bytesFor(slots: number): number {
    return HEADER_BYTES + slots * SLOT_BYTES;
  }

  /** Takes the beginning of the memory. */
  constructor(memory: SharedArrayBuffer, slots: number) {
    this.#words = new Int32Array(memory, 0, HEADER_BYTES / 4);
    this.#halves = new Uint32Array(memory, HEADER_BYTES, slots * 4);
    this.#longs = new BigUint64Array(memory, HEADER_BYTES, slots * 2);
    this.#sets = slots / WAYS;
    this.#makeSeed();
    this.#seedA = this.#words[2]!;
    this.#seedB = this.#words[3]!;
  }

  /** 32 secret bytes, the same in all threads, for keyed hashes of the table's user. */
  get secret(): Buffer {
    return Buffer.from(new Uint8Array(this.#words.buffer, 16, 32).slice());
  }

  #makeSeed(): void {
    if (Atomics.compareExchange(this.#words, SEED, SEED_NONE, SEED_BEING_MADE) === SEED_NONE) {
      const seed = randomFillSync(new Uint8Array(40));
      new Uint8Array(this.#words.buffer, 8, 40).set(seed);
      Atomics.store(this.#words, SEED, SEED_READY);
      Atomics.notify(this.#words, SEED);
    }
    Atomics.wait(this.#words, SEED, SEED_BEING_MADE, 1000);
  }

  /** The slot of the key, or -1. `owner` tells apart the users of one table. */
  find(key: string, owner: number): number {
    const low = hash32(key, this.#seedA ^ owner) | 1;
    const high = hash32(key, this.#seedB ^ owner);
    const first = this.#firstSlot(high);
    for (let way = 0; way < WAYS; way++) {
      const at = (first + way) * 4;
      if (this.#halves[at] === low >>> 0 && this.#halves[at + 1] === high) return first + way;
    }
    return -1;
  }

  /** The slot of the key, taken from another key if need be; -1 if none of its slots is free. */
  claim(key: string, owner: number, freeAtMost: bigint, evict: boolean): number {
    const found = this.find(key, owner);
    if (found >= 0) return found;
    this.#lockClaims();
    // Another thread may have claimed it since we looked.
    const again = this.find(key, owner);
    const slot = again >= 0 ? again : this.#take(key, owner, freeAtMost, evict);
    this.#unlockClaims();
    return slot;
  }

  #take(key: string, owner: number, freeAtMost: bigint, evict: boolean): number {
    const low = BigInt((hash32(key, this.#seedA ^ owner) | 1) >>> 0);
    const high = hash32(key, this.#seedB ^ owner);
    const first = this.#firstSlot(high);
    for (;;) {
      const least = this.#emptiest(first);
      const value = this.load(least);
      if (value > freeAtMost && !evict) return -1;
      // Before the key is there: what another key had used up must not count for this one.
      if (!this.swap(least, value, freeAtMost)) continue;
      Atomics.store(this.#longs, least * 2, (BigInt(high) << 32n) | low);
      return least;
    }
  }

  // A thread that died over a claim keeps nobody for longer than this; who comes after it unlocks.
  #lockClaims(): void {
    for (let tries = 0; tries < LOCK_TRIES; tries++) {
      if (Atomics.compareExchange(this.#words, CLAIM_LOCK, 0, 1) === 0) return;
      Atomics.wait(this.#words, CLAIM_LOCK, 1, 1);
    }
  }

  #unlockClaims(): void {
    Atomics.store(this.#words, CLAIM_LOCK, 0);
    Atomics.notify(this.#words, CLAIM_LOCK, 1);
  }

  /** One that no key has had yet, else the one with the least value: an idle key may be in use the next moment. */
  #emptiest(first: number): number {
    let least = first;
    for (let slot = first; slot < first + WAYS; slot++) {
      // A key's lower half is never zero.
      if (this.#halves[slot * 4] === 0) return slot;
      if (this.load(slot) < this.load(least)) least = slot;
    }
    return least;
  }

  load(slot: number): bigint {
    return Atomics.load(this.#longs, slot * 2 + 1);
  }

  /** Whether the slot still held `expected` and now holds `next`. */
  swap(slot: number, expected: bigint, next: bigint): boolean {
    return Atomics.compareExchange(this.#longs, slot * 2 + 1, expected, next) === expected;
  }

  /** Adds and gives what the value was before. */
  add(slot: number, difference: bigint): bigint {
    return Atomics.add(this.#longs, slot * 2 + 1, difference);
  }

  #firstSlot(high: number): number {
    return (high & (this.#sets - 1)) * WAYS;
  }
}

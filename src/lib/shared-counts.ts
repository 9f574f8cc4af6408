import { SharedTable } from "./shared-table.ts";

const SLOTS = 1024;
const THREADS = 64;
const TABLE_BYTES = SharedTable.bytesFor(SLOTS);

/**
 * Counts of things under way by name, exact across threads. What each thread holds is written down as well, so that
 * the one that takes a dead thread's place can give back what that one held.
 */
export class SharedCounts {
  readonly #table: SharedTable;
  /** What this thread holds, by slot. */
  readonly #held: Int32Array;

  static readonly bytes = TABLE_BYTES + THREADS * 4 + THREADS * SLOTS * 4;

  constructor(memory: SharedArrayBuffer, thread: { readonly index: number; readonly generation: number }) {
    this.#table = new SharedTable(memory, SLOTS);
    const generations = new Int32Array(memory, TABLE_BYTES, THREADS);
    const index = thread.index % THREADS;
    this.#held = new Int32Array(memory, TABLE_BYTES + THREADS * 4 + index * SLOTS * 4, SLOTS);
    if (Atomics.exchange(generations, index, thread.generation) !== thread.generation) this.#giveBack();
  }

  /** A ticket to give back, -1 if `most` are out already, or -2 if there is no room for the name. */
  take(name: string, owner: number, most: bigint): number {
    const slot = this.#table.claim(name, owner, 0n, false);
    if (slot < 0) return -2;
    for (;;) {
      const out = this.#table.load(slot);
      if (out >= most) return -1;
      if (this.#table.swap(slot, out, out + 1n)) break;
    }
    this.#held[slot]!++;
    return slot;
  }

  give(ticket: number): void {
    this.#held[ticket]!--;
    this.#table.add(ticket, -1n);
  }

  #giveBack(): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      const held = this.#held[slot]!;
      if (held > 0) this.#table.add(slot, BigInt(-held));
      this.#held[slot] = 0;
    }
  }
}

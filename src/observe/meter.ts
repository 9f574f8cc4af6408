import { type Family, type MeterMessage, slotsOf } from "../model/metrics.ts";

const CHUNK_SLOTS = 4096;

/**
 * The numbers of one thread. Only this thread writes them, so adding is one plain addition to shared memory; the
 * control plane reads them without asking.
 */
export class Meter {
  readonly #announce: (message: MeterMessage) => void;
  readonly #blocks = new Map<number, { numbers: Float64Array; at: number; slots: number }>();
  readonly #free = new Map<number, { numbers: Float64Array; at: number }[]>();
  #numbers = new Float64Array(new SharedArrayBuffer(CHUNK_SLOTS * 8));
  #used = 0;
  #lastId = 0;

  constructor(announce: (message: MeterMessage) => void) {
    this.#announce = announce;
  }

  /** Slots for these families under one set of labels (flat list, name then value), zero at first. */
  block(families: readonly Family[], labels: readonly string[]): Block {
    const slots = families.reduce((total, family) => total + slotsOf(family), 0);
    const { numbers, at } = this.#take(slots);
    const id = ++this.#lastId;
    this.#blocks.set(id, { numbers, at, slots });
    this.#announce({ kind: "block", id, chunk: numbers.buffer as SharedArrayBuffer, at, families, labels });
    return new Block(id, numbers, at, families);
  }

  counter(name: string, help: string, labels: readonly string[] = []): Block {
    return this.block([{ name, help, type: "counter" }], labels);
  }

  gauge(name: string, help: string, labels: readonly string[] = []): Block {
    return this.block([{ name, help, type: "gauge" }], labels);
  }

  /** The block will not be written any more. Its last numbers are shown once more. */
  retire(block: Block): void {
    this.#announce({ kind: "retired", id: block.id });
  }

  /** The control plane has seen the last of these. */
  release(ids: readonly number[]): void {
    for (const id of ids) {
      const block = this.#blocks.get(id);
      if (block === undefined) continue;
      this.#blocks.delete(id);
      block.numbers.fill(0, block.at, block.at + block.slots);
      const free = this.#free.get(block.slots) ?? [];
      free.push(block);
      this.#free.set(block.slots, free);
    }
  }

  #take(slots: number): { numbers: Float64Array; at: number } {
    const again = this.#free.get(slots)?.pop();
    if (again !== undefined) return again;
    if (this.#used + slots > CHUNK_SLOTS) {
      this.#numbers = new Float64Array(new SharedArrayBuffer(Math.max(CHUNK_SLOTS, slots) * 8));
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += slots;
    return { numbers: this.#numbers, at };
  }
}

/** A run of numbers of one thread. Fields are fixed so that adding stays a few machine instructions. */
export class Block {
  readonly id: number;
  readonly #numbers: Float64Array;
  readonly #at: number;
  readonly #bounds: readonly number[];

  constructor(id: number, numbers: Float64Array, at: number, families: readonly Family[]) {
    this.id = id;
    this.#numbers = numbers;
    this.#at = at;
    this.#bounds = families.at(-1)?.bounds ?? [];
  }

  /** Adds to the first slot: for blocks of one counter or gauge. */
  add(n: number): void {
    this.#numbers[this.#at]! += n;
  }

  addAt(slot: number, n: number): void {
    this.#numbers[this.#at + slot]! += n;
  }

  set(n: number): void {
    this.#numbers[this.#at] = n;
  }

  /** Puts a value into the histogram that begins at `slot`; it is the block's last family. */
  observeAt(slot: number, value: number): void {
    const first = this.#at + slot;
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    this.#numbers[first]! += value;
    this.#numbers[first + 1 + bucket]! += 1;
  }
}

import { type Family, type MeterMessage, slotsOf } from "../model/metrics.ts";

interface ReadBlock {
  readonly numbers: Float64Array;
  readonly at: number;
  readonly families: readonly Family[];
  readonly labels: readonly string[];
}

interface Thread {
  readonly blocks: Map<number, ReadBlock>;
  readonly retired: Set<number>;
  readonly release: (ids: readonly number[]) => void;
}

/** One series, summed over all threads. */
export interface Series {
  readonly family: Family;
  /** Flat list, name then value. */
  readonly labels: readonly string[];
  /** One number, or sum and buckets of a histogram as in `MeterMessage`. */
  readonly values: number[];
}

/** Adds up the numbers of all threads. What a dead thread had counted stays counted. */
export class MeterReader {
  readonly #threads = new Map<number, Thread>();
  readonly #past = new Map<string, Series>();

  /** A thread begins. `release` tells it which retired blocks it may use again. */
  add(thread: number, release: (ids: readonly number[]) => void): void {
    this.#threads.set(thread, { blocks: new Map(), retired: new Set(), release });
  }

  receive(thread: number, message: MeterMessage): void {
    const state = this.#threads.get(thread);
    if (state === undefined) return;
    if (message.kind === "retired") {
      state.retired.add(message.id);
      return;
    }
    const { id, chunk, at, families, labels } = message;
    state.blocks.set(id, { numbers: new Float64Array(chunk), at, families, labels });
  }

  /** The thread is gone: counters keep what it had counted, gauges lose it. */
  remove(thread: number): void {
    for (const block of this.#threads.get(thread)?.blocks.values() ?? []) {
      addBlock(this.#past, block, (family) => family.type !== "gauge");
    }
    this.#threads.delete(thread);
  }

  /** Every series, summed. Retired ones are in it for the last time. */
  read(): Series[] {
    const sums = new Map<string, Series>();
    for (const [key, series] of this.#past) sums.set(key, { ...series, values: [...series.values] });
    for (const thread of this.#threads.values()) {
      for (const block of thread.blocks.values()) addBlock(sums, block, () => true);
      if (thread.retired.size === 0) continue;
      const ids = [...thread.retired];
      for (const id of ids) thread.blocks.delete(id);
      thread.retired.clear();
      thread.release(ids);
    }
    return [...sums.values()];
  }
}

function addBlock(sums: Map<string, Series>, block: ReadBlock, wanted: (family: Family) => boolean): void {
  let at = block.at;
  for (const family of block.families) {
    const slots = slotsOf(family);
    if (wanted(family)) {
      const key = `${family.name}\n${block.labels.join("\n")}`;
      let series = sums.get(key);
      if (series === undefined) {
        series = { family, labels: block.labels, values: new Array<number>(slots).fill(0) };
        sums.set(key, series);
      }
      for (let i = 0; i < slots; i++) series.values[i]! += block.numbers[at + i]!;
    }
    at += slots;
  }
}

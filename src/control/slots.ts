import { ServerCells } from "../model/server-cells.ts";

const FIRST_SLOTS = 1024;
const SLOTS_MAX = 1 << 20;
/** Requests may outlive their server; after this long a slot may have another. */
const REST_MS = 10 * 60_000;

/** Gives every server of every service its slot in the shared state, for as long as it is declared. */
export class Slots {
  readonly memory: SharedArrayBuffer;
  readonly cells: ServerCells;
  readonly #threads: number;
  readonly #nowMs: () => number;
  readonly #given = new Map<string, number>();
  readonly #wanted = new Set<string>();
  /** Given back, oldest first. */
  readonly #resting: { readonly slot: number; readonly sinceMs: number }[] = [];
  #next = 0;

  constructor(threads: number, nowMs: () => number) {
    this.#threads = threads;
    this.#nowMs = nowMs;
    // Only address space is taken for the slots that may come: memory follows as they do.
    const maxByteLength = ServerCells.bytesFor(SLOTS_MAX, threads);
    this.memory = new SharedArrayBuffer(ServerCells.bytesFor(FIRST_SLOTS, threads), { maxByteLength });
    this.cells = new ServerCells(this.memory, threads);
  }

  slotOf(service: string, serverId: string): number {
    const key = `${service} ${serverId}`;
    this.#wanted.add(key);
    let slot = this.#given.get(key);
    if (slot === undefined) {
      slot = this.#take();
      this.cells.clear(slot);
      this.#given.set(key, slot);
    }
    return slot;
  }

  /** Ends a round: what was not asked for since the last one is gone. */
  settle(): void {
    for (const [key, slot] of this.#given) {
      if (this.#wanted.has(key)) continue;
      this.#given.delete(key);
      this.#resting.push({ slot, sinceMs: this.#nowMs() });
    }
    this.#wanted.clear();
  }

  #take(): number {
    const [oldest] = this.#resting;
    if (oldest !== undefined && this.#nowMs() - oldest.sinceMs > REST_MS) {
      this.#resting.shift();
      return oldest.slot;
    }
    const slot = this.#next++;
    const bytes = ServerCells.bytesFor(slot + 1, this.#threads);
    if (bytes > this.memory.byteLength) this.memory.grow(Math.min(this.memory.maxByteLength, bytes * 2));
    return slot;
  }
}

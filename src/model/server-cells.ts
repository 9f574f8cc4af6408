/**
 * How every server does, in memory that all threads share: the control plane writes what active health checks say,
 * the data plane what it sees of replies and how many requests are under way. A server has one slot for as long as it
 * exists, whatever else the configuration does.
 */
export class ServerCells {
  readonly #memory: SharedArrayBuffer;
  #cells: Int32Array;
  readonly #stride: number;
  readonly #threads: number;

  constructor(memory: SharedArrayBuffer, threads: number) {
    this.#memory = memory;
    this.#cells = viewOf(memory);
    this.#stride = FIXED + threads;
    this.#threads = threads;
  }

  static bytesFor(slots: number, threads: number): number {
    return slots * (FIXED + threads) * 4;
  }

  /** Where the slot's cells begin. The memory may have grown for it. */
  #at(slot: number): number {
    const at = slot * this.#stride;
    if (at >= this.#cells.length) this.#cells = viewOf(this.#memory);
    return at;
  }

  /** Whether the active health check lets it take requests. */
  healthy(slot: number): boolean {
    const at = this.#at(slot);
    return this.#cells[at + DOWN] === 0;
  }

  setHealthy(slot: number, healthy: boolean): void {
    const at = this.#at(slot);
    Atomics.store(this.#cells, at + DOWN, healthy ? 0 : 1);
  }

  /** Whether it rests because its replies failed. Ticks are milliseconds of the clock that all threads share. */
  ejected(slot: number, tickMs: number): boolean {
    const at = this.#at(slot);
    const until = this.#cells[at + EJECTED_UNTIL]!;
    return until !== 0 && ((until - tickMs) | 0) > 0;
  }

  wasEjected(slot: number): boolean {
    const at = this.#at(slot);
    return this.#cells[at + EJECTED_UNTIL] !== 0;
  }

  eject(slot: number, untilTickMs: number): void {
    // Zero says "not ejected", so the one tick in four billion that is zero becomes the next.
    const at = this.#at(slot);
    Atomics.store(this.#cells, at + EJECTED_UNTIL, untilTickMs | 0 || 1);
  }

  /** The active check or a good reply has seen it well: it is no longer out, and its failures are forgotten. */
  forgive(slot: number): void {
    const at = this.#at(slot);
    if (this.#cells[at + FAILURES] !== 0) Atomics.store(this.#cells, at + FAILURES, 0);
    if (this.#cells[at + EJECTED_UNTIL] !== 0) Atomics.store(this.#cells, at + EJECTED_UNTIL, 0);
  }

  /** Counts a failed reply; returns how many there were within the window, this one included. */
  fail(slot: number, tickMs: number, windowMs: number): number {
    const at = this.#at(slot);
    const age = (tickMs - this.#cells[at + WINDOW_START]!) | 0;
    if (this.#cells[at + FAILURES] === 0 || age > windowMs || age < 0) {
      Atomics.store(this.#cells, at + WINDOW_START, tickMs | 0);
      Atomics.store(this.#cells, at + FAILURES, 1);
      return 1;
    }
    return Atomics.add(this.#cells, at + FAILURES, 1) + 1;
  }

  /** Requests under way from one thread. Only that thread writes it, so it needs no atomic operation. */
  inFlightOf(slot: number, thread: number): number {
    const at = this.#at(slot);
    return this.#cells[at + FIXED + thread]!;
  }

  // A request that outlived its server may end after the slot was given to another: never below zero.
  setInFlightOf(slot: number, thread: number, count: number): void {
    const at = this.#at(slot);
    this.#cells[at + FIXED + thread] = count < 0 ? 0 : count;
  }

  /** Requests under way, all threads together. */
  inFlight(slot: number): number {
    let sum = 0;
    for (let thread = 0; thread < this.#threads; thread++) sum += this.inFlightOf(slot, thread);
    return sum;
  }

  /** A new server has the slot. */
  clear(slot: number): void {
    const at = this.#at(slot);
    this.#cells.fill(0, at, at + this.#stride);
  }

  /** The thread is dead, and its requests with it. */
  clearThread(thread: number): void {
    const cells = viewOf(this.#memory);
    for (let at = FIXED + thread; at < cells.length; at += this.#stride) cells[at] = 0;
  }
}

// Of the length it has now: a view that followed its growth would ask for its length at every access.
function viewOf(memory: SharedArrayBuffer): Int32Array {
  return new Int32Array(memory, 0, memory.byteLength / 4);
}

const DOWN = 0;
const FAILURES = 1;
const WINDOW_START = 2;
const EJECTED_UNTIL = 3;
/** Cells before those of the threads. */
const FIXED = 4;

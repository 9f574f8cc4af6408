/**
 * How every server does, in memory that all threads share: the control plane writes what active health checks say,
 * the data plane what it sees of replies and how many requests are under way. A server has one slot for as long as it
 * exists, whatever else the configuration does.
 */
export class ServerCells {
  readonly #cells: Int32Array;
  readonly #stride: number;
  readonly #threads: number;

  constructor(memory: SharedArrayBuffer, threads: number) {
    this.#cells = new Int32Array(memory);
    this.#stride = FIXED + threads;
    this.#threads = threads;
  }

  static bytesFor(slots: number, threads: number): number {
    return slots * (FIXED + threads) * 4;
  }

  /** Whether the active health check lets it take requests. */
  healthy(slot: number): boolean {
    return this.#cells[slot * this.#stride + DOWN] === 0;
  }

  setHealthy(slot: number, healthy: boolean): void {
    Atomics.store(this.#cells, slot * this.#stride + DOWN, healthy ? 0 : 1);
  }

  /** Whether it rests because its replies failed. Ticks are milliseconds of the clock that all threads share. */
  ejected(slot: number, tickMs: number): boolean {
    const until = this.#cells[slot * this.#stride + EJECTED_UNTIL]!;
    return until !== 0 && ((until - tickMs) | 0) > 0;
  }

  eject(slot: number, untilTickMs: number): void {
    // Zero says "not ejected", so the one tick in four billion that is zero becomes the next.
    Atomics.store(this.#cells, slot * this.#stride + EJECTED_UNTIL, untilTickMs | 0 || 1);
  }

  /** The active check or a good reply has seen it well: it is no longer out, and its failures are forgotten. */
  forgive(slot: number): void {
    const at = slot * this.#stride;
    if (this.#cells[at + FAILURES] !== 0) Atomics.store(this.#cells, at + FAILURES, 0);
    if (this.#cells[at + EJECTED_UNTIL] !== 0) Atomics.store(this.#cells, at + EJECTED_UNTIL, 0);
  }

  /** Counts a failed reply; returns how many there were within the window, this one included. */
  fail(slot: number, tickMs: number, windowMs: number): number {
    const at = slot * this.#stride;
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
    return this.#cells[slot * this.#stride + FIXED + thread]!;
  }

  // A request that outlived its server may end after the slot was given to another: never below zero.
  setInFlightOf(slot: number, thread: number, count: number): void {
    this.#cells[slot * this.#stride + FIXED + thread] = count < 0 ? 0 : count;
  }

  /** Requests under way, all threads together. */
  inFlight(slot: number): number {
    let sum = 0;
    for (let thread = 0; thread < this.#threads; thread++) sum += this.inFlightOf(slot, thread);
    return sum;
  }

  /** A new server has the slot. */
  clear(slot: number): void {
    this.#cells.fill(0, slot * this.#stride, (slot + 1) * this.#stride);
  }

  /** The thread is dead, and its requests with it. */
  clearThread(thread: number): void {
    for (let at = FIXED + thread; at < this.#cells.length; at += this.#stride) this.#cells[at] = 0;
  }
}

const DOWN = 0;
const FAILURES = 1;
const WINDOW_START = 2;
const EJECTED_UNTIL = 3;
/** Cells before those of the threads. */
const FIXED = 4;

/** Lets at most so many things happen in any window of time: the first ones at once, a flood at a steady pace. */
export class Pacer {
  readonly #windowMs: number;
  readonly #tickMs: () => number;
  /** When the last ones happened, oldest first. */
  readonly #times: number[];

  constructor(most: number, windowMs: number, tickMs: () => number) {
    this.#windowMs = windowMs;
    this.#tickMs = tickMs;
    this.#times = new Array(most).fill(Number.NEGATIVE_INFINITY);
  }

  /** Milliseconds until the next one may happen; 0 for now. */
  waitMs(): number {
    return Math.max(0, this.#times[0]! + this.#windowMs - this.#tickMs());
  }

  take(): void {
    this.#times.shift();
    this.#times.push(this.#tickMs());
  }
}

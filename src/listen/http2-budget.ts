import type { TimeLimits } from "../lib/time-limits.ts";

/** How often something may happen: so many times at once, and so many more a second. */
export class Budget {
  readonly #limits: TimeLimits;
  readonly #burst: number;
  readonly #rate: number;
  #spent: number;
  #atMs: number;

  constructor(limits: TimeLimits, burst: number, perSecond: number) {
    this.#limits = limits;
    this.#burst = burst;
    this.#rate = perSecond;
    this.#spent = 0;
    this.#atMs = limits.nowMs;
  }

  /** False: it is used up. */
  spend(): boolean {
    if (++this.#spent <= this.#burst) return true;
    const now = this.#limits.nowMs;
    this.#spent = Math.max(0, this.#spent - ((now - this.#atMs) * this.#rate) / 1000);
    this.#atMs = now;
    return this.#spent <= this.#burst;
  }

  earn(times: number): void {
    this.#spent = Math.max(0, this.#spent - times);
  }
}

/** Something that must not take longer than until `limitAtMs`. */
export interface Timed {
  /** By the clock of `TimeLimits.nowMs`; Infinity for no limit. Written freely: it is only looked at by the sweep. */
  limitAtMs: number;
  /** Place in the sweep's list; -1 when it is not in it. */
  limitIndex: number;
  timedOut(): void;
}

/**
 * Time limits for very many things, each of which changes its limit on every byte: setting one is one assignment, and
 * a sweep over all of them a few times a second finds those that are over. A limit is kept to within `resolutionMs`.
 */
export class TimeLimits {
  /** The time of the last sweep, on the monotonic clock: good enough to count limits from, and free to read. */
  nowMs: number;
  readonly #items: Timed[];
  readonly #resolutionMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(resolutionMs = 100) {
    this.nowMs = performance.now();
    this.#items = [];
    this.#resolutionMs = resolutionMs;
    this.#timer = undefined;
  }

  get size(): number {
    return this.#items.length;
  }

  add(item: Timed): void {
    if (item.limitIndex >= 0) return;
    item.limitIndex = this.#items.length;
    this.#items.push(item);
    if (this.#timer !== undefined) return;
    // Without anything to time no sweep moved the clock, and the limit was counted from where it stood still.
    const now = performance.now();
    item.limitAtMs += now - this.nowMs;
    this.nowMs = now;
    this.#timer = setInterval(() => this.#sweep(), this.#resolutionMs);
    // What is timed holds the process up itself, by its socket.
    this.#timer.unref();
  }

  remove(item: Timed): void {
    const index = item.limitIndex;
    if (index < 0) return;
    item.limitIndex = -1;
    const last = this.#items.pop()!;
    if (last !== item) {
      this.#items[index] = last;
      last.limitIndex = index;
    }
    if (this.#items.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #sweep(): void {
    const now = performance.now();
    this.nowMs = now;
    for (let i = this.#items.length - 1; i >= 0; i--) {
      const item = this.#items[i];
      if (item === undefined || item.limitAtMs > now) continue;
      item.limitAtMs = Number.POSITIVE_INFINITY;
      item.timedOut();
    }
  }
}

import { hash32 } from "./hash.ts";

const OWNERS = 64;
const SECONDS = 10;
/** Ratios and quantiles that one expression may ask for. */
export const RATIOS_MAX = 8;
const BINS = 64;
// Per second: which one it is, all, network errors, two counts a ratio, and how long requests took.
const SECOND_WORDS = 3 + 2 * RATIOS_MAX + BINS;
// Owner, state, two for the ramp, one spare; then two 64-bit times; then the seconds.
const HEAD_WORDS = 8;
const OWNER_WORDS = HEAD_WORDS + SECONDS * SECOND_WORDS + ((SECONDS * SECOND_WORDS) % 2);

export const STANDBY = 0;
export const TRIPPED = 1;
export const RECOVERING = 2;

/** Half-open ranges of statuses: how many of the second are also of the first. */
export interface StatusRatio {
  readonly fromA: number;
  readonly toA: number;
  readonly fromB: number;
  readonly toB: number;
}

/**
 * What a circuit breaker knows, in memory that all threads share: its state, and for each of the last ten seconds
 * how many requests there were, how many failed and how long they took.
 */
export class BreakerMemory {
  readonly #words: Int32Array;
  /** Until when the state lasts, and when the condition was looked at last: milliseconds. */
  readonly #times: BigInt64Array;
  readonly #ratios: readonly StatusRatio[];
  readonly #tickMs: () => number;

  static readonly bytes = OWNERS * OWNER_WORDS * 4;

  constructor(
    memory: SharedArrayBuffer,
    owner: string,
    ratios: readonly StatusRatio[],
    tickMs: () => number,
  ) {
    const at = slotOf(memory, hash32(owner) | 1) * OWNER_WORDS * 4;
    // More routers than slots: this one keeps to itself in its thread.
    const own = at < 0 ? new SharedArrayBuffer(OWNER_WORDS * 4) : memory;
    this.#words = new Int32Array(own, Math.max(0, at), OWNER_WORDS);
    this.#times = new BigInt64Array(own, Math.max(0, at) + 16, 2);
    this.#ratios = ratios;
    this.#tickMs = tickMs;
  }

  get state(): number {
    return Atomics.load(this.#words, 1);
  }

  /** Whether this thread is the one that changed it. */
  change(from: number, to: number, untilMs: number): boolean {
    if (Atomics.compareExchange(this.#words, 1, from, to) !== from) return false;
    Atomics.store(this.#times, 0, BigInt(Math.ceil(untilMs)));
    Atomics.store(this.#words, 2, 0);
    Atomics.store(this.#words, 3, 0);
    if (to === TRIPPED) this.#forget();
    return true;
  }

  get untilMs(): number {
    return Number(Atomics.load(this.#times, 0));
  }

  /** True once in every period, in one of the threads. */
  isTimeToLook(periodMs: number): boolean {
    const now = BigInt(Math.floor(this.#tickMs()));
    const last = Atomics.load(this.#times, 1);
    if (now - last < BigInt(Math.ceil(periodMs))) return false;
    // The first period begins with the first request: one request alone proves nothing.
    return Atomics.compareExchange(this.#times, 1, last, now) === last && last !== 0n;
  }

  /** While it recovers: lets that share of requests through. */
  admit(share: number): boolean {
    const admitted = Atomics.load(this.#words, 2);
    const all = Atomics.add(this.#words, 3, 1) + 1;
    if (admitted / all >= share) return false;
    Atomics.add(this.#words, 2, 1);
    return true;
  }

  record(status: number, latencyMs: number): void {
    const words = this.#words;
    const at = this.#second();
    Atomics.add(words, at + 1, 1);
    if (status === 502 || status === 504) Atomics.add(words, at + 2, 1);
    for (let i = 0; i < this.#ratios.length; i++) {
      const { fromA, toA, fromB, toB } = this.#ratios[i]!;
      if (status >= fromA && status < toA) Atomics.add(words, at + 3 + 2 * i, 1);
      if (status >= fromB && status < toB) Atomics.add(words, at + 4 + 2 * i, 1);
    }
    Atomics.add(words, at + 3 + 2 * RATIOS_MAX + binOf(latencyMs), 1);
  }

  networkErrorRatio(): number {
    return this.#ratio(2, 1);
  }

  /** Of the ratio with that number. */
  statusRatio(index: number): number {
    return this.#ratio(3 + 2 * index, 4 + 2 * index);
  }

  /** Milliseconds within which that percentage of requests were answered. */
  latencyMs(percentage: number): number {
    let wanted = Math.ceil((this.#sum(1) * Math.min(100, Math.max(0, percentage))) / 100);
    for (let bin = 0; bin < BINS; bin++) {
      wanted -= this.#sum(3 + 2 * RATIOS_MAX + bin);
      if (wanted <= 0) return bin === 0 ? 0 : upperMs(bin);
    }
    return upperMs(BINS - 1);
  }

  #ratio(part: number, whole: number): number {
    const all = this.#sum(whole);
    return all === 0 ? 0 : this.#sum(part) / all;
  }

  #sum(word: number): number {
    const oldest = this.#nowS() - SECONDS;
    let sum = 0;
    for (let i = 0; i < SECONDS; i++) {
      const at = HEAD_WORDS + i * SECOND_WORDS;
      if (this.#words[at]! > oldest) sum += Atomics.load(this.#words, at + word);
    }
    return sum;
  }

  /** Where the counts of this second are, emptied if they were of an older one. */
  #second(): number {
    const now = this.#nowS();
    const at = HEAD_WORDS + (now % SECONDS) * SECOND_WORDS;
    const before = Atomics.load(this.#words, at);
    if (before !== now && Atomics.compareExchange(this.#words, at, before, now) === before)
      this.#words.fill(0, at + 1, at + SECOND_WORDS);
    return at;
  }

  #forget(): void {
    for (let i = 0; i < SECONDS; i++) Atomics.store(this.#words, HEAD_WORDS + i * SECOND_WORDS, 0);
  }

  #nowS(): number {
    return Math.floor(this.#tickMs() / 1000);
  }
}

/** The owner's slot, taken if it has none yet; -1 if there is none left. */
function slotOf(memory: SharedArrayBuffer, id: number): number {
  const words = new Int32Array(memory);
  for (let slot = 0; slot < OWNERS; slot++) {
    const found = Atomics.compareExchange(words, slot * OWNER_WORDS, 0, id);
    if (found === 0 || found === id) return slot;
  }
  return -1;
}

// Four bins for every doubling from 1 ms on: a quantile is right to 19 percent.
function binOf(ms: number): number {
  return ms < 1 ? 0 : Math.min(BINS - 1, 1 + Math.floor(Math.log2(ms) * 4));
}

const upperMs = (bin: number) => 2 ** (bin / 4);

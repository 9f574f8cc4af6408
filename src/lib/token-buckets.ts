import { SharedTable } from "./shared-table.ts";

const NS_PER_MS = 1e6;

export interface BucketOptions {
  readonly perSecond: number;
  readonly burst: number;
  /** Who is told to wait at most so long gets the token already. */
  readonly delayMsMax: number;
  readonly tickMs: () => number;
}

/**
 * Token buckets by name in memory that threads share. A bucket is one number, the time at which it will be full
 * again, so that taking a token is one compare and swap and a forgotten bucket equals a full one.
 */
export class TokenBuckets {
  readonly #table: SharedTable;
  readonly #intervalNs: number;
  readonly #burstNs: number;
  readonly #delayNsMax: number;
  readonly #tickMs: () => number;
  /** What the last `take` found: whole tokens left. */
  remaining: number;
  /** What the last `take` found: milliseconds until the bucket is full. */
  fullMs: number;

  /** Names remembered at once; beyond them the fullest bucket of eight is forgotten. */
  static readonly slots = 65_536;
  static readonly bytes = SharedTable.bytesFor(TokenBuckets.slots);

  constructor(memory: SharedArrayBuffer, { perSecond, burst, delayMsMax, tickMs }: BucketOptions) {
    this.#table = new SharedTable(memory, TokenBuckets.slots);
    this.#intervalNs = 1e9 / perSecond;
    this.#burstNs = burst * this.#intervalNs;
    this.#delayNsMax = delayMsMax * NS_PER_MS;
    this.#tickMs = tickMs;
    this.remaining = 0;
    this.fullMs = 0;
  }

  /**
   * Takes a token. Milliseconds until it is there: up to `delayMsMax` it is taken, beyond that it is not.
   */
  take(name: string, owner: number): number {
    const now = this.#tickMs() * NS_PER_MS;
    const slot = this.#table.claim(name, owner, BigInt(Math.floor(now)), true);
    for (;;) {
      const full = this.#table.load(slot);
      const next = Math.max(Number(full), now) + this.#intervalNs;
      const wait = next - now - this.#burstNs;
      if (wait > this.#delayNsMax) return this.#found(next - this.#intervalNs - now, wait);
      if (this.#table.swap(slot, full, BigInt(Math.round(next)))) return this.#found(next - now, wait);
    }
  }

  #found(missingNs: number, waitNs: number): number {
    this.remaining = Math.max(0, Math.floor((this.#burstNs - missingNs) / this.#intervalNs + 1e-6));
    this.fullMs = missingNs / NS_PER_MS;
    // Rounding to whole nanoseconds must not make anybody wait for one of them.
    return waitNs < 1 ? 0 : waitNs / NS_PER_MS;
  }
}

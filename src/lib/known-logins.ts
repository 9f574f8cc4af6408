import { createHmac } from "node:crypto";
import { SharedTable } from "./shared-table.ts";

const SLOTS = 4096;

/**
 * Remembers for a while which passwords were right, so that bcrypt runs once a client and not once a request. Only
 * keyed hashes are kept, in memory that all threads share; the key never leaves it.
 */
export class KnownLogins {
  readonly #table: SharedTable;
  readonly #secret: Buffer;
  readonly #keepMs: number;
  readonly #nowMs: () => number;

  static readonly bytes = SharedTable.bytesFor(SLOTS);

  constructor(memory: SharedArrayBuffer, keepMs: number, nowMs: () => number) {
    this.#table = new SharedTable(memory, SLOTS);
    this.#secret = this.#table.secret;
    this.#keepMs = keepMs;
    this.#nowMs = nowMs;
  }

  /** A name for the login that tells nothing about it. */
  keyOf(user: string, hash: string, password: string): string {
    return createHmac("sha256", this.#secret).update(`${user}\0${hash}\0${password}`).digest("latin1");
  }

  has(key: string): boolean {
    const slot = this.#table.find(key, 0);
    return slot >= 0 && this.#table.load(slot) > this.#now();
  }

  add(key: string): void {
    const now = this.#now();
    const slot = this.#table.claim(key, 0, now, true);
    if (slot >= 0) this.#table.swap(slot, this.#table.load(slot), now + BigInt(this.#keepMs));
  }

  #now(): bigint {
    return BigInt(Math.max(0, Math.floor(this.#nowMs())));
  }
}

import type { Clock } from "./clock.ts";
import type { Kept, Shelf } from "./shelf.ts";

const LOOK_AGAIN_MS = 60_000;

/** Certificates that are there and may not be read, until a person has mended that. */
export class Blocked {
  readonly #clock: Clock;
  readonly #reasons = new Map<Shelf, ReadonlyMap<string, string>>();
  #lookAtMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `reasons`: by folder. */
  set(shelf: Shelf, reasons: ReadonlyMap<string, string>): void {
    if (reasons.size > 0) this.#reasons.set(shelf, reasons);
    else this.#reasons.delete(shelf);
    this.#lookAtMs = this.#clock.tickMs() + LOOK_AGAIN_MS;
  }

  reason(shelf: Shelf, folders: readonly string[]): string | undefined {
    const reasons = this.#reasons.get(shelf);
    return reasons && folders.map((folder) => reasons.get(folder)).find((reason) => reason !== undefined);
  }

  /** Milliseconds until they are to be looked at again. */
  get dueInMs(): number {
    return this.#reasons.size === 0 ? Number.POSITIVE_INFINITY : this.#lookAtMs - this.#clock.tickMs();
  }

  hurry(): void {
    this.#lookAtMs = 0;
  }

  /** Gives those that can be read by now. */
  async lookAgain(): Promise<readonly Kept[]> {
    const mended: Kept[] = [];
    for (const [shelf, reasons] of [...this.#reasons]) {
      const { kept, blocked } = await shelf.loadCertificates([...reasons.keys()]);
      mended.push(...kept);
      this.set(shelf, blocked);
    }
    return mended;
  }
}

import type { HearRequests } from "../model/runtime.ts";
import type { RequestSample } from "../model/traffic.ts";

/** Hands samples of requests to whoever watches; threads make none while nobody does. */
export class RequestFeed {
  readonly #watch: (on: boolean) => void;
  readonly #listeners = new Set<HearRequests>();

  constructor(watch: (on: boolean) => void) {
    this.#watch = watch;
  }

  /** Gives the function that ends it. */
  listen(hear: HearRequests): () => void {
    // A listener of its own, so that the same function may listen twice.
    const listener: HearRequests = (samples, dropped) => hear(samples, dropped);
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#watch(true);
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#watch(false);
    };
  }

  hear(samples: readonly RequestSample[], dropped: number): void {
    for (const listener of this.#listeners) listener(samples, dropped);
  }
}

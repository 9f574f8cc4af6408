import { hash32, stir } from "./hash.ts";

/**
 * Highest random weight: every member draws a number from the key, and the greatest wins. When a member comes or
 * goes only the keys that it wins or won move.
 */
export class Rendezvous {
  readonly #hashes: Uint32Array;
  readonly #weights: readonly number[];

  constructor(names: readonly string[], weights: readonly number[]) {
    this.#hashes = Uint32Array.from(names, (name) => hash32(name));
    this.#weights = weights;
  }

  /** What the member draws for a key that `hash32` made a number of. */
  score(member: number, keyHash: number): number {
    // The half keeps the fraction between 0 and 1, both excluded, where the logarithm is finite and negative.
    const fraction = (stir(keyHash ^ this.#hashes[member]!) + 0.5) / 2 ** 32;
    return this.#weights[member]! / -Math.log(fraction);
  }
}

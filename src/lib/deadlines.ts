/**
 * Earliest deadline first: each of a fixed number of members is due again one share after its turn, so that members
 * with greater weights come round more often and turns are spread evenly. A member that was passed over for a while
 * is due at once, but only once.
 */
export class Deadlines {
  readonly #shares: Float64Array;
  readonly #due: Float64Array;
  #now: number;

  /** `random` spreads the first turns, so that several threads do not all begin with the same member. */
  constructor(weights: readonly number[], random: () => number) {
    this.#shares = Float64Array.from(weights, (weight) =>
      weight > 0 ? 1 / weight : Number.POSITIVE_INFINITY,
    );
    this.#due = this.#shares.map((share) => share * random());
    this.#now = 0;
  }

  /** When the member is due. The one with the least value among those that are wanted should have the turn. */
  due(member: number): number {
    const due = this.#due[member]!;
    return Math.max(due, this.#now);
  }

  /** The member had a turn. */
  took(member: number): void {
    this.#now = this.due(member);
    this.#due[member] = this.#now + this.#shares[member]!;
  }
}

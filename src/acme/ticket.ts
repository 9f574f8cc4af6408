import type { Holdings } from "./holdings.ts";
import { lastCallsMs, renewAtWithAdvice, type Suggestion } from "./renewal.ts";
import type { Failure, Kept } from "./shelf.ts";

const CLOCK_SLACK_MS = 3_600_000;

export type TicketState =
  /** Nothing has been done yet. */
  | "waiting"
  /** Served by a certificate of its own. */
  | "valid"
  /** Served by another name's certificate: a wildcard. */
  | "covered"
  /** Another process is getting it. */
  | "elsewhere"
  | "ordering"
  | "proving"
  | "finalizing"
  | "downloading"
  /** Tried again at `nextAtMs`. */
  | "failed"
  /** Held back by our own budget or by the CA until `nextAtMs`. */
  | "parked"
  /** Not tried before a person has mended it. */
  | "blocked";

/** One certificate that routers want, and how far we are with it. */
export class Ticket {
  readonly key: string;
  readonly resolver: string;
  readonly names: readonly string[];
  owners: readonly string[];
  state: TicketState = "waiting";
  /** For people: why it is in this state. Empty when there is nothing to say. */
  reason: string;
  running = false;
  own: Kept | undefined;
  /** Another name's certificate that serves this one. */
  cover: Kept | undefined;
  failure: Failure | undefined;
  suggestion: Suggestion | undefined;
  /** When the CA is asked for its suggestion again. */
  adviceAtMs = 0;
  /** Not before this, whatever else holds: budget, another process. */
  holdUntilMs = 0;
  #heldAtMs = 0;
  /** Held back because our own budget is used up. */
  waitsForBudget = false;
  /** Where in its day it renews, from 0 to 1. */
  readonly luck: number;
  /** A person wants it tried now, whatever its failures say. */
  forced = false;
  /** Why one of its names is none. */
  wrongName: string | undefined;

  constructor(
    key: string,
    resolver: string,
    names: readonly string[],
    owners: readonly string[],
    luck: number,
  ) {
    this.key = key;
    this.resolver = resolver;
    this.names = names;
    this.owners = owners;
    this.luck = luck;
    this.reason = "";
  }

  block(reason: string): void {
    this.state = "blocked";
    this.reason = reason;
  }

  unblock(): void {
    this.state = "waiting";
    this.reason = "";
  }

  /** It has a certificate of its own now: nothing of what was before counts. */
  has(kept: Kept): void {
    this.own = kept;
    this.failure = undefined;
    this.suggestion = undefined;
    this.adviceAtMs = 0;
    this.holdUntilMs = 0;
    this.forced = false;
    this.state = "valid";
    this.reason = "";
  }

  hold(nowMs: number, waitMs: number): void {
    this.waitsForBudget = false;
    this.#heldAtMs = nowMs;
    this.holdUntilMs = nowMs + waitMs;
  }

  // A hold of the future is one of a clock that was wrong.
  #heldUntilMs(nowMs: number): number {
    return this.#heldAtMs > nowMs + CLOCK_SLACK_MS ? 0 : this.holdUntilMs;
  }

  /** When the present certificate is to be renewed. Undefined without one. */
  renewAtMs(): number | undefined {
    return this.own && renewAtWithAdvice(this.own.spec, this.suggestion, this.luck);
  }

  /** When the CA is to be asked for a certificate; Infinity for never as things are. */
  dueAtMs(
    holdings: Holdings,
    cas: readonly string[],
    isWanted: (kept: Kept) => boolean,
    nowMs: number,
  ): number {
    if (this.state === "blocked") return Number.POSITIVE_INFINITY;
    this.cover = undefined;
    if (this.forced) return this.#heldUntilMs(nowMs);
    if (this.isServed(nowMs)) return Math.max(this.renewalDueMs(), this.#heldUntilMs(nowMs));
    const cover = holdings.covering(this.names, cas, nowMs);
    this.cover = cover;
    if (cover !== undefined) {
      // A certificate that nobody renews any more covers us only until it would have been renewed.
      return isWanted(cover) ? Number.POSITIVE_INFINITY : renewAtWithAdvice(cover.spec, undefined, this.luck);
    }
    return Math.max(this.patientUntilMs(nowMs), this.#heldUntilMs(nowMs));
  }

  isServed(nowMs: number): boolean {
    return this.own !== undefined && this.own.spec.notAfterMs > nowMs;
  }

  /** Says in `state` what there is when no job says it. */
  describe(nowMs: number): void {
    if (this.running || this.state === "blocked") return;
    const { failure } = this;
    const isServed = this.isServed(nowMs);
    if (isServed) this.state = "valid";
    else if (this.cover !== undefined) this.state = "covered";
    else if (failure !== undefined && this.state !== "parked" && this.state !== "elsewhere")
      this.state = "failed";
    if (isServed && failure === undefined) this.reason = "";
  }

  /** Until when its failures keep it waiting. One of the future is one of a clock that was wrong. */
  patientUntilMs(nowMs: number): number {
    const { failure } = this;
    return failure === undefined || failure.lastAtMs > nowMs + CLOCK_SLACK_MS ? 0 : failure.nextAtMs;
  }

  /** With patience after failures; Infinity without a certificate. */
  renewalDueMs(): number {
    const { own, failure } = this;
    if (own === undefined) return Number.POSITIVE_INFINITY;
    const renewAtMs = renewAtWithAdvice(own.spec, this.suggestion, this.luck);
    if (failure === undefined) return renewAtMs;
    const patientMs = Math.max(renewAtMs, failure.nextAtMs);
    // Shortly before the end it is tried once more, even if its turn were only tomorrow.
    const lastCall = lastCallsMs(own.spec).find((ms) => ms > failure.lastAtMs);
    return failure.permanent || lastCall === undefined ? patientMs : Math.min(patientMs, lastCall);
  }
}

import type { Logger } from "../model/host.ts";
import type { Clock } from "./clock.ts";
import type { Counts } from "./counts.ts";
import type { Issuer } from "./issuers.ts";
import { waitAfter } from "./patience.ts";
import { type AcmeProblem, explain } from "./problem.ts";
import { alarm } from "./renewal.ts";
import type { Failure } from "./shelf.ts";
import type { Ticket } from "./ticket.ts";

/** How long we leave a name alone that another process works on. */
export const ELSEWHERE_MS = 2000;

/** What follows when a certificate could not be got: patience, a memory on disk, a sentence in the log. */
export class Trouble {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #counts: Counts;

  constructor(log: Logger, clock: Clock, random: () => number, counts: Counts) {
    this.#log = log;
    this.#clock = clock;
    this.#random = random;
    this.#counts = counts;
  }

  /** Our own budget says no: not a failure, only not yet. */
  park(ticket: Ticket, waitMs: number): void {
    ticket.state = "parked";
    ticket.hold(this.#clock.nowMs(), waitMs);
    ticket.waitsForBudget = true;
    ticket.reason = "as many certificates have been asked for as the CA allows; this one waits its turn";
  }

  async failed(ticket: Ticket, issuer: Issuer, problem: AcmeProblem): Promise<void> {
    if (problem.type === "aborted") return;
    const nowMs = this.#clock.nowMs();
    if (problem.type === "superseded") {
      ticket.hold(nowMs, ELSEWHERE_MS);
      return;
    }
    const failure = this.#failureOf(ticket, issuer.name, problem, nowMs);
    ticket.failure = failure;
    ticket.state = problem.retryAfterMs === undefined ? "failed" : "parked";
    ticket.reason = failure.reason;
    this.#counts.of(issuer.name).failed += 1;
    this.#say(ticket, failure, nowMs);
    try {
      await issuer.shelf.saveFailure(failure);
      if (problem.kind === "validation" && problem.type !== "preflight")
        await issuer.validationFailed(ticket.names);
    } catch (error) {
      const { message } = error as Error;
      this.#log.error({ resolver: issuer.name }, `the failure cannot be remembered: ${message}`);
    }
  }

  #failureOf(ticket: Ticket, resolver: string, problem: AcmeProblem, nowMs: number): Failure {
    const count = (ticket.failure?.count ?? 0) + 1;
    return {
      names: ticket.names,
      resolver,
      count,
      lastAtMs: nowMs,
      nextAtMs: nowMs + waitAfter(problem, count, ticket.isServed(nowMs), this.#random),
      type: problem.type,
      permanent: problem.kind === "permanent",
      reason: explain(problem),
    };
  }

  #say({ own, names }: Ticket, { resolver, type, nextAtMs, count, reason }: Failure, nowMs: number): void {
    const next = new Date(nextAtMs).toISOString();
    this.#log.warn({ resolver, names, type, next, failures: count }, reason);
    if (own === undefined || alarm(own.spec, nowMs) === undefined) return;
    const days = Math.round((own.spec.notAfterMs - nowMs) / 86_400_000);
    const message = `the certificate ends in ${days} days and cannot be renewed: ${reason}`;
    this.#log.error({ resolver, names }, message);
  }
}

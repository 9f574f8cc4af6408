import type { Logger } from "../model/host.ts";
import type { Clock } from "./clock.ts";
import type { Issuer } from "./issuers.ts";
import { asProblem } from "./problem.ts";
import { adviceAgainMs, pick } from "./renewal.ts";
import type { Kept } from "./shelf.ts";
import type { Ticket } from "./ticket.ts";

const AFTER_FAILURE_MS = 6 * 3_600_000;

/** Asks CAs when they would like their certificates to be renewed (RFC 9773). */
export class Advice {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #random: () => number;

  constructor(log: Logger, clock: Clock, random: () => number) {
    this.#log = log;
    this.#clock = clock;
    this.#random = random;
  }

  /** When the CA is to be asked about this ticket; Infinity when there is nothing to ask. */
  dueMs(ticket: Ticket, nowMs: number): number {
    const mayAsk = ticket.own?.ariId !== undefined && !ticket.running && ticket.isServed(nowMs);
    return mayAsk ? ticket.adviceAtMs : Number.POSITIVE_INFINITY;
  }

  /** Never throws: a CA without advice is no trouble. */
  async ask(ticket: Ticket, issuer: Issuer): Promise<void> {
    const own = ticket.own as Kept;
    ticket.adviceAtMs = this.#clock.nowMs() + AFTER_FAILURE_MS;
    try {
      const window = await issuer.advice(own);
      if (ticket.own !== own || window === undefined) return;
      ticket.suggestion = pick(window, ticket.suggestion, this.#random);
      ticket.adviceAtMs = this.#clock.nowMs() + adviceAgainMs(window.retryAfterMs);
    } catch (error) {
      const { message } = asProblem(error);
      this.#log.debug({ names: ticket.names }, `no renewal information: ${message}`);
    }
  }
}

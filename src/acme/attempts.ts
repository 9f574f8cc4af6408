import type { Logger } from "../model/host.ts";
import type { Clock } from "./clock.ts";
import type { Counts } from "./counts.ts";
import type { Holdings } from "./holdings.ts";
import type { Issuer, Issuers } from "./issuers.ts";
import { shelfName } from "./names.ts";
import { NotYet } from "./obtain.ts";
import { asProblem } from "./problem.ts";
import { certificateLock, certificateFolder as folderOf, type Kept, type Shelf } from "./shelf.ts";
import type { Ticket } from "./ticket.ts";
import { ELSEWHERE_MS, type Trouble } from "./trouble.ts";

export interface AttemptTools {
  readonly issuers: Issuers;
  readonly holdings: Holdings;
  readonly trouble: Trouble;
  readonly counts: Counts;
  readonly log: Logger;
  readonly clock: Clock;
  /** There is a certificate that was not there before. */
  readonly announce: () => void;
}

/** One try for one certificate: under its lock, with a look at what others did, and kept when it is there. */
export class Attempts {
  readonly #tools: AttemptTools;
  /** Served from memory, because the store could not be written. */
  readonly #unsaved = new Map<string, Kept>();

  constructor(tools: AttemptTools) {
    this.#tools = tools;
  }

  async make(ticket: Ticket, issuer: Issuer): Promise<void> {
    const { forced } = ticket;
    // Whoever forces it from now on means another try after this one, should it fail.
    ticket.forced = false;
    try {
      const isTried = await this.#underLock(ticket, issuer, forced);
      if (!isTried) ticket.forced ||= forced;
    } catch (error) {
      if (error instanceof NotYet) {
        this.#tools.trouble.park(ticket, error.waitMs);
        ticket.forced ||= forced;
      } else await this.#tools.trouble.failed(ticket, issuer, asProblem(error));
    }
  }

  /** False when another process has the lock. */
  async #underLock(ticket: Ticket, issuer: Issuer, forced: boolean): Promise<boolean> {
    const { shelf } = issuer;
    const lock = await shelf.vault.tryLock(certificateLock(shelfName(ticket.names)));
    if (lock === undefined) {
      await this.#lookElsewhere(ticket, issuer);
      return ticket.state === "valid";
    }
    try {
      if (!(await this.#isNeeded(ticket, issuer, forced))) return true;
      const kept = await issuer.obtain({
        names: ticket.names,
        own: ticket.own,
        failures: ticket.failure?.count ?? 0,
        held: () => lock.held(),
        onStage: (stage) => {
          if (stage === "ordering") this.#tools.counts.of(issuer.name).orders += 1;
          ticket.state = stage;
        },
      });
      if (await lock.held()) await this.#keep(ticket, issuer, kept);
      return true;
    } finally {
      await lock.release();
    }
  }

  async #lookElsewhere(ticket: Ticket, { cas, shelf }: Issuer): Promise<void> {
    ticket.state = "elsewhere";
    ticket.reason = "another process is getting this certificate";
    ticket.hold(this.#tools.clock.nowMs(), ELSEWHERE_MS);
    await this.#adoptStored(ticket, cas, (ca) => shelf.peekCertificate(ca, ticket.names));
  }

  /** Whoever had the lock before us may have finished, or failed, and somebody may have set the clock right. */
  async #isNeeded(ticket: Ticket, issuer: Issuer, forced: boolean): Promise<boolean> {
    const load = (ca: string) => issuer.shelf.loadCertificate(ca, ticket.names);
    if (await this.#adoptStored(ticket, issuer.cas, load)) return false;
    if (forced) return true;
    if (await this.#adoptFailure(ticket, issuer)) return false;
    const nowMs = this.#tools.clock.nowMs();
    return !ticket.isServed(nowMs) || ticket.renewalDueMs() <= nowMs;
  }

  // --- What others did ---

  /** Takes a newer certificate from the store. True when there was one that need not be renewed. */
  async #adoptStored(
    ticket: Ticket,
    cas: readonly string[],
    load: (ca: string) => Promise<Kept | undefined>,
  ): Promise<boolean> {
    for (const ca of cas) {
      const stored = await load(ca);
      if (stored === undefined || stored.spec.id === ticket.own?.spec.id) continue;
      if (ticket.own !== undefined && stored.spec.notAfterMs <= ticket.own.spec.notAfterMs) continue;
      this.#adopt(ticket, stored);
      if (stored.spec.notAfterMs > this.#tools.clock.nowMs()) return true;
    }
    return false;
  }

  async #adoptFailure(ticket: Ticket, { name, shelf }: Issuer): Promise<boolean> {
    const stored = await shelf.loadFailure(name, ticket.names);
    if (stored === undefined || stored.lastAtMs <= (ticket.failure?.lastAtMs ?? 0)) return false;
    ticket.failure = stored;
    ticket.reason = stored.reason;
    return ticket.patientUntilMs(this.#tools.clock.nowMs()) > this.#tools.clock.nowMs();
  }

  // --- What there is now ---

  #adopt(ticket: Ticket, kept: Kept): void {
    ticket.has(kept);
    this.#tools.holdings.add(kept, this.#tools.clock.nowMs());
    this.#tools.announce();
  }

  async #keep(ticket: Ticket, { name, shelf }: Issuer, kept: Kept): Promise<void> {
    const { log, counts } = this.#tools;
    this.#adopt(ticket, kept);
    counts.of(name).issued += 1;
    const { names, spec } = kept;
    const until = new Date(spec.notAfterMs).toISOString();
    log.info({ resolver: name, names, issuer: kept.issuer, ca: kept.ca, until }, "certificate issued");
    try {
      await save(shelf, kept);
      await shelf.removeFailure(name, names);
    } catch (error) {
      // It is served from memory, and written as soon as that works.
      this.#unsaved.set(folderOf(kept.ca, names), kept);
      ticket.reason = `not saved yet: ${(error as Error).message}`;
      log.error({ resolver: name, names }, `the certificate is ${ticket.reason}`);
    }
  }

  get hasUnsaved(): boolean {
    return this.#unsaved.size > 0;
  }

  async saveAgain(tickets: Iterable<Ticket>): Promise<void> {
    const { issuers, log } = this.#tools;
    for (const [folder, kept] of this.#unsaved) {
      const shelf = issuers.get(kept.resolver)?.shelf;
      if (shelf === undefined) continue;
      try {
        await save(shelf, kept);
        this.#unsaved.delete(folder);
        log.info({ names: kept.names }, "the certificate is saved now");
        for (const ticket of tickets) if (ticket.own === kept) ticket.reason = "";
      } catch {
        return;
      }
    }
  }
}

async function save(shelf: Shelf, kept: Kept): Promise<void> {
  await shelf.saveCertificate(kept);
  await shelf.removeOrder(kept.ca, kept.names);
}

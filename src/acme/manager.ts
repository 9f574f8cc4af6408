import type { Logger } from "../model/host.ts";
import type { AcmeOptions } from "../model/settings.ts";
import type { CertificateSpec } from "../model/snapshot.ts";
import { ChallengeBoard, type Publish } from "./challenges.ts";
import { type Clock, systemClock } from "./clock.ts";
import { Holdings } from "./holdings.ts";
import { INTERNAL, type Issuer, Issuers } from "./issuers.ts";
import { shelfName } from "./names.ts";
import { NotYet } from "./obtain.ts";
import { waitAfter } from "./patience.ts";
import { type Network, systemNetwork } from "./preflight.ts";
import { type AcmeProblem, asProblem, explain } from "./problem.ts";
import { adviceAgainMs, alarm, pick } from "./renewal.ts";
import {
  certificateLock,
  type Failure,
  certificateFolder as folderOf,
  type Kept,
  type Shelf,
} from "./shelf.ts";
import type { Ticket } from "./ticket.ts";
import { type NameStatus, Tickets, type Want } from "./tickets.ts";

export interface AcmeHost {
  readonly resolvers: ReadonlyMap<string, AcmeOptions>;
  readonly log: Logger;
  /** Called whenever the live challenges change; resolves when the data plane answers them. */
  readonly onChallenges: Publish;
  /** Called whenever the certificates change, with all of them. */
  readonly onCertificates: (certificates: readonly CertificateSpec[]) => void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly network?: Network;
  /** Where authoritative name servers listen; 53 outside of tests. */
  readonly authorityPort?: number;
}

export interface AcmeCounts {
  orders: number;
  issued: number;
  failed: number;
}

const JOBS_MAX = 64;
const RENEWALS_PER_MINUTE = 10;
const MINUTE_MS = 60_000;
const LOOK_AGAIN_MS = 10 * MINUTE_MS;
const ELSEWHERE_MS = 2000;
const ADVICE_AFTER_FAILURE_MS = 6 * 60 * MINUTE_MS;

/** Gets and keeps the certificates that routers want. One name's trouble is never another name's. */
export class Acme {
  readonly #host: AcmeHost;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #issuers: Issuers;
  readonly #stop = new AbortController();
  readonly #holdings = new Holdings();
  readonly #tickets: Tickets;
  readonly #unsaved = new Map<string, Kept>();
  readonly #jobs = new Set<Promise<void>>();
  readonly #blocked = new Map<string, string>();
  #renewals: number[] = [];
  #wake: () => void = () => {};
  #announcing = false;
  readonly counts = new Map<string, AcmeCounts>();

  constructor(host: AcmeHost) {
    this.#host = host;
    this.#clock = host.clock ?? systemClock;
    this.#random = host.random ?? Math.random;
    this.#tickets = new Tickets(this.#random);
    this.#issuers = new Issuers({
      resolvers: host.resolvers,
      log: host.log,
      environment: host.environment,
      clock: this.#clock,
      network: host.network ?? systemNetwork,
      board: new ChallengeBoard(host.onChallenges),
      signal: this.#stop.signal,
      ...(host.authorityPort !== undefined && { authorityPort: host.authorityPort }),
      onStore: (shelf) => this.#load(shelf),
      onChanged: () => this.#lookElsewhere(),
    });
  }

  // --- Life ---

  /** Opens every store and hands out what is in it; the CA is not asked. Then begins to work. */
  async start(): Promise<void> {
    await this.#open();
    void this.#loop();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#issuers.hangUp();
    await Promise.allSettled(this.#jobs);
    await this.#issuers.close();
  }

  async #open(): Promise<void> {
    await this.#issuers.open(this.#tickets.use(INTERNAL));
    this.#admitAll();
    this.#announce();
  }

  async #load(shelf: Shelf): Promise<void> {
    const { kept, blocked } = await shelf.loadCertificates();
    for (const one of kept) this.#holdings.add(one, this.#clock.nowMs());
    for (const [folder, reason] of blocked) this.#blocked.set(folder, reason);
  }

  // --- What is wanted ---

  /** Replaces the list of wanted certificates. What nobody wants any more is kept, but not renewed. */
  want(wants: readonly Want[]): void {
    this.#tickets.replace(wants);
    this.#admitAll();
    this.#wake();
  }

  #admitAll(): void {
    for (const ticket of this.#tickets) {
      const issuer = this.#issuers.get(ticket.resolver);
      const reason = ticket.wrongName ?? this.#blockedReason(ticket, issuer);
      if (reason !== undefined) {
        ticket.block(reason);
        continue;
      }
      if (ticket.state === "blocked") ticket.unblock();
      for (const ca of issuer!.cas) ticket.own ??= this.#holdings.own(ca, ticket.names);
    }
  }

  #blockedReason(ticket: Ticket, issuer: Issuer | undefined): string | undefined {
    if (issuer === undefined) return this.#issuers.reason(ticket.resolver);
    const folders = issuer.cas.map((ca) => folderOf(ca, ticket.names));
    return folders.map((folder) => this.#blocked.get(folder)).find((reason) => reason !== undefined);
  }

  /** Tries a name now, whatever its failures say; the budget still holds. */
  retry(resolver: string, name: string): boolean {
    const ticket = this.#tickets.find(resolver, name);
    if (ticket === undefined || ticket.running) return false;
    ticket.forced = true;
    ticket.holdUntilMs = 0;
    this.#wake();
    return true;
  }

  // --- Work ---

  async #loop(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const nextMs = this.#startDueJobs();
      const waking = new AbortController();
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const waitMs = Math.min(Math.max(nextMs - this.#clock.nowMs(), 0), LOOK_AGAIN_MS);
      const slept = this.#clock.sleep(waitMs, AbortSignal.any([waking.signal, signal])).catch(() => {});
      await Promise.race([woken, slept]);
      waking.abort();
      if (this.#unsaved.size > 0) await this.#saveAgain();
      if (!signal.aborted && this.#mustOpen()) await this.#open();
    }
  }

  #mustOpen(): boolean {
    const missesInternal = this.#issuers.get(INTERNAL) === undefined;
    return this.#issuers.waiting || (missesInternal && this.#tickets.use(INTERNAL));
  }

  /** Starts whatever is due. Gives the time of the next thing to do. */
  #startDueJobs(): number {
    const nowMs = this.#clock.nowMs();
    let nextMs = this.#unsaved.size > 0 || this.#mustOpen() ? nowMs + MINUTE_MS : Number.POSITIVE_INFINITY;
    const wanted = this.#tickets.folders();
    for (const ticket of this.#tickets) {
      const issuer = this.#issuers.get(ticket.resolver);
      if (issuer === undefined) continue;
      const isWanted = (kept: Kept) => wanted.has(folderOf(kept.ca, kept.names));
      const dueMs = ticket.running
        ? Number.POSITIVE_INFINITY
        : ticket.dueAtMs(this.#holdings, issuer.cas, isWanted, nowMs);
      ticket.describe(nowMs);
      const startMs = dueMs <= nowMs ? this.#startOrWait(ticket, issuer, nowMs) : dueMs;
      nextMs = Math.min(nextMs, startMs, this.#adviceDue(ticket, issuer, nowMs));
    }
    return nextMs;
  }

  /** Starts the job, or says when there is room for it. */
  #startOrWait(ticket: Ticket, issuer: Issuer, nowMs: number): number {
    if (this.#jobs.size >= JOBS_MAX) return Number.POSITIVE_INFINITY;
    if (ticket.own !== undefined) {
      this.#renewals = this.#renewals.filter((atMs) => atMs > nowMs - MINUTE_MS && atMs <= nowMs);
      if (this.#renewals.length >= RENEWALS_PER_MINUTE) return this.#renewals[0]! + MINUTE_MS;
      this.#renewals.push(nowMs);
    }
    this.#start(ticket, () => this.#work(ticket, issuer));
    return Number.POSITIVE_INFINITY;
  }

  #start(ticket: Ticket, work: () => Promise<void>): void {
    ticket.running = true;
    const job = work().finally(() => {
      ticket.running = false;
      this.#jobs.delete(job);
      this.#wake();
    });
    this.#jobs.add(job);
  }

  // --- One certificate ---

  async #work(ticket: Ticket, issuer: Issuer): Promise<void> {
    try {
      await this.#underLock(ticket, issuer);
    } catch (error) {
      if (error instanceof NotYet) this.#park(ticket, error.waitMs);
      else await this.#failed(ticket, issuer, asProblem(error));
    }
  }

  async #underLock(ticket: Ticket, issuer: Issuer): Promise<void> {
    const { shelf } = issuer;
    const forced = ticket.forced;
    const lock = await shelf.vault.tryLock(certificateLock(shelfName(ticket.names)));
    if (lock === undefined) {
      ticket.state = "elsewhere";
      ticket.reason = "another process is getting this certificate";
      ticket.holdUntilMs = this.#clock.nowMs() + ELSEWHERE_MS;
      await this.#adoptStored(ticket, issuer.cas, (ca) => shelf.peekCertificate(ca, ticket.names));
      return;
    }
    try {
      // Whoever had the lock before us may have finished, or failed, meanwhile.
      const load = (ca: string) => shelf.loadCertificate(ca, ticket.names);
      if (await this.#adoptStored(ticket, issuer.cas, load)) return;
      if (!forced && (await this.#adoptFailure(ticket, issuer))) return;
      // Somebody may have set the clock right while we waited.
      if (!forced && ticket.isServed(this.#clock.nowMs()) && ticket.renewalDueMs() > this.#clock.nowMs())
        return;
      ticket.forced = false;
      this.#count(issuer).orders += 1;
      const kept = await issuer.obtain({
        names: ticket.names,
        own: ticket.own,
        failures: ticket.failure?.count ?? 0,
        held: () => lock.held(),
        onStage: (stage) => {
          ticket.state = stage;
        },
      });
      if (!(await lock.held())) return;
      await this.#keep(ticket, issuer, kept);
    } finally {
      await lock.release();
    }
  }

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
      if (stored.spec.notAfterMs > this.#clock.nowMs()) return true;
    }
    return false;
  }

  async #adoptFailure(ticket: Ticket, { name, shelf }: Issuer): Promise<boolean> {
    const stored = await shelf.loadFailure(name, ticket.names);
    if (stored === undefined || stored.lastAtMs <= (ticket.failure?.lastAtMs ?? 0)) return false;
    ticket.failure = stored;
    ticket.reason = stored.reason;
    return stored.nextAtMs > this.#clock.nowMs();
  }

  #adopt(ticket: Ticket, kept: Kept): void {
    ticket.own = kept;
    ticket.failure = undefined;
    ticket.suggestion = undefined;
    ticket.adviceAtMs = 0;
    ticket.holdUntilMs = 0;
    ticket.state = "valid";
    ticket.reason = "";
    this.#holdings.add(kept, this.#clock.nowMs());
    this.#announce();
  }

  async #keep(ticket: Ticket, issuer: Issuer, kept: Kept): Promise<void> {
    this.#adopt(ticket, kept);
    this.#count(issuer).issued += 1;
    const { name, shelf } = issuer;
    const { names, spec } = kept;
    const until = new Date(spec.notAfterMs).toISOString();
    this.#host.log.info(
      { resolver: name, names, issuer: kept.issuer, ca: kept.ca, until },
      "certificate issued",
    );
    try {
      await save(shelf, kept);
      await shelf.removeFailure(name, names);
    } catch (error) {
      // It is served from memory, and written as soon as that works.
      this.#unsaved.set(folderOf(kept.ca, names), kept);
      ticket.reason = `not saved yet: ${(error as Error).message}`;
      this.#host.log.error({ resolver: name, names }, `the certificate is ${ticket.reason}`);
    }
  }

  async #saveAgain(): Promise<void> {
    for (const [folder, kept] of this.#unsaved) {
      const shelf = this.#issuers.get(kept.resolver)?.shelf;
      if (shelf === undefined) continue;
      try {
        await save(shelf, kept);
        this.#unsaved.delete(folder);
        this.#host.log.info({ names: kept.names }, "the certificate is saved now");
        for (const ticket of this.#tickets) if (ticket.own === kept) ticket.reason = "";
      } catch {
        return;
      }
    }
  }

  // --- What went wrong ---

  #park(ticket: Ticket, waitMs: number): void {
    ticket.state = "parked";
    ticket.holdUntilMs = this.#clock.nowMs() + waitMs;
    ticket.reason = "as many certificates have been asked for as the CA allows; this one waits its turn";
  }

  async #failed(ticket: Ticket, issuer: Issuer, problem: AcmeProblem): Promise<void> {
    if (problem.type === "aborted") return;
    const { name, shelf } = issuer;
    const nowMs = this.#clock.nowMs();
    if (problem.type === "superseded") {
      ticket.holdUntilMs = nowMs + ELSEWHERE_MS;
      return;
    }
    const count = (ticket.failure?.count ?? 0) + 1;
    const isServed = ticket.isServed(nowMs);
    const nextAtMs = nowMs + waitAfter(problem, count, isServed, this.#random);
    const reason = explain(problem);
    const permanent = problem.kind === "permanent";
    const { type } = problem;
    const failure: Failure = {
      names: ticket.names,
      resolver: name,
      count,
      lastAtMs: nowMs,
      nextAtMs,
      type,
      permanent,
      reason,
    };
    ticket.failure = failure;
    ticket.state = problem.retryAfterMs === undefined ? "failed" : "parked";
    ticket.reason = reason;
    ticket.forced = false;
    this.#count(issuer).failed += 1;
    const next = new Date(nextAtMs).toISOString();
    this.#host.log.warn({ resolver: name, names: ticket.names, type, next, failures: count }, reason);
    if (ticket.own !== undefined) this.#sayIfLate(ticket, nowMs);
    try {
      await shelf.saveFailure(failure);
      if (problem.kind === "validation" && type !== "preflight") await issuer.validationFailed(ticket.names);
    } catch (error) {
      this.#host.log.error(
        { resolver: name },
        `the failure cannot be remembered: ${(error as Error).message}`,
      );
    }
  }

  #sayIfLate(ticket: Ticket, nowMs: number): void {
    const { spec } = ticket.own!;
    const late = alarm(spec, nowMs);
    if (late === undefined) return;
    const days = Math.round((spec.notAfterMs - nowMs) / 86_400_000);
    const fields = { resolver: ticket.resolver, names: ticket.names };
    this.#host.log.error(
      fields,
      `the certificate ends in ${days} days and cannot be renewed: ${ticket.reason}`,
    );
  }

  // --- Advice ---

  /** Asks the CA when to renew, if that is due. Gives when it will be. */
  #adviceDue(ticket: Ticket, issuer: Issuer, nowMs: number): number {
    const { own } = ticket;
    if (own?.ariId === undefined || ticket.running || !ticket.isServed(nowMs))
      return Number.POSITIVE_INFINITY;
    if (ticket.adviceAtMs > nowMs) return ticket.adviceAtMs;
    if (this.#jobs.size >= JOBS_MAX) return Number.POSITIVE_INFINITY;
    ticket.adviceAtMs = nowMs + ADVICE_AFTER_FAILURE_MS;
    this.#start(ticket, () => this.#advise(ticket, own, issuer));
    return Number.POSITIVE_INFINITY;
  }

  async #advise(ticket: Ticket, own: Kept, issuer: Issuer): Promise<void> {
    try {
      const window = await issuer.advice(own);
      if (ticket.own !== own) return;
      if (window !== undefined) {
        ticket.suggestion = pick(window, ticket.suggestion, this.#random);
        ticket.adviceAtMs = this.#clock.nowMs() + adviceAgainMs(window.retryAfterMs);
      }
    } catch (error) {
      const { message } = asProblem(error);
      this.#host.log.debug({ names: ticket.names }, `no renewal information: ${message}`);
    }
  }

  /** Another process may have finished: those who wait for it look again now. */
  #lookElsewhere(): void {
    const found = this.#tickets.lookElsewhere();
    if (found) this.#wake();
  }

  // --- What is seen ---

  #count({ name }: Issuer): AcmeCounts {
    const counts = this.counts.get(name) ?? { orders: 0, issued: 0, failed: 0 };
    this.counts.set(name, counts);
    return counts;
  }

  certificates(): readonly CertificateSpec[] {
    return this.#holdings.specs(this.#clock.nowMs());
  }

  // Many changes of one moment are told once.
  #announce(): void {
    if (this.#announcing) return;
    this.#announcing = true;
    setImmediate(() => {
      this.#announcing = false;
      if (!this.#stop.signal.aborted) this.#host.onCertificates(this.certificates());
    });
  }

  status(): readonly NameStatus[] {
    return this.#tickets.status(this.#clock.nowMs());
  }
}

async function save(shelf: Shelf, kept: Kept): Promise<void> {
  await shelf.saveCertificate(kept);
  await shelf.removeOrder(kept.ca, kept.names);
}

import type { Logger } from "../model/host.ts";
import type { AcmeOptions } from "../model/resolver-settings.ts";
import type { CertificateSpec } from "../model/snapshot.ts";
import { Advice } from "./advice.ts";
import { Attempts } from "./attempts.ts";
import { Blocked } from "./blocked.ts";
import { ChallengeBoard, type Publish } from "./challenges.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type AcmeCounts, Counts } from "./counts.ts";
import { Holdings } from "./holdings.ts";
import { INTERNAL, type Issuer, Issuers } from "./issuers.ts";
import { type Network, systemNetwork } from "./preflight.ts";
import { certificateFolder as folderOf, type Kept, type Shelf } from "./shelf.ts";
import type { Ticket } from "./ticket.ts";
import { type NameStatus, Tickets, type Want } from "./tickets.ts";
import { Trouble } from "./trouble.ts";

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

const JOBS_MAX = 64;
const RENEWALS_PER_MINUTE = 10;
const MINUTE_MS = 60_000;
const LOOK_AGAIN_MS = 10 * MINUTE_MS;

/** Gets and keeps the certificates that routers want. One name's trouble is never another name's. */
export class Acme {
  readonly #host: AcmeHost;
  readonly #clock: Clock;
  readonly #issuers: Issuers;
  readonly #stop = new AbortController();
  readonly #holdings = new Holdings();
  readonly #tickets: Tickets;
  readonly #counts = new Counts();
  readonly #attempts: Attempts;
  readonly #advice: Advice;
  readonly #jobs = new Set<Promise<void>>();
  readonly #blocked: Blocked;
  #renewals: number[] = [];
  #wake: () => void = () => {};
  #announcing = false;
  #opened: Promise<void> | undefined;

  constructor(host: AcmeHost) {
    this.#host = host;
    this.#clock = host.clock ?? systemClock;
    const random = host.random ?? Math.random;
    this.#blocked = new Blocked(this.#clock);
    this.#tickets = new Tickets(random);
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
      onBack: () => this.#retryUnstored(),
    });
    const { log } = host;
    this.#advice = new Advice(log, this.#clock, random);
    this.#attempts = new Attempts({
      issuers: this.#issuers,
      holdings: this.#holdings,
      trouble: new Trouble(log, this.#clock, random, this.#counts),
      counts: this.#counts,
      log,
      clock: this.#clock,
      announce: () => this.#announce(),
    });
  }

  // --- Life ---

  /** Opens every store and hands out what is in it; the CA is not asked. */
  open(): Promise<void> {
    this.#opened ??= this.#open();
    return this.#opened;
  }

  /** Begins to work: what a CA is asked for now it may come to look at now. */
  async start(): Promise<void> {
    await this.open();
    void this.#loop();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#issuers.hangUp();
    await Promise.allSettled(this.#jobs);
    await this.#issuers.close();
    // A store that is only opened now, because its server was away, closes by itself.
    void this.#opened?.then(() => this.#issuers.close());
  }

  async #open(): Promise<void> {
    await this.#issuers.open(this.#tickets.use(INTERNAL));
    this.#admitAll();
    this.#announce();
  }

  async #load(shelf: Shelf): Promise<void> {
    const { kept, blocked } = await shelf.loadCertificates();
    for (const one of kept) this.#holdings.add(one, this.#clock.nowMs());
    this.#blocked.set(shelf, blocked);
  }

  async #lookAtBlocked(): Promise<void> {
    const { log } = this.#host;
    for (const one of await this.#blocked.lookAgain()) {
      this.#holdings.add(one, this.#clock.nowMs());
      log.info({ resolver: one.resolver, names: one.names }, "the certificate can be read now");
    }
    this.#admitAll();
    this.#announce();
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
    return this.#blocked.reason(issuer.shelf, folders);
  }

  /** Tries a name now, whatever its failures say; the budget still holds. */
  retry(resolver: string, name: string): boolean {
    const ticket = this.#tickets.find(resolver, name);
    if (ticket === undefined || ticket.state === "blocked") return false;
    ticket.forced = true;
    ticket.holdUntilMs = 0;
    this.#wake();
    return true;
  }

  /** The same for every name that failed; gives how many these are. What could not be read is read again. */
  retryFailed(): number {
    this.#blocked.hurry();
    this.#wake();
    const failed = [...this.#tickets].filter(({ failure }) => failure !== undefined);
    return failed.filter(({ resolver, names }) => this.retry(resolver, names[0]!)).length;
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
      if (this.#attempts.hasUnsaved) await this.#attempts.saveAgain(this.#tickets);
      if (!signal.aborted && this.#mustOpen()) await this.#open();
      if (!signal.aborted && this.#blocked.dueInMs <= 0) await this.#lookAtBlocked();
    }
  }

  #mustOpen(): boolean {
    const missesInternal = this.#issuers.get(INTERNAL) === undefined;
    return this.#issuers.waiting || (missesInternal && this.#tickets.use(INTERNAL));
  }

  /** Starts whatever is due. Gives the time of the next thing to do. */
  #startDueJobs(): number {
    const nowMs = this.#clock.nowMs();
    const mustLook = this.#attempts.hasUnsaved || this.#mustOpen();
    let nextMs = nowMs + Math.min(mustLook ? MINUTE_MS : Number.POSITIVE_INFINITY, this.#blocked.dueInMs);
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
      nextMs = Math.min(nextMs, startMs, this.#askOrWait(ticket, issuer, nowMs));
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
    this.#start(ticket, async () => {
      await this.#attempts.make(ticket, issuer);
      if (ticket.failure !== undefined) this.#tickets.letNext(ticket.resolver, ticket.names);
    });
    return Number.POSITIVE_INFINITY;
  }

  /** Asks for the CA's advice, or says when that is due. */
  #askOrWait(ticket: Ticket, issuer: Issuer, nowMs: number): number {
    const dueMs = this.#advice.dueMs(ticket, nowMs);
    if (dueMs > nowMs) return dueMs;
    if (this.#jobs.size < JOBS_MAX) this.#start(ticket, () => this.#advice.ask(ticket, issuer));
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

  /** Nobody need wait for patience that only the store's absence has taught. */
  #retryUnstored(): void {
    for (const ticket of this.#tickets) if (ticket.failure?.type === "storage") ticket.forced = true;
    this.#wake();
  }

  /** Another process may have finished: those who wait for it look again now. */
  #lookElsewhere(): void {
    if (this.#tickets.lookElsewhere()) this.#wake();
  }

  // --- What is seen ---

  get counts(): ReadonlyMap<string, AcmeCounts> {
    return this.#counts.byResolver;
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

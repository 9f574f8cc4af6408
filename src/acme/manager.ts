import type { Logger } from "../model/host.ts";
import type { AcmeOptions } from "../model/settings.ts";
import type { CertificateSpec } from "../model/snapshot.ts";
import { Budget } from "./budget.ts";
import { ChallengeBoard, type Publish, type Solver } from "./challenges.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type CaPlan, Connection } from "./connection.ts";
import { Holdings } from "./holdings.ts";
import { readName, shelfName } from "./names.ts";
import { NotYet, obtain, type Runtime } from "./obtain.ts";
import { waitAfter } from "./patience.ts";
import { type Network, systemNetwork } from "./preflight.ts";
import { type AcmeProblem, asProblem, explain } from "./problem.ts";
import { adviceAgainMs, alarm, pick } from "./renewal.ts";
import { planResolver, type ResolverPlan } from "./resolver.ts";
import { SharedChallenges } from "./shared-challenges.ts";
import { type Failure, certificateFolder as folderOf, type Kept, type Shelf } from "./shelf.ts";
import { makeSolvers } from "./solvers.ts";
import { openStorage } from "./storage.ts";
import { Ticket, type TicketState } from "./ticket.ts";

/** One certificate that somebody needs. */
export interface Want {
  readonly resolver: string;
  /** All in one certificate. A `Host` rule makes one want a name, an entry of `tls.domains` one for all of its names. */
  readonly names: readonly string[];
  /** The router: `app@docker`. */
  readonly owner: string;
}

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
}

export interface NameStatus {
  readonly resolver: string;
  readonly names: readonly string[];
  readonly owners: readonly string[];
  readonly state: TicketState;
  /** A sentence for people; empty when all is well. */
  readonly reason: string;
  readonly failures: number;
  /** Undefined when it is not waiting for anything. */
  readonly nextTryAtMs: number | undefined;
  readonly certificate: CertificateSpec | undefined;
  readonly issuer: string;
  readonly renewAtMs: number | undefined;
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
  readonly #network: Network;
  readonly #board: ChallengeBoard;
  readonly #stop = new AbortController();
  readonly #holdings = new Holdings();
  readonly #runtimes = new Map<string, Runtime>();
  readonly #shelves = new Map<string, Shelf>();
  readonly #shared = new Map<string, SharedChallenges>();
  readonly #connections = new Map<string, Connection>();
  readonly #budgets = new Map<string, Budget>();
  readonly #unusable = new Map<string, string>();
  readonly #tickets = new Map<string, Ticket>();
  readonly #unsaved = new Map<string, Kept>();
  readonly #jobs = new Set<Promise<void>>();
  readonly #blocked = new Map<string, string>();
  #renewals: number[] = [];
  #wants: readonly Want[] = [];
  #wake: () => void = () => {};
  #announcing = false;
  readonly counts = new Map<string, AcmeCounts>();

  constructor(host: AcmeHost) {
    this.#host = host;
    this.#clock = host.clock ?? systemClock;
    this.#random = host.random ?? Math.random;
    this.#network = host.network ?? systemNetwork;
    this.#board = new ChallengeBoard(host.onChallenges);
  }

  // --- Life ---

  /** Opens every store and hands out what is in it; the CA is not asked. Then begins to work. */
  async start(): Promise<void> {
    await this.#openResolvers();
    void this.#loop();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await Promise.allSettled(this.#jobs);
    await Promise.allSettled([...this.#connections.values()].map((connection) => connection.close()));
    await Promise.allSettled([...this.#shelves.values()].map(({ vault }) => vault.close()));
  }

  async #openResolvers(): Promise<void> {
    for (const [name, options] of this.#host.resolvers) {
      if (this.#runtimes.has(name)) continue;
      try {
        const plan = planResolver(name, options);
        const shelf = await this.#openShelf(plan);
        this.#runtimes.set(name, await this.#runtime(plan, shelf));
        this.#unusable.delete(name);
      } catch (error) {
        const { message } = error as Error;
        if (this.#unusable.get(name) !== message)
          this.#host.log.error({ resolver: name }, `the certificate resolver cannot be used: ${message}`);
        this.#unusable.set(name, message);
      }
    }
    this.want(this.#wants);
    this.#announce();
  }

  async #openShelf(plan: ResolverPlan): Promise<Shelf> {
    const known = this.#shelves.get(plan.storage);
    if (known !== undefined) return known;
    const { log, environment } = this.#host;
    const report = (entry: string, message: string) => log.error({ storage: plan.storage, entry }, message);
    const shelf = await openStorage(plan, this.#host.resolvers, {
      clock: this.#clock,
      log,
      environment,
      report,
    });
    const { kept, blocked } = await shelf.loadCertificates();
    for (const one of kept) this.#holdings.add(one, this.#clock.nowMs());
    for (const [folder, reason] of blocked) this.#blocked.set(folder, reason);
    this.#shelves.set(plan.storage, shelf);
    return shelf;
  }

  async #runtime(plan: ResolverPlan, shelf: Shelf): Promise<Runtime> {
    const shared = await this.#sharedChallenges(plan.storage, shelf);
    const { environment, log } = this.#host;
    const solvers: ReadonlyMap<string, Solver> = await makeSolvers(plan, {
      board: this.#board,
      shared,
      clock: this.#clock,
      environment,
      log,
    });
    const connection = (ca: CaPlan) =>
      once(this.#connections, `${plan.storage} ${ca.id}`, () => new Connection(ca, shelf, this.#clock));
    const budget = (ca: CaPlan) =>
      once(this.#budgets, `${plan.storage} ${ca.id}`, () => new Budget(shelf.vault, ca.id));
    this.counts.set(plan.name, { orders: 0, issued: 0, failed: 0 });
    return { plan, shelf, board: this.#board, solvers, connection, budget };
  }

  async #sharedChallenges(storage: string, shelf: Shelf): Promise<SharedChallenges> {
    const known = this.#shared.get(storage);
    if (known !== undefined) return known;
    const shared = new SharedChallenges(shelf.vault, this.#board, this.#clock);
    this.#shared.set(storage, shared);
    shelf.vault.watch(() => {
      void shared.refresh();
      this.#lookElsewhere();
    });
    return shared;
  }

  // --- What is wanted ---

  /** Replaces the list of wanted certificates. What nobody wants any more is kept, but not renewed. */
  want(wants: readonly Want[]): void {
    this.#wants = wants;
    const fresh = new Map<string, Ticket>();
    for (const want of wants) {
      const read = want.names.map(readName);
      const names = [...new Set(read.map((one, i) => ("name" in one ? one.name : want.names[i]!)))];
      if (names.length === 0) continue;
      const key = `${want.resolver} ${[...names].sort().join(",")}`;
      const known = fresh.get(key);
      if (known !== undefined) {
        known.owners = [...new Set([...known.owners, want.owner])];
        continue;
      }
      const ticket = this.#tickets.get(key) ?? new Ticket(key, want.resolver, names, [], this.#random());
      ticket.owners = [want.owner];
      fresh.set(key, ticket);
      const wrong = read.find((one) => "reason" in one);
      this.#admit(ticket, wrong && "reason" in wrong ? wrong.reason : undefined);
    }
    this.#tickets.clear();
    for (const [key, ticket] of fresh) this.#tickets.set(key, ticket);
    this.#wake();
  }

  #admit(ticket: Ticket, wrongName: string | undefined): void {
    const runtime = this.#runtimes.get(ticket.resolver);
    const folderReason = runtime && this.#blockedReason(ticket, runtime);
    const reason = wrongName ?? folderReason ?? (runtime ? undefined : this.#unusableReason(ticket.resolver));
    if (reason !== undefined) {
      ticket.block(reason);
      return;
    }
    if (ticket.state === "blocked") ticket.state = "waiting";
    for (const { id } of runtime!.plan.cas) ticket.own ??= this.#holdings.own(id, ticket.names);
  }

  #unusableReason(resolver: string): string {
    const reason = this.#unusable.get(resolver);
    return reason ?? `there is no certificate resolver ${JSON.stringify(resolver)}`;
  }

  #blockedReason(ticket: Ticket, { plan }: Runtime): string | undefined {
    for (const { id } of plan.cas) {
      const reason = this.#blocked.get(folderOf(id, ticket.names));
      if (reason !== undefined) return reason;
    }
    return undefined;
  }

  /** Tries a name now, whatever its failures say; the budget still holds. */
  retry(resolver: string, name: string): boolean {
    for (const ticket of this.#tickets.values()) {
      if (ticket.resolver !== resolver || !ticket.names.includes(name) || ticket.running) continue;
      ticket.forced = true;
      ticket.holdUntilMs = 0;
      this.#wake();
      return true;
    }
    return false;
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
      if (this.#unusable.size > 0 && !signal.aborted) await this.#openResolvers();
    }
  }

  /** Starts whatever is due. Gives the time of the next thing to do. */
  #startDueJobs(): number {
    const nowMs = this.#clock.nowMs();
    let nextMs = this.#unsaved.size + this.#unusable.size > 0 ? nowMs + MINUTE_MS : Number.POSITIVE_INFINITY;
    const wanted = this.#wantedFolders();
    for (const ticket of this.#tickets.values()) {
      const runtime = this.#runtimes.get(ticket.resolver);
      if (runtime === undefined) continue;
      const cas = runtime.plan.cas.map(({ id }) => id);
      const dueMs = ticket.dueAtMs(
        this.#holdings,
        cas,
        (kept) => wanted.has(folderOf(kept.ca, kept.names)),
        nowMs,
      );
      this.#describe(ticket, dueMs, nowMs);
      const startMs = dueMs <= nowMs ? this.#startOrWait(ticket, runtime, nowMs) : dueMs;
      nextMs = Math.min(nextMs, startMs, this.#adviceDue(ticket, runtime, nowMs));
    }
    return nextMs;
  }

  /** Starts the job, or says when there is room for it. */
  #startOrWait(ticket: Ticket, runtime: Runtime, nowMs: number): number {
    if (this.#jobs.size >= JOBS_MAX) return Number.POSITIVE_INFINITY;
    if (ticket.own !== undefined) {
      this.#renewals = this.#renewals.filter((atMs) => atMs > nowMs - MINUTE_MS && atMs <= nowMs);
      if (this.#renewals.length >= RENEWALS_PER_MINUTE) return this.#renewals[0]! + MINUTE_MS;
      this.#renewals.push(nowMs);
    }
    this.#start(ticket, () => this.#work(ticket, runtime));
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

  #describe(ticket: Ticket, dueMs: number, nowMs: number): void {
    if (ticket.running || ticket.state === "blocked") return;
    const { own, failure } = ticket;
    const isServed = own !== undefined && own.spec.notAfterMs > nowMs;
    if (isServed) ticket.state = "valid";
    else if (dueMs === Number.POSITIVE_INFINITY) ticket.state = "covered";
    else if (failure !== undefined && ticket.state !== "parked" && ticket.state !== "elsewhere")
      ticket.state = "failed";
    if (isServed && failure === undefined) ticket.reason = "";
  }

  #wantedFolders(): ReadonlySet<string> {
    const folders = new Set<string>();
    for (const ticket of this.#tickets.values()) {
      if (ticket.own !== undefined) folders.add(folderOf(ticket.own.ca, ticket.own.names));
    }
    return folders;
  }

  // --- One certificate ---

  async #work(ticket: Ticket, runtime: Runtime): Promise<void> {
    try {
      await this.#underLock(ticket, runtime);
    } catch (error) {
      if (error instanceof NotYet) this.#park(ticket, error.waitMs);
      else await this.#failed(ticket, runtime, asProblem(error));
    }
  }

  async #underLock(ticket: Ticket, runtime: Runtime): Promise<void> {
    const { shelf, plan } = runtime;
    const forced = ticket.forced;
    const lock = await shelf.vault.tryLock(`cert-${shelfName(ticket.names)}`);
    if (lock === undefined) {
      ticket.state = "elsewhere";
      ticket.reason = "another process is getting this certificate";
      ticket.holdUntilMs = this.#clock.nowMs() + ELSEWHERE_MS;
      await this.#adoptStored(ticket, runtime);
      return;
    }
    try {
      // Whoever had the lock before us may have finished, or failed, meanwhile.
      if (await this.#adoptStored(ticket, runtime)) return;
      if (!forced && (await this.#adoptFailure(ticket, runtime))) return;
      ticket.forced = false;
      this.counts.get(plan.name)!.orders += 1;
      const kept = await obtain(
        {
          names: ticket.names,
          own: ticket.own,
          failures: ticket.failure?.count ?? 0,
          held: () => lock.held(),
          onStage: (stage) => {
            ticket.state = stage;
          },
        },
        runtime,
        { clock: this.#clock, network: this.#network, signal: this.#stop.signal },
      );
      if (!(await lock.held())) return;
      await this.#keep(ticket, runtime, kept);
    } finally {
      await lock.release();
    }
  }

  /** Takes a newer certificate from the store. True when there was one that need not be renewed. */
  async #adoptStored(ticket: Ticket, { plan, shelf }: Runtime): Promise<boolean> {
    for (const { id } of plan.cas) {
      const stored = await shelf.loadCertificate(id, ticket.names);
      if (stored === undefined || stored.spec.id === ticket.own?.spec.id) continue;
      if (ticket.own !== undefined && stored.spec.notAfterMs <= ticket.own.spec.notAfterMs) continue;
      this.#adopt(ticket, stored);
      if (stored.spec.notAfterMs > this.#clock.nowMs()) return true;
    }
    return false;
  }

  async #adoptFailure(ticket: Ticket, { plan, shelf }: Runtime): Promise<boolean> {
    const stored = await shelf.loadFailure(plan.name, ticket.names);
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

  async #keep(ticket: Ticket, { plan, shelf }: Runtime, kept: Kept): Promise<void> {
    this.#adopt(ticket, kept);
    this.counts.get(plan.name)!.issued += 1;
    const { names, issuer, spec } = kept;
    const until = new Date(spec.notAfterMs).toISOString();
    this.#host.log.info({ resolver: plan.name, names, issuer, ca: kept.ca, until }, "certificate issued");
    try {
      await save(shelf, kept);
      await shelf.removeFailure(plan.name, names);
    } catch (error) {
      // It is served from memory, and written as soon as that works.
      this.#unsaved.set(folderOf(kept.ca, names), kept);
      ticket.reason = `not saved yet: ${(error as Error).message}`;
      this.#host.log.error({ resolver: plan.name, names }, `the certificate is ${ticket.reason}`);
    }
  }

  async #saveAgain(): Promise<void> {
    for (const [folder, kept] of this.#unsaved) {
      const shelf = this.#runtimes.get(kept.resolver)?.shelf;
      if (shelf === undefined) continue;
      try {
        await save(shelf, kept);
        this.#unsaved.delete(folder);
        this.#host.log.info({ names: kept.names }, "the certificate is saved now");
        for (const ticket of this.#tickets.values()) if (ticket.own === kept) ticket.reason = "";
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

  async #failed(ticket: Ticket, runtime: Runtime, problem: AcmeProblem): Promise<void> {
    if (problem.type === "aborted") return;
    const { plan, shelf, budget } = runtime;
    const nowMs = this.#clock.nowMs();
    if (problem.type === "superseded") {
      ticket.holdUntilMs = nowMs + ELSEWHERE_MS;
      return;
    }
    const count = (ticket.failure?.count ?? 0) + 1;
    const isServed = ticket.own !== undefined && ticket.own.spec.notAfterMs > nowMs;
    const nextAtMs = nowMs + waitAfter(problem, count, isServed, this.#random);
    const reason = explain(problem);
    const permanent = problem.kind === "permanent";
    const { type } = problem;
    const failure: Failure = {
      names: ticket.names,
      resolver: plan.name,
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
    this.counts.get(plan.name)!.failed += 1;
    const next = new Date(nextAtMs).toISOString();
    this.#host.log.warn({ resolver: plan.name, names: ticket.names, type, next, failures: count }, reason);
    if (ticket.own !== undefined) this.#sayIfLate(ticket, nowMs);
    try {
      await shelf.saveFailure(failure);
      if (problem.kind === "validation" && type !== "preflight") {
        await budget(plan.cas[0]!).failed(ticket.names, nowMs);
      }
    } catch (error) {
      this.#host.log.error(
        { resolver: plan.name },
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
  #adviceDue(ticket: Ticket, runtime: Runtime, nowMs: number): number {
    const { own } = ticket;
    const ca = runtime.plan.cas.find(({ id }) => id === own?.ca);
    if (own?.ariId === undefined || ca === undefined || ticket.running || own.spec.notAfterMs <= nowMs)
      return Number.POSITIVE_INFINITY;
    if (ticket.adviceAtMs > nowMs) return ticket.adviceAtMs;
    if (this.#jobs.size >= JOBS_MAX) return Number.POSITIVE_INFINITY;
    ticket.adviceAtMs = nowMs + ADVICE_AFTER_FAILURE_MS;
    const connection = runtime.connection(ca);
    this.#start(ticket, () => this.#advise(ticket, own, connection));
    return Number.POSITIVE_INFINITY;
  }

  async #advise(ticket: Ticket, own: Kept, connection: Connection): Promise<void> {
    try {
      const ca = await connection.ca(this.#stop.signal);
      const window = await ca.renewalWindow(own.ariId!);
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
    let found = false;
    for (const ticket of this.#tickets.values()) {
      if (ticket.state !== "elsewhere" || ticket.running) continue;
      ticket.holdUntilMs = 0;
      found = true;
    }
    if (found) this.#wake();
  }

  // --- What is seen ---

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
    const nowMs = this.#clock.nowMs();
    return [...this.#tickets.values()].map((ticket) => {
      const { resolver, names, owners, state, reason, failure, own, holdUntilMs } = ticket;
      const nextTryAtMs = Math.max(failure?.nextAtMs ?? 0, holdUntilMs);
      return {
        resolver,
        names,
        owners,
        state,
        reason,
        failures: failure?.count ?? 0,
        nextTryAtMs: nextTryAtMs > nowMs ? nextTryAtMs : undefined,
        certificate: own?.spec,
        issuer: own?.issuer ?? "",
        renewAtMs: ticket.renewAtMs(),
      };
    });
  }
}

async function save(shelf: Shelf, kept: Kept): Promise<void> {
  await shelf.saveCertificate(kept);
  await shelf.removeOrder(kept.ca, kept.names);
}

function once<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

import type { Logger } from "../model/host.ts";
import type { AcmeOptions } from "../model/resolver-settings.ts";
import { Budget } from "./budget.ts";
import type { RenewalWindow } from "./ca.ts";
import type { ChallengeBoard } from "./challenges.ts";
import type { Clock } from "./clock.ts";
import { type CaPlan, Connection } from "./connection.ts";
import { InternalCa } from "./internal-ca.ts";
import { type Attempt, obtain, type Runtime } from "./obtain.ts";
import type { Network } from "./preflight.ts";
import { planResolver, type ResolverPlan, storagePaths } from "./resolver.ts";
import { SharedChallenges } from "./shared-challenges.ts";
import type { Kept, Shelf } from "./shelf.ts";
import { makeSolvers } from "./solvers.ts";
import { importOnce, openStorage, type StorageTools } from "./storage.ts";

/** A certificate resolver at work: something that gives certificates, and where they are kept. */
export interface Issuer {
  readonly name: string;
  /** Folders in which its certificates may be, preferred first. */
  readonly cas: readonly string[];
  readonly shelf: Shelf;
  /** Rejects with `AcmeProblem`, `VaultError` or `NotYet`. */
  obtain(attempt: Attempt): Promise<Kept>;
  /** When its CA suggests to renew; undefined when it has nothing to say. */
  advice(kept: Kept): Promise<RenewalWindow | undefined>;
  /** Counts a failed validation against the CA's limits. */
  validationFailed(names: readonly string[]): Promise<void>;
}

export interface IssuerTools {
  readonly resolvers: ReadonlyMap<string, AcmeOptions>;
  readonly log: Logger;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly network: Network;
  readonly board: ChallengeBoard;
  readonly signal: AbortSignal;
  /** Where authoritative name servers listen; 53 outside of tests. */
  readonly authorityPort?: number;
  /** A store has been opened: here is what is in it. */
  readonly onStore: (shelf: Shelf) => Promise<void>;
  /** Another process may have written to a store. */
  readonly onChanged: () => void;
  /** A store that was away is there again. */
  readonly onBack: () => void;
}

/** The resolver that needs no CA: `certResolver: internal`. */
export const INTERNAL = "internal";
/** Traefik's default; the directory `acme` beside it is what we write. */
export const DEFAULT_STORAGE = "acme.json";

/** Every resolver of the settings, opened as far as its storage allows. */
export class Issuers {
  readonly #tools: IssuerTools;
  readonly #issuers = new Map<string, Issuer>();
  readonly #unusable = new Map<string, string>();
  readonly #shelves = new Map<string, Shelf>();
  /** Stores whose certificates have been handed out. */
  readonly #read = new Set<string>();
  readonly #shared = new Map<string, SharedChallenges>();
  readonly #connections = new Map<string, Connection>();
  readonly #budgets = new Map<string, Budget>();

  constructor(tools: IssuerTools) {
    this.#tools = tools;
  }

  get(name: string): Issuer | undefined {
    return this.#issuers.get(name);
  }

  /** Why a name that is not there is not. */
  reason(name: string): string {
    const isKnown = this.#tools.resolvers.has(name) || name === INTERNAL;
    const reason = isKnown
      ? "its storage is being opened"
      : `there is no certificate resolver ${JSON.stringify(name)}`;
    return this.#unusable.get(name) ?? reason;
  }

  get waiting(): boolean {
    return this.#unusable.size > 0;
  }

  /** Opens what is not open yet. What cannot be used is said once, and tried again at the next call. */
  async open(wantsInternal: boolean): Promise<void> {
    for (const [name, options] of this.#tools.resolvers) {
      await this.#openOne(name, () => this.#openAcme(planResolver(name, options)));
    }
    if (wantsInternal) await this.#openOne(INTERNAL, () => this.#openInternal());
  }

  async #openOne(name: string, open: () => Promise<Issuer>): Promise<void> {
    if (this.#issuers.has(name)) return;
    try {
      this.#issuers.set(name, await open());
      this.#unusable.delete(name);
    } catch (error) {
      const { message } = error as Error;
      if (this.#unusable.get(name) !== message)
        this.#tools.log.error({ resolver: name }, `the certificate resolver cannot be used: ${message}`);
      this.#unusable.set(name, message);
    }
  }

  async #openAcme(plan: ResolverPlan): Promise<Issuer> {
    const shelf = await this.#openShelf(plan);
    const { board, clock, network, signal } = this.#tools;
    const shared = this.#shared.get(plan.storage)!;
    const show = shared.sharing("http-01", board.http);
    const solvers = await makeSolvers(plan, { ...this.#tools, shared });
    const connection = (ca: CaPlan) =>
      once(this.#connections, `${plan.storage} ${ca.id}`, () => new Connection(ca, shelf, clock));
    const budget = (ca: CaPlan) =>
      once(this.#budgets, `${plan.storage} ${ca.id}`, () => new Budget(shelf.vault, ca.id));
    const runtime: Runtime = { plan, shelf, show, solvers, connection, budget };
    return {
      name: plan.name,
      cas: plan.cas.map(({ id }) => id),
      shelf,
      obtain: (attempt) => obtain(attempt, runtime, { clock, network, signal }),
      async advice(kept) {
        const caPlan = plan.cas.find(({ id }) => id === kept.ca);
        if (caPlan === undefined || kept.ariId === undefined) return undefined;
        return (await connection(caPlan).ca(signal)).renewalWindow(kept.ariId);
      },
      async validationFailed(names) {
        await budget(plan.cas[0]!).failed(names, clock.nowMs());
      },
    };
  }

  /** The authority of our own lives in the store of the first resolver, or in the default one. */
  async #openInternal(): Promise<Issuer> {
    const storage = [...this.#tools.resolvers.values()][0]?.storage ?? DEFAULT_STORAGE;
    const shelf = await this.#openShelf(storagePaths(storage));
    const { clock } = this.#tools;
    const authority = await InternalCa.open(shelf.vault, clock.nowMs());
    return {
      name: INTERNAL,
      cas: [INTERNAL],
      shelf,
      async obtain({ names, onStage }) {
        onStage("ordering");
        const nowMs = clock.nowMs();
        const facts = await authority.issue(names, nowMs);
        return { ...facts, ca: INTERNAL, names, resolver: INTERNAL, issuedAtMs: nowMs, profile: "" };
      },
      advice: async () => undefined,
      validationFailed: async () => {},
    };
  }

  async #openShelf(paths: Pick<ResolverPlan, "storage" | "legacyFile">): Promise<Shelf> {
    const { storage, legacyFile } = paths;
    const { resolvers, onStore } = this.#tools;
    const tools = this.#storageTools(storage);
    const shelf = this.#shelves.get(storage) ?? this.#follow(storage, await openStorage(storage, tools));
    if (this.#read.has(storage)) return shelf;
    await importOnce(legacyFile, resolvers, shelf, tools);
    await onStore(shelf);
    this.#read.add(storage);
    return shelf;
  }

  #storageTools(storage: string): StorageTools {
    const { log, environment, clock } = this.#tools;
    const report = (entry: string, message: string) => log.error({ storage, entry }, message);
    return { clock, log, environment, report };
  }

  /** Before anything is read of it: its server may be away, and is to be read when it comes. */
  #follow(storage: string, shelf: Shelf): Shelf {
    const { board, clock, onChanged, onBack } = this.#tools;
    const shared = new SharedChallenges(shelf.vault, board, clock);
    const changed = () => {
      void shared.refresh();
      onChanged();
    };
    shelf.vault.watch(changed, onBack);
    this.#shelves.set(storage, shelf);
    this.#shared.set(storage, shared);
    return shelf;
  }

  /** Aborts every request to a CA. */
  async hangUp(): Promise<void> {
    await Promise.allSettled([...this.#connections.values()].map((connection) => connection.close()));
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#shelves.values()].map(({ vault }) => vault.close()));
  }
}

function once<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

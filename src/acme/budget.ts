import { registeredDomain, shelfName } from "./names.ts";
import { isRecord } from "./problem.ts";
import type { Vault } from "./vault.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Let's Encrypt's limits: how many at once, and how long until one more is allowed. */
const LIMITS = {
  orders: { most: 300, refillMs: (3 * HOUR_MS) / 300 },
  domain: { most: 50, refillMs: (168 * HOUR_MS) / 50 },
  set: { most: 5, refillMs: (168 * HOUR_MS) / 5 },
  failures: { most: 5, refillMs: HOUR_MS / 5 },
} as const;
type Limit = keyof typeof LIMITS;

interface Bucket {
  readonly left: number;
  readonly atMs: number;
}

/**
 * How often a CA may be asked, kept in the store, so that neither a crash loop nor a mistake in 500 labels nor a
 * second machine uses up what the CA allows: it is refused here first.
 */
export class Budget {
  readonly #vault: Vault;
  readonly #path: string;
  readonly #changes: Change[] = [];
  #isWriting = false;

  constructor(vault: Vault, caId: string) {
    this.#vault = vault;
    this.#path = `budget/${caId}.json`;
  }

  /** Takes what one order costs. Gives 0, or the milliseconds until there is enough. */
  takeOrder(names: readonly string[], isRenewal: boolean, nowMs: number): Promise<number> {
    const keys = [key("orders", ""), key("set", shelfName(names))];
    // A renewal of the same names does not count against its domain.
    if (!isRenewal)
      for (const domain of new Set(names.map(registeredDomain))) keys.push(key("domain", domain));
    const failed = names.map((name) => key("failures", name));
    return this.#update((buckets) => {
      const waits = [...keys, ...failed].map((one) => waitMs(buckets, one, nowMs));
      const wait = Math.max(...waits);
      if (wait === 0) for (const one of keys) change(buckets, one, -1, nowMs);
      return wait;
    }, nowMs);
  }

  /** The order ended without a certificate: CAs count those alone for a domain and for a set of names. */
  giveBack(names: readonly string[], nowMs: number): Promise<number> {
    const keys = [key("set", shelfName(names))];
    for (const domain of new Set(names.map(registeredDomain))) keys.push(key("domain", domain));
    return this.#update((buckets) => {
      for (const one of keys) change(buckets, one, 1, nowMs);
      return 0;
    }, nowMs);
  }

  /** Remembers that a validation of the name failed. */
  failed(names: readonly string[], nowMs: number): Promise<number> {
    return this.#update((buckets) => {
      for (const name of names) change(buckets, key("failures", name), -1, nowMs);
      return 0;
    }, nowMs);
  }

  #update(work: Change["work"], nowMs: number): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#changes.push({ work, resolve, reject });
    void this.#write(nowMs);
    return promise;
  }

  // One write at a time; whoever comes meanwhile shares the next.
  async #write(nowMs: number): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (this.#changes.length > 0) {
      const changes = this.#changes.splice(0);
      try {
        let answers: readonly number[] = [];
        await this.#vault.change(this.#path, (before) => {
          const buckets = read(before?.toString());
          answers = changes.map(({ work }) => work(buckets));
          for (const one of [...buckets.keys()])
            if (left(buckets, one, nowMs) >= limitOf(one).most) buckets.delete(one);
          return JSON.stringify([...buckets]);
        });
        for (const [i, { resolve }] of changes.entries()) resolve(answers[i]!);
      } catch (error) {
        for (const { reject } of changes) reject(error);
      }
    }
    this.#isWriting = false;
  }
}

interface Change {
  readonly work: (buckets: Map<string, Bucket>) => number;
  readonly resolve: (answer: number) => void;
  readonly reject: (error: unknown) => void;
}

const key = (limit: Limit, subject: string) => `${limit} ${subject}`;
const limitOf = (one: string) => LIMITS[one.slice(0, one.indexOf(" ")) as Limit];

function left(buckets: ReadonlyMap<string, Bucket>, one: string, nowMs: number): number {
  const { most, refillMs } = limitOf(one);
  const bucket = buckets.get(one);
  if (bucket === undefined) return most;
  // A clock that was set back must not freeze the budget until it has caught up.
  const passedMs = Math.max(nowMs - bucket.atMs, 0);
  return Math.min(most, bucket.left + passedMs / refillMs);
}

function waitMs(buckets: ReadonlyMap<string, Bucket>, one: string, nowMs: number): number {
  const missing = 1 - left(buckets, one, nowMs);
  return missing <= 0 ? 0 : Math.ceil(missing * limitOf(one).refillMs);
}

function change(buckets: Map<string, Bucket>, one: string, by: number, nowMs: number): void {
  const changed = Math.min(Math.max(left(buckets, one, nowMs) + by, 0), limitOf(one).most);
  buckets.set(one, { left: changed, atMs: nowMs });
}

function read(text: string | undefined): Map<string, Bucket> {
  const buckets = new Map<string, Bucket>();
  try {
    for (const [one, bucket] of JSON.parse(text ?? "[]") as [string, unknown][]) {
      const isKnown = typeof one === "string" && Object.hasOwn(LIMITS, one.slice(0, one.indexOf(" ")));
      if (!isKnown || !isRecord(bucket)) continue;
      buckets.set(one, { left: Number(bucket["left"]) || 0, atMs: Number(bucket["atMs"]) || 0 });
    }
  } catch {
    // A budget that cannot be read begins anew; the CA's own limits still hold.
  }
  return buckets;
}

import { createHash } from "node:crypto";
import type { Cluster, Redis } from "ioredis";
import type { Logger } from "../model/host.ts";
import {
  connectionsOf,
  type SharedLimit,
  type SharedLimitOptions,
  type SharedLimitSpec,
  type Taken,
} from "../model/shared-limit.ts";
import { TAKE } from "./script.ts";

type Client = Redis | Cluster;
type Command = (key: string, intervalUs: number, burst: number, delayUs: number) => Promise<unknown>;

const PREFIX = "waybill:rate:";
const MISSES_MAX = 5;
const PROBE_MS = 1000;
const REVIVE_MS = 200;
const COMPLAIN_MS = 60_000;

/** The Redis servers that limits of this thread are counted in: one set of connections for those that say the same. */
export class SharedLimits {
  readonly #log: Logger;
  readonly #stores = new Map<string, { readonly store: Store; users: number }>();

  constructor(log: Logger) {
    this.#log = log;
  }

  open(limit: string, { options, perSecond, burst, delayMsMax }: SharedLimitSpec): SharedLimit {
    const key = JSON.stringify(options);
    const entry = this.#stores.get(key) ?? { store: new Store(options, this.#log), users: 0 };
    this.#stores.set(key, entry);
    entry.users++;
    const { store } = entry;
    const [intervalUs, delayUs] = [1e6 / perSecond, delayMsMax * 1000];
    return {
      take: (name) =>
        store.isUp ? store.take(`${PREFIX}${limit}:${digest(name)}`, intervalUs, burst, delayUs) : undefined,
      get state() {
        return store.isUp ? "up" : "down";
      },
      close: () => {
        if (--entry.users > 0) return;
        this.#stores.delete(key);
        store.close();
      },
    };
  }
}

// What tells clients apart may be a secret, and may be long.
const digest = (name: string) => createHash("sha256").update(name).digest("base64url").slice(0, 22);

/**
 * One Redis, and whether it is worth asking. After five misses in a row nobody waits for it any more; it is then asked
 * once a second, on nobody's time, until it answers.
 */
class Store {
  readonly #where: string;
  readonly #timeoutMs: number;
  readonly #log: Logger;
  #clients: readonly Client[] = [];
  #next = 0;
  #misses = 0;
  #open = true;
  #closed = false;
  #complainedMs = Number.NEGATIVE_INFINITY;
  #probing: NodeJS.Timeout;

  constructor(options: SharedLimitOptions, log: Logger) {
    this.#where = options.endpoints.join(", ");
    this.#timeoutMs = Math.min(options.readTimeout, options.writeTimeout);
    this.#log = log;
    this.#probing = setTimeout(() => this.#giveUp("no connection"), options.dialTimeout);
    void this.#start(options);
  }

  /** Whether there is a point in asking. Until the first answer there is none. */
  get isUp(): boolean {
    return !this.#open;
  }

  async take(key: string, intervalUs: number, burst: number, delayUs: number): Promise<Taken | undefined> {
    const answer = await this.#ask(key, intervalUs, burst, delayUs);
    if (answer instanceof Error) {
      if (++this.#misses >= MISSES_MAX && !this.#open) this.#giveUp(answer.message);
      return undefined;
    }
    this.#misses = 0;
    return answer;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#probing);
    for (const client of this.#clients) client.disconnect();
  }

  // ioredis is read only where a limit is counted in Redis: it is larger than all of us.
  async #start(options: SharedLimitOptions): Promise<void> {
    const { connect } = await import("./connect.ts");
    if (this.#closed) return;
    this.#clients = Array.from({ length: connectionsOf(options) }, () => {
      const client = connect(options, this.#timeoutMs);
      client.defineCommand("waybillTake", { numberOfKeys: 1, lua: TAKE });
      // A new connection is worth a look at once; an old breaker has nothing to say about it.
      client.on("ready", () => void this.#probe());
      client.on("end", () => this.#revive(client));
      return client;
    });
  }

  // A failover that is announced while it looks for the master makes ioredis give up for good.
  #revive(client: Client): void {
    if (this.#closed) return;
    setTimeout(() => {
      if (!this.#closed && client.status === "end") client.connect().catch(() => {});
    }, REVIVE_MS).unref();
  }

  async #ask(...args: Parameters<Command>): Promise<Taken | Error> {
    const client = this.#clients[this.#next++ % this.#clients.length];
    if (client?.status !== "ready") return new Error("not connected");
    try {
      const command = client as unknown as { readonly waybillTake: Command };
      return readTaken(await within(this.#timeoutMs, command.waybillTake(...args)));
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  #giveUp(reason: string): void {
    if (this.#closed) return;
    this.#open = true;
    this.#probeLater();
    const nowMs = performance.now();
    if (nowMs - this.#complainedMs < COMPLAIN_MS) return;
    this.#complainedMs = nowMs;
    this.#log.warn(
      { redis: this.#where, reason },
      "Redis does not answer; rate limits are counted on this machine alone until it does",
    );
  }

  #probeLater(): void {
    clearTimeout(this.#probing);
    this.#probing = setTimeout(() => void this.#probe(), PROBE_MS);
  }

  async #probe(): Promise<void> {
    if (this.#closed || !this.#open) return;
    const answer = await this.#ask(`${PREFIX}probe`, 1, 1, 0);
    if (this.#closed || !this.#open) return;
    if (answer instanceof Error) return this.#giveUp(answer.message);
    clearTimeout(this.#probing);
    this.#open = false;
    this.#misses = 0;
    if (this.#complainedMs === Number.NEGATIVE_INFINITY) return;
    this.#log.info({ redis: this.#where }, "Redis answers; rate limits are counted in it again");
  }
}

/** ioredis starts its own time limit anew when a cluster sends it to another node. */
function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
    answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function readTaken(answer: unknown): Taken {
  const [waitUs, fullUs] = Array.isArray(answer) ? (answer as unknown[]) : [];
  if (!Number.isSafeInteger(waitUs) || !Number.isSafeInteger(fullUs))
    throw new Error("an answer that is none of ours");
  return { waitMs: Math.max(0, waitUs as number) / 1000, fullMs: Math.max(0, fullUs as number) / 1000 };
}

import { randomBytes } from "node:crypto";
import type { ChallengeBoard, Solver } from "./challenges.ts";
import type { Clock } from "./clock.ts";
import { isRecord } from "./problem.ts";
import type { Vault } from "./vault.ts";

/** After this long a proof that nobody took away belongs to a process that died. */
const ORPHAN_MS = 3_600_000;
/** How long a machine that shares the store may take to answer our proof too. */
const SPREAD_MS = 5000;
const LOOK_MS = 100;
const TYPES: readonly unknown[] = ["http-01", "tls-alpn-01"];
/** What tokens and names may be: they become routing rules and file names. */
const SAFE = /^[\w.:-]{1,256}$/;

/** Proofs in the shared store, so that whichever machine the CA reaches can answer. */
export class SharedChallenges {
  readonly #vault: Vault;
  readonly #board: ChallengeBoard;
  readonly #clock: Clock;
  readonly #mine = new Set<string>();
  readonly #known = new Map<string, () => Promise<void>>();
  readonly #self = randomBytes(8).toString("hex");
  #refreshing: Promise<void> | undefined;
  #isStale = false;

  constructor(vault: Vault, board: ChallengeBoard, clock: Clock) {
    this.#vault = vault;
    this.#board = board;
    this.#clock = clock;
  }

  /** The same solver, with its proof put into the store as well: the CA may ask any of those who share it. */
  sharing(type: string, solver: Solver): Solver {
    return async (proof) => {
      const { token, keyAuthorization, authorization } = proof;
      const path = `challenges/${token}.json`;
      // Of an order that was left to us it has been there before: its end is ours to say from now on.
      this.#mine.add(path);
      this.#known.delete(path);
      const hide = await solver(proof);
      const cleanUp = async () => {
        await hide();
        await this.#vault.remove(path);
        this.#mine.delete(path);
      };
      try {
        const record = { type, name: authorization.name, token, keyAuthorization, atMs: this.#clock.nowMs() };
        await this.#vault.put(path, JSON.stringify(record));
        await this.#spread(token, proof.signal);
      } catch (error) {
        await cleanUp().catch(() => {});
        throw error;
      }
      return cleanUp;
    };
  }

  /** Until the others answer it too. One of them that is too slow does not hold the order up for long. */
  async #spread(token: string, signal: AbortSignal): Promise<void> {
    const others = await this.#vault.peers();
    const endMs = this.#clock.tickMs() + SPREAD_MS;
    while (others > 0 && this.#clock.tickMs() < endMs) {
      if ((await this.#vault.list(`seen/${token}`)).length >= others) return;
      await this.#clock.sleep(LOOK_MS, signal);
    }
  }

  /** Learns of the other machines' proofs. Never throws; resolves when all that was there by now is answered. */
  refresh(): Promise<void> {
    // What was put after the list was read would otherwise wait for the next word from anybody.
    this.#isStale = true;
    this.#refreshing ??= this.#catchUp().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #catchUp(): Promise<void> {
    while (this.#isStale) {
      this.#isStale = false;
      await this.#refresh().catch(() => {});
    }
  }

  async #refresh(): Promise<void> {
    const paths = (await this.#vault.list("challenges")).filter((path) => !this.#mine.has(path));
    for (const [path, forget] of this.#known) {
      if (paths.includes(path)) continue;
      this.#known.delete(path);
      await forget();
    }
    await Promise.allSettled(paths.filter((path) => !this.#known.has(path)).map((path) => this.#learn(path)));
  }

  async #learn(path: string): Promise<void> {
    const record = readRecord((await this.#vault.get(path))?.toString());
    if (record === undefined) return;
    const { type, name, token, keyAuthorization, atMs } = record;
    if (this.#clock.nowMs() - atMs > ORPHAN_MS) return this.#vault.remove(path);
    const solver = type === "tls-alpn-01" ? this.#board.tlsAlpn : this.#board.http;
    const authorization = { url: "", name, status: "pending", challenges: [], retryAfterMs: undefined };
    const signal = new AbortController().signal;
    if (this.#mine.has(path)) return;
    const hide = await solver({ authorization, token, keyAuthorization, signal });
    if (this.#mine.has(path)) return;
    const seen = `seen/${token}/${this.#self}`;
    this.#known.set(path, async () => {
      await hide();
      await this.#vault.remove(seen).catch(() => {});
    });
    await this.#vault.put(seen, "");
  }
}

interface SharedProof {
  readonly type: string;
  readonly name: string;
  readonly token: string;
  readonly keyAuthorization: string;
  readonly atMs: number;
}

/** Undefined for whatever is not one of ours. */
function readRecord(text = ""): SharedProof | undefined {
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(record) || !TYPES.includes(record["type"]) || typeof record["atMs"] !== "number")
    return undefined;
  const texts = [record["name"], record["token"], record["keyAuthorization"]];
  if (!texts.every((one) => typeof one === "string" && SAFE.test(one))) return undefined;
  return record as unknown as SharedProof;
}

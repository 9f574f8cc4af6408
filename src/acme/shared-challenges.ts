import type { ChallengeBoard, Solver } from "./challenges.ts";
import type { Clock } from "./clock.ts";
import { isRecord } from "./problem.ts";
import type { Vault } from "./vault.ts";

/** After this long a proof that nobody took away belongs to a process that died. */
const ORPHAN_MS = 3_600_000;

/** Proofs in the shared store, so that whichever machine the CA reaches can answer. */
export class SharedChallenges {
  readonly #vault: Vault;
  readonly #board: ChallengeBoard;
  readonly #clock: Clock;
  readonly #mine = new Set<string>();
  readonly #known = new Map<string, () => Promise<void>>();
  #refreshing: Promise<void> | undefined;

  constructor(vault: Vault, board: ChallengeBoard, clock: Clock) {
    this.#vault = vault;
    this.#board = board;
    this.#clock = clock;
  }

  /** The same solver, with its proof put into the store as well. */
  sharing(type: string, solver: Solver): Solver {
    return async (proof) => {
      const { token, keyAuthorization, authorization } = proof;
      const path = `challenges/${token}.json`;
      const cleanUp = await solver(proof);
      this.#mine.add(path);
      const record = { type, name: authorization.name, token, keyAuthorization, atMs: this.#clock.nowMs() };
      await this.#vault.put(path, JSON.stringify(record));
      return async () => {
        await cleanUp();
        await this.#vault.remove(path);
        this.#mine.delete(path);
      };
    };
  }

  /** Learns of the other machines' proofs. One at a time; never throws. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh()
      .catch(() => {})
      .finally(() => {
        this.#refreshing = undefined;
      });
    return this.#refreshing;
  }

  async #refresh(): Promise<void> {
    const paths = (await this.#vault.list("challenges")).filter((path) => !this.#mine.has(path));
    for (const [path, forget] of this.#known) {
      if (paths.includes(path)) continue;
      this.#known.delete(path);
      await forget();
    }
    for (const path of paths) if (!this.#known.has(path)) await this.#learn(path);
  }

  async #learn(path: string): Promise<void> {
    const text = (await this.#vault.get(path))?.toString() ?? "";
    let record: unknown;
    try {
      record = JSON.parse(text);
    } catch {
      return;
    }
    if (!isRecord(record)) return;
    const { type, name, token, keyAuthorization, atMs } = record;
    if (typeof atMs !== "number" || this.#clock.nowMs() - atMs > ORPHAN_MS) return this.#vault.remove(path);
    if (typeof name !== "string" || typeof token !== "string" || typeof keyAuthorization !== "string") return;
    const solver = type === "tls-alpn-01" ? this.#board.tlsAlpn : this.#board.http;
    const authorization = { url: "", name, status: "pending", challenges: [], retryAfterMs: undefined };
    const signal = new AbortController().signal;
    this.#known.set(path, await solver({ authorization, token, keyAuthorization, signal }));
  }
}

import { Ca } from "./ca.ts";
import { newKey } from "./certificate.ts";
import type { Clock } from "./clock.ts";
import { AcmeProblem } from "./problem.ts";
import type { Shelf } from "./shelf.ts";
import { Transport, type TransportOptions } from "./transport.ts";

/** One CA of a resolver's list. */
export interface CaPlan extends TransportOptions {
  /** Names its folders: host and path of the directory, and a digest of the external account if there is one. */
  readonly id: string;
  readonly email: string;
  readonly eab: { readonly kid: string; readonly hmacKey: string } | undefined;
}

const LOCK_TRIES = 60;

/** Our account with one CA: opened at the first need, shared by everything that uses it. */
export class Connection {
  readonly plan: CaPlan;
  readonly #shelf: Shelf;
  readonly #clock: Clock;
  readonly transport: Transport;
  #open: Promise<Ca> | undefined;

  constructor(plan: CaPlan, shelf: Shelf, clock: Clock) {
    this.plan = plan;
    this.#shelf = shelf;
    this.#clock = clock;
    this.transport = new Transport(plan, clock);
  }

  /** Registers on first use. A failure is not kept: the next caller tries again. */
  ca(signal: AbortSignal): Promise<Ca> {
    this.#open ??= this.#connect(signal).catch((error) => {
      this.#open = undefined;
      throw error;
    });
    return this.#open;
  }

  /** The CA has forgotten us: registers the same key anew. */
  async recover(signal: AbortSignal): Promise<Ca> {
    const account = await this.#shelf.loadAccount(this.plan.id);
    if (account !== undefined) await this.#shelf.saveAccount(this.plan.id, { ...account, url: undefined });
    this.#open = undefined;
    return this.ca(signal);
  }

  async #connect(signal: AbortSignal): Promise<Ca> {
    const known = await this.#shelf.loadAccount(this.plan.id);
    if (known?.url !== undefined && known.email === this.plan.email) return this.#caFor(known.key, known.url);
    const lock = await this.#lock(signal);
    try {
      // Whoever had the lock before us may have registered meanwhile.
      const now = await this.#shelf.loadAccount(this.plan.id);
      if (now?.url !== undefined && now.email === this.plan.email) return this.#caFor(now.key, now.url);
      return await this.#register(now?.key ?? (await newKey("EC256")));
    } finally {
      await lock.release();
    }
  }

  async #register(key: string): Promise<Ca> {
    const { id, email } = this.plan;
    await this.#shelf.saveAccount(id, { key, url: undefined, email });
    const url = await this.#caFor(key, undefined).register(email);
    await this.#shelf.saveAccount(id, { key, url, email });
    return this.#caFor(key, url);
  }

  async #lock(signal: AbortSignal) {
    for (let tries = 0; tries < LOCK_TRIES; tries++) {
      const lock = await this.#shelf.vault.tryLock(`account-${this.plan.id}`);
      if (lock !== undefined) return lock;
      await this.#clock.sleep(500, signal);
    }
    throw new AcmeProblem("storage", "another process has been registering the account for too long");
  }

  #caFor(key: string, url: string | undefined): Ca {
    return new Ca(this.transport, this.transport.client(key, url, this.plan.eab), this.#clock);
  }

  close(): Promise<void> {
    return this.transport.close();
  }
}

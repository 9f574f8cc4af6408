/**
 * Where accounts, certificates, orders and failures are kept: bytes under paths such as
 * `certs/<ca>/<name>/key.pem`. A directory or a Redis server; what the bytes mean is the shelf's business.
 */
export interface Vault {
  /** For people: `/letsencrypt/acme`, `redis://redis:6379`. */
  readonly where: string;
  /** Undefined when there is nothing. Throws `VaultError` when there is something that may not be read. */
  get(path: string): Promise<Buffer | undefined>;
  /** The same for many at once, in their order; what may not be read is its error. For the start: it may take long. */
  getAll(paths: readonly string[]): Promise<readonly (Buffer | VaultError | undefined)[]>;
  /** Old bytes or new bytes, whatever happens meanwhile. */
  put(path: string, bytes: string | Buffer): Promise<void>;
  /** Puts what `work` makes of what is there; asks it again when another process was quicker. */
  change(path: string, work: (before: Buffer | undefined) => string | Buffer): Promise<void>;
  remove(path: string): Promise<void>;
  /** Every path below a folder, sorted. */
  list(folder: string): Promise<readonly string[]>;
  /** Moves a broken folder or entry where it is kept but not read. Says where. */
  setAside(path: string, nowMs: number): Promise<string>;
  /** Undefined when another holds it. Never waits for it. */
  tryLock(name: string): Promise<Lock | undefined>;
  /** Calls back when another process may have changed something, and when a server that was away is there again. */
  watch(changed: () => void, back: () => void): void;
  /** How many other processes watch it now, as far as is known. Never throws. */
  peers(): Promise<number>;
  close(): Promise<void>;
}

export interface Lock {
  /** False once another has taken it over because we were thought dead: then nothing may be saved any more. */
  held(): Promise<boolean>;
  release(): Promise<void>;
}

export class VaultError extends Error {
  /** `permissions`: a person must mend them. `unavailable`: reading or writing failed. */
  readonly code: "permissions" | "unavailable";

  constructor(code: "permissions" | "unavailable", message: string) {
    super(message);
    this.name = "VaultError";
    this.code = code;
  }
}

/** Set aside entries go here, and nothing is ever read from it. */
export const ASIDE = "quarantine";

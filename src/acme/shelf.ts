import { createHash } from "node:crypto";
import type { Account } from "./ca.ts";
import { type CertificateFacts, readChecked } from "./certificate.ts";
import { shelfName } from "./names.ts";
import { isRecord } from "./problem.ts";
import { type Vault, VaultError } from "./vault.ts";

/** One certificate as it is kept. */
export interface Kept extends CertificateFacts {
  /** Folder of the CA: `acme-v02.api.letsencrypt.org`. */
  readonly ca: string;
  /** The names it was asked for; the first one names its folder. */
  readonly names: readonly string[];
  readonly resolver: string;
  readonly issuedAtMs: number;
  readonly profile: string;
}

/** An order under way: with it, a restarted process goes on instead of ordering again. */
export interface KeptOrder {
  readonly ca: string;
  readonly url: string;
  readonly names: readonly string[];
  /** PEM of the key that the certificate will have. */
  readonly key: string;
  readonly startedAtMs: number;
}

/** What went wrong with one name, kept so that a restart does not make us forget patience. */
export interface Failure {
  readonly names: readonly string[];
  readonly resolver: string;
  /** In a row. */
  readonly count: number;
  readonly lastAtMs: number;
  readonly nextAtMs: number;
  readonly type: string;
  readonly permanent: boolean;
  readonly reason: string;
}

/** Something of the store that a person should know of. */
export type Report = (entry: string, message: string) => void;

const PARTS = ["key.pem", "chain.pem", "meta.json"] as const;
type Texts = Record<(typeof PARTS)[number], string>;
const AT_ONCE = 256;

/** What the vault's bytes mean. Nothing that is read is believed before it has been checked. */
export class Shelf {
  readonly vault: Vault;
  readonly #report: Report;
  readonly #nowMs: () => number;

  constructor(vault: Vault, nowMs: () => number, report: Report) {
    this.vault = vault;
    this.#nowMs = nowMs;
    this.#report = report;
  }

  // --- Certificates ---

  /**
   * Key, chain, then the meta file that vouches for both. The version before stays whole beside it until the new
   * one is, so that a torn write falls back to it.
   */
  async saveCertificate(kept: Kept): Promise<void> {
    const folder = certificateFolder(kept.ca, kept.names);
    const before = await this.#readSet(folder, "");
    if (before !== undefined) {
      for (const part of PARTS) await this.vault.put(`${folder}/${part}.bak`, before.texts[part]);
    }
    const { key, chain } = kept.spec;
    await this.vault.put(`${folder}/key.pem`, key);
    await this.vault.put(`${folder}/chain.pem`, chain);
    await this.vault.put(`${folder}/meta.json`, describe(kept));
  }

  /** All of them, or those in some folders. */
  async loadCertificates(
    chosen?: readonly string[],
  ): Promise<{ kept: readonly Kept[]; blocked: ReadonlyMap<string, string> }> {
    const folders = chosen ?? foldersOf(await this.vault.list("certs"));
    const kept: Kept[] = [];
    const blocked = new Map<string, string>();
    for (let i = 0; i < folders.length; i += AT_ONCE) {
      const batch = folders.slice(i, i + AT_ONCE);
      const parts = await this.vault.getAll(
        batch.flatMap((folder) => PARTS.map((part) => `${folder}/${part}`)),
      );
      for (const [n, folder] of batch.entries()) {
        const found = await this.#certificateOf(
          folder,
          parts.slice(n * PARTS.length, (n + 1) * PARTS.length),
        );
        if (typeof found !== "string") found === undefined || kept.push(found);
        else {
          // Not readable is not the same as not there: ordering again would hide the mistake and burn the budget.
          blocked.set(folder, found);
          if (chosen === undefined) this.#report(folder, found);
        }
      }
    }
    return { kept, blocked };
  }

  /** A string says why it may not be read. */
  async #certificateOf(
    folder: string,
    parts: readonly (Buffer | VaultError | undefined)[],
  ): Promise<Kept | string | undefined> {
    try {
      const error = parts.find((part) => part instanceof VaultError);
      if (error !== undefined) throw error;
      const [key, chain, meta] = parts as readonly (Buffer | undefined)[];
      return (
        keptFrom(key, chain, meta)?.kept ??
        (await this.#readFolder(folder)) ??
        (await this.#mendFolder(folder))
      );
    } catch (error) {
      if (!(error instanceof VaultError)) throw error;
      return error.message;
    }
  }

  /** Without the name's lock: a certificate that is just being written is not there yet. */
  peekCertificate(ca: string, names: readonly string[]): Promise<Kept | undefined> {
    return this.#readFolder(certificateFolder(ca, names));
  }

  /** Under the name's lock: what is broken now stays broken, and is put aside. */
  async loadCertificate(ca: string, names: readonly string[]): Promise<Kept | undefined> {
    const folder = certificateFolder(ca, names);
    return (await this.#readFolder(folder)) ?? this.#setAside(folder);
  }

  async #readFolder(folder: string): Promise<Kept | undefined> {
    const current = await this.#readSet(folder, "");
    if (current !== undefined) return current.kept;
    const before = await this.#readSet(folder, ".bak");
    if (before === undefined) return undefined;
    this.#report(folder, "the newest version is broken; the one before it is used");
    return before.kept;
  }

  /** Another process may be writing it at this moment: nothing is moved without the lock. */
  async #mendFolder(folder: string): Promise<Kept | undefined> {
    const lock = await this.vault.tryLock(certificateLock(folder.slice(folder.lastIndexOf("/") + 1)));
    if (lock === undefined) return undefined;
    try {
      return (await this.#readFolder(folder)) ?? (await this.#setAside(folder));
    } finally {
      await lock.release();
    }
  }

  async #setAside(folder: string): Promise<undefined> {
    const paths = await this.vault.list(folder);
    // The meta file is written last: without it this was to be the first version, and its order is there still.
    if (!paths.some((path) => /\/meta\.json(?:\.bak)?$/.test(path))) return;
    const where = await this.vault.setAside(folder, this.#nowMs());
    this.#report(folder, `the certificate is broken and was moved to ${where}`);
  }

  /** The three files if they belong together. */
  async #readSet(folder: string, suffix: string): Promise<{ texts: Texts; kept: Kept } | undefined> {
    const [key, chain, meta] = await Promise.all(
      PARTS.map((part) => this.vault.get(`${folder}/${part}${suffix}`)),
    );
    return keptFrom(key, chain, meta);
  }

  // --- Accounts ---

  async saveAccount(ca: string, account: Account): Promise<void> {
    // The key first: it finds the rest again, and is never written twice.
    const known = await this.vault.get(`accounts/${ca}/account.key`);
    if (known?.toString() !== account.key) await this.vault.put(`accounts/${ca}/account.key`, account.key);
    const { url, email } = account;
    await this.vault.put(`accounts/${ca}/account.json`, JSON.stringify({ url, email }, null, 2));
  }

  async loadAccount(ca: string): Promise<Account | undefined> {
    const key = (await this.vault.get(`accounts/${ca}/account.key`))?.toString();
    if (key === undefined) return undefined;
    if (!/^-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----\s*$/.test(key)) {
      const where = await this.vault.setAside(`accounts/${ca}`, this.#nowMs());
      this.#report(`accounts/${ca}`, `the account key is broken and was moved to ${where}`);
      return undefined;
    }
    const data = readJson(await this.vault.get(`accounts/${ca}/account.json`));
    const url = typeof data?.["url"] === "string" ? data["url"] : undefined;
    return { key, url, email: String(data?.["email"] ?? "") };
  }

  // --- Orders ---

  saveOrder(order: KeptOrder): Promise<void> {
    return this.vault.put(orderPath(order.ca, order.names), JSON.stringify(order, null, 2));
  }

  async loadOrder(ca: string, names: readonly string[]): Promise<KeptOrder | undefined> {
    const data = readJson(await this.vault.get(orderPath(ca, names)));
    const { url, key, startedAtMs } = data ?? {};
    if (typeof url !== "string" || typeof key !== "string" || typeof startedAtMs !== "number")
      return undefined;
    return { ca, names, url, key, startedAtMs };
  }

  removeOrder(ca: string, names: readonly string[]): Promise<void> {
    return this.vault.remove(orderPath(ca, names));
  }

  // --- Failures ---

  saveFailure(failure: Failure): Promise<void> {
    return this.vault.put(failurePath(failure.resolver, failure.names), JSON.stringify(failure, null, 2));
  }

  removeFailure(resolver: string, names: readonly string[]): Promise<void> {
    return this.vault.remove(failurePath(resolver, names));
  }

  async loadFailure(resolver: string, names: readonly string[]): Promise<Failure | undefined> {
    const data = readJson(await this.vault.get(failurePath(resolver, names)));
    const { count, lastAtMs, nextAtMs } = data ?? {};
    if (typeof count !== "number" || typeof lastAtMs !== "number" || typeof nextAtMs !== "number")
      return undefined;
    const { type, reason, permanent } = data!;
    return {
      names,
      resolver,
      count,
      lastAtMs,
      nextAtMs,
      type: String(type),
      permanent: permanent === true,
      reason: String(reason),
    };
  }
}

/** Name of the lock that guards one set of names, whichever CA issues for it. */
export const certificateLock = (shelf: string) => `cert-${shelf}`;

export const certificateFolder = (ca: string, names: readonly string[]) => `certs/${ca}/${shelfName(names)}`;
const orderPath = (ca: string, names: readonly string[]) => `orders/${ca}/${shelfName(names)}.json`;
const failurePath = (resolver: string, names: readonly string[]) =>
  `failures/${shelfName([resolver])}/${shelfName(names)}.json`;

const foldersOf = (paths: readonly string[]) => [
  ...new Set(paths.map((path) => path.slice(0, path.lastIndexOf("/")))),
];

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

function describe(kept: Kept): string {
  const { ca, names, resolver, issuedAtMs, profile, spec, issuer } = kept;
  const { id, notBeforeMs, notAfterMs } = spec;
  const digests = { key: sha256(spec.key), chain: sha256(spec.chain) };
  const times = {
    issuedAt: new Date(issuedAtMs).toISOString(),
    notBefore: new Date(notBeforeMs).toISOString(),
    notAfter: new Date(notAfterMs).toISOString(),
  };
  // What the certificate says itself, so that ten thousand need not be parsed at the start.
  const facts = {
    id,
    names: spec.names,
    issuer,
    serial: kept.serial,
    ariId: kept.ariId,
    notBeforeMs,
    notAfterMs,
  };
  return `${JSON.stringify({ ca, names, resolver, profile, issuer, ...times, sha256: digests, facts }, null, 2)}\n`;
}

function keptFrom(key: Buffer | undefined, chain: Buffer | undefined, meta: Buffer | undefined) {
  if (key === undefined || chain === undefined || meta === undefined) return undefined;
  const texts = { "key.pem": key.toString(), "chain.pem": chain.toString(), "meta.json": meta.toString() };
  const kept = parseKept(texts);
  return kept && { texts, kept };
}

/** Undefined unless the meta file vouches for both others. */
function parseKept(set: Texts): Kept | undefined {
  const meta = readJson(Buffer.from(set["meta.json"]));
  const digests = meta?.["sha256"];
  if (!isRecord(digests) || !Array.isArray(meta!["names"])) return undefined;
  if (digests["key"] !== sha256(set["key.pem"]) || digests["chain"] !== sha256(set["chain.pem"]))
    return undefined;
  try {
    return {
      ...(readFacts(meta!["facts"], set) ?? readChecked(set["chain.pem"], set["key.pem"])),
      ca: String(meta!["ca"]),
      names: meta!["names"].map(String),
      resolver: String(meta!["resolver"]),
      issuedAtMs: Date.parse(String(meta!["issuedAt"])) || 0,
      profile: String(meta!["profile"] ?? ""),
    };
  } catch {
    return undefined;
  }
}

/** Undefined when they are not all there: files of before have none. */
function readFacts(facts: unknown, set: Texts): CertificateFacts | undefined {
  if (!isRecord(facts)) return undefined;
  const { id, names, issuer, serial, ariId, notBeforeMs, notAfterMs } = facts;
  if (typeof notBeforeMs !== "number" || typeof notAfterMs !== "number" || !Array.isArray(names))
    return undefined;
  if (typeof id !== "string" || typeof issuer !== "string" || typeof serial !== "string") return undefined;
  const texts = { chain: set["chain.pem"], key: set["key.pem"] };
  return {
    spec: { id, names: names.map(String), notBeforeMs, notAfterMs, ...texts, challenge: false },
    issuer,
    serial,
    ariId: typeof ariId === "string" ? ariId : undefined,
  };
}

function readJson(bytes: Buffer | undefined): Record<string, unknown> | undefined {
  try {
    const data: unknown = JSON.parse(bytes?.toString() ?? "");
    return isRecord(data) ? data : undefined;
  } catch {
    return undefined;
  }
}

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Account } from "./ca.ts";
import { writeAtomically } from "./file-vault.ts";
import { shelfName } from "./names.ts";
import type { Kept, Shelf } from "./shelf.ts";
import { writeLegacy } from "./traefik-file.ts";

/** Writes `<name>/fullchain.pem` and `<name>/privkey.pem` for each certificate. Gives the folders. */
export async function exportPem(shelf: Shelf, folder: string): Promise<readonly string[]> {
  const written: string[] = [];
  for (const kept of newestByName((await shelf.loadCertificates()).kept)) {
    const target = join(folder, shelfName(kept.names));
    await mkdir(target, { recursive: true, mode: 0o700 });
    await writeAtomically(join(target, "privkey.pem"), kept.spec.key);
    await writeAtomically(join(target, "fullchain.pem"), kept.spec.chain);
    written.push(target);
  }
  return written;
}

/** What one store has to say to Traefik. */
export interface Leaving {
  readonly certificates: readonly Kept[];
  readonly accounts: ReadonlyMap<string, Account>;
}

export async function gatherForTraefik(shelf: Shelf): Promise<Leaving> {
  const certificates = newestByName((await shelf.loadCertificates()).kept);
  const accounts = new Map<string, Account>();
  for (const ca of new Set(certificates.map((kept) => kept.ca))) {
    const account = await shelf.loadAccount(ca);
    if (account !== undefined) accounts.set(ca, account);
  }
  return { certificates, accounts };
}

/** Writes one file that Traefik starts from, of all stores. Gives the number of certificates in it. */
export async function exportTraefik(stores: readonly Leaving[], file: string): Promise<number> {
  const certificates = stores.flatMap((store) => store.certificates);
  const accounts = new Map(stores.flatMap((store) => [...store.accounts]));
  await writeAtomically(file, writeLegacy(certificates, accounts));
  return certificates.length;
}

/** Of certificates with the same names from several CAs, the one that lives longest. */
function newestByName(certificates: readonly Kept[]): readonly Kept[] {
  const newest = new Map<string, Kept>();
  for (const kept of certificates) {
    const key = `${kept.resolver} ${[...kept.names].sort().join(",")}`;
    const other = newest.get(key);
    if (other === undefined || other.spec.notAfterMs < kept.spec.notAfterMs) newest.set(key, kept);
  }
  return [...newest.values()];
}

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
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

/** Writes one file that Traefik starts from. Gives the number of certificates in it. */
export async function exportTraefik(shelf: Shelf, file: string): Promise<number> {
  const certificates = newestByName((await shelf.loadCertificates()).kept);
  const accounts = new Map();
  for (const ca of new Set(certificates.map((kept) => kept.ca))) {
    const account = await shelf.loadAccount(ca);
    if (account !== undefined) accounts.set(ca, account);
  }
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

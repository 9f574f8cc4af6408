import type { Logger } from "../model/host.ts";
import type { AcmeOptions } from "../model/resolver-settings.ts";
import { systemClock } from "./clock.ts";
import { exportPem, exportTraefik, gatherForTraefik } from "./export.ts";
import { InternalCa } from "./internal-ca.ts";
import { DEFAULT_STORAGE } from "./issuers.ts";
import { storagePaths } from "./resolver.ts";
import type { Kept, Shelf } from "./shelf.ts";
import { importOnce, openStorage } from "./storage.ts";

/** What `waybill certs` does; the proxy may be running meanwhile. */
export interface CommandHost {
  readonly resolvers: ReadonlyMap<string, AcmeOptions>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
}

/** `waybill certs list`: every certificate that is kept, the one that ends first at the top. */
export async function listCertificates(host: CommandHost): Promise<readonly Kept[]> {
  const lists = await withShelves(host, async (shelf) => (await shelf.loadCertificates()).kept);
  return lists.flat().sort((a, b) => a.spec.notAfterMs - b.spec.notAfterMs);
}

/** `waybill certs export`: PEM files in a folder, or one `acme.json`. Gives how many certificates were written. */
export async function exportCertificates(
  host: CommandHost,
  form: "pem" | "traefik",
  target: string,
): Promise<number> {
  if (form === "traefik") return exportTraefik(await withShelves(host, gatherForTraefik), target);
  const folders = await withShelves(host, (shelf) => exportPem(shelf, target));
  return folders.flat().length;
}

/** `waybill certs trust`: the root of the internal authority as PEM, made now if it was never needed. */
export async function internalRoot(host: CommandHost): Promise<string> {
  const [first] = await withShelves(host, (shelf) => InternalCa.open(shelf.vault, systemClock.nowMs()));
  return first!.root;
}

/** Every store that the settings name, once each. */
async function withShelves<T>(host: CommandHost, use: (shelf: Shelf) => Promise<T>): Promise<T[]> {
  const { resolvers, environment, log } = host;
  const named = [...resolvers.values()].map(({ storage }) => storage);
  const storages = new Map(
    (named.length > 0 ? named : [DEFAULT_STORAGE]).map((one) => [
      storagePaths(one).storage,
      storagePaths(one),
    ]),
  );
  const report = (entry: string, message: string) => log.warn({ entry }, message);
  const results: T[] = [];
  for (const paths of storages.values()) {
    const tools = { clock: systemClock, log, environment, report };
    const shelf = await openStorage(paths.storage, tools);
    try {
      await importOnce(paths.legacyFile, resolvers, shelf, tools);
      results.push(await use(shelf));
    } finally {
      await shelf.vault.close();
    }
  }
  return results;
}

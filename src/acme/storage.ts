import type { Logger } from "../model/host.ts";
import type { AcmeOptions } from "../model/resolver-settings.ts";
import type { Clock } from "./clock.ts";
import { FileVault } from "./file-vault.ts";
import { caId, planResolver } from "./resolver.ts";
import { type Kept, type Report, Shelf } from "./shelf.ts";
import { type LegacyResolver, readLegacyFile } from "./traefik-file.ts";
import type { Vault } from "./vault.ts";

export interface StorageTools {
  readonly clock: Clock;
  readonly log: Logger;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly report: Report;
}

/** Says that Traefik's file has been read, so that what is deleted later does not come back. */
const IMPORTED = "imported.json";

/** Opens the store of a resolver, whatever it is. Throws `VaultError` when it cannot be used. */
export async function openStorage(storage: string, tools: StorageTools): Promise<Shelf> {
  return new Shelf(await openVault(storage, tools), () => tools.clock.nowMs(), tools.report);
}

async function openVault(storage: string, { environment }: StorageTools): Promise<Vault> {
  if (!/^rediss?:\/\//.test(storage)) return FileVault.open(storage);
  const { RedisVault } = await import("./redis-vault.ts");
  return RedisVault.open(storage, environment);
}

/** Brings what is in Traefik's file, if there is one, into a store that has not had it yet. */
export async function importOnce(
  path: string | undefined,
  resolvers: ReadonlyMap<string, AcmeOptions>,
  shelf: Shelf,
  { log, clock }: StorageTools,
): Promise<void> {
  if (path === undefined || (await shelf.vault.get(IMPORTED)) !== undefined) return;
  const file = await readLegacyFile(path);
  if (file === undefined) return;
  let count = 0;
  for (const legacy of file.resolvers) {
    const options = resolvers.get(legacy.name);
    if (options === undefined)
      log.warn({ resolver: legacy.name }, `${path} has a resolver that is not configured`);
    else count += await importResolver(legacy, options, shelf, clock.nowMs());
  }
  for (const reason of file.skipped) log.warn({ file: path }, `not imported: ${reason}`);
  await shelf.vault.put(IMPORTED, JSON.stringify({ from: path, certificates: count }));
  log.info({ from: path, to: shelf.vault.where, certificates: count }, "imported Traefik's certificates");
}

async function importResolver(
  legacy: LegacyResolver,
  options: AcmeOptions,
  shelf: Shelf,
  nowMs: number,
): Promise<number> {
  const ca = importedCa(legacy, options);
  const { account } = legacy;
  if (account !== undefined && (await shelf.loadAccount(ca)) === undefined)
    await shelf.saveAccount(ca, account);
  for (const facts of legacy.certificates) {
    const names = facts.spec.names;
    if (names.length === 0) continue;
    const kept: Kept = { ...facts, ca, names, resolver: legacy.name, issuedAtMs: nowMs, profile: "" };
    const present = await shelf.loadCertificate(ca, names);
    if (present === undefined || present.spec.notAfterMs < facts.spec.notAfterMs)
      await shelf.saveCertificate(kept);
  }
  return legacy.certificates.length;
}

// A file that was written with another CA (staging, say) must not pass for this one's.
function importedCa({ account, name }: LegacyResolver, options: AcmeOptions): string {
  const plan = planResolver(name, options).cas[0]!;
  if (account === undefined || new URL(account.url).host === new URL(plan.directory).host) return plan.id;
  return caId(new URL("/", account.url).href, "");
}

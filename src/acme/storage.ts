import type { Logger } from "../model/host.ts";
import type { AcmeOptions } from "../model/settings.ts";
import type { Clock } from "./clock.ts";
import { FileVault } from "./file-vault.ts";
import type { ResolverPlan } from "./resolver.ts";
import { type Report, Shelf } from "./shelf.ts";

export interface StorageTools {
  readonly clock: Clock;
  readonly log: Logger;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly report: Report;
}

/** Opens the store of a resolver, whatever it is. Throws `VaultError` when it cannot be used. */
export async function openStorage(
  plan: ResolverPlan,
  _resolvers: ReadonlyMap<string, AcmeOptions>,
  tools: StorageTools,
): Promise<Shelf> {
  const vault = await FileVault.open(plan.storage);
  return new Shelf(vault, () => tools.clock.nowMs(), tools.report);
}

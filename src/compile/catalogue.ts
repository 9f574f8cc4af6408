import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Strategy } from "../model/balancer.ts";
import type { Middleware } from "../model/middleware.ts";

/** Everything that is found by looking into a folder: a new middleware or strategy is one new file. */
export interface Catalogue {
  /** By name as in labels: `rateLimit`. */
  readonly middlewares: ReadonlyMap<string, Middleware>;
  readonly strategies: ReadonlyMap<string, Strategy>;
}

export async function loadCatalogue(): Promise<Catalogue> {
  return {
    middlewares: await loadFolder<Middleware>("middleware"),
    strategies: await loadFolder<Strategy>("balancer"),
  };
}

async function loadFolder<T extends { readonly name: string }>(
  room: string,
): Promise<ReadonlyMap<string, T>> {
  const folder = join(import.meta.dirname, "..", room);
  const found = new Map<string, T>();
  // `.ts` in a checkout, `.js` in the image; sorted, so that every thread and every run sees the same order.
  const files = readdirSync(folder).filter((file) => /(?<!\.d)\.[tj]s$/.test(file));
  for (const file of files.sort()) {
    const module = (await import(pathToFileURL(join(folder, file)).href)) as { readonly default: T };
    found.set(module.default.name, module.default);
  }
  return found;
}

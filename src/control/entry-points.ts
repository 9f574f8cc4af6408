import type { RouterOptions } from "../model/dynamic.ts";
import type { EntryPointSettings } from "../model/entry-point.ts";

/** What an entry point adds to every router on it. */
export interface EntryPointModel {
  readonly name: string;
  /** In force for routers that have no TLS block of their own. */
  readonly tls: RouterOptions["tls"];
  /** Qualified as written: an entry point has no provider of its own. */
  readonly middlewares: readonly string[];
  readonly observability: EntryPointSettings["observability"];
  /** It adds something, so a router on several entry points needs a copy of its own here. */
  readonly adds: boolean;
}

export interface EntryPoints {
  readonly models: ReadonlyMap<string, EntryPointModel>;
  /** Those of routers that name none. */
  readonly defaults: readonly string[];
}

/** The entry point that is ours: never one of the defaults unless it says so itself. */
const OWN = "traefik";

export function modelEntryPoints(entryPoints: ReadonlyMap<string, EntryPointSettings>): EntryPoints {
  const models = new Map([...entryPoints].map(([name, settings]) => [name, modelOf(name, settings)]));
  const chosen = [...entryPoints].filter(([, { asDefault }]) => asDefault).map(([name]) => name);
  const others = [...entryPoints.keys()].filter((name) => name !== OWN);
  return { models, defaults: chosen.length > 0 ? chosen : others };
}

function modelOf(name: string, { http, observability }: EntryPointSettings): EntryPointModel {
  const { accessLogs, metrics, tracing, traceVerbosity, accessLogSampleRate } = observability;
  const isUsual = accessLogs && metrics && tracing && traceVerbosity === "minimal";
  const observesLess = !isUsual || accessLogSampleRate !== undefined;
  const adds = http.tls !== undefined || http.middlewares.length > 0 || observesLess;
  return { name, tls: http.tls, middlewares: http.middlewares, observability, adds };
}

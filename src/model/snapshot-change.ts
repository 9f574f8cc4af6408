import { sameData } from "../lib/same-data.ts";
import type { RouterSpec, Snapshot } from "./snapshot.ts";

/** What is different from one snapshot to the next: all that is sent to threads that have the one before. */
export interface SnapshotChange {
  readonly version: number;
  readonly routers: Difference<RouterSpec>;
  readonly services: Difference<MapValue<Snapshot["services"]>>;
  readonly middlewares: Difference<MapValue<Snapshot["middlewares"]>>;
  readonly transports: Difference<MapValue<Snapshot["transports"]>>;
  /** Undefined: as before. */
  readonly tls: Snapshot["tls"] | undefined;
  readonly challenges: Snapshot["challenges"] | undefined;
}

type MapValue<M> = M extends ReadonlyMap<string, infer V> ? V : never;

export interface Difference<T> {
  readonly set: ReadonlyMap<string, T>;
  readonly removed: readonly string[];
}

export const EMPTY_SNAPSHOT: Snapshot = {
  version: 0,
  routers: [],
  services: new Map(),
  middlewares: new Map(),
  transports: new Map(),
  tls: { options: new Map(), certificates: [], defaultCertificate: "" },
  challenges: new Map(),
};

/**
 * The next snapshot with every part that holds the same as before replaced by the part from before, so that being the
 * same can be seen by identity from then on: here, in what is sent, and in the threads.
 */
export function keepUnchanged(before: Snapshot, next: Snapshot): Snapshot {
  const routers = new Map(before.routers.map((router) => [router.name, router]));
  return {
    version: next.version,
    routers: next.routers.map((router) => keep(routers.get(router.name), router)),
    services: keepValues(before.services, next.services),
    middlewares: keepValues(before.middlewares, next.middlewares),
    transports: keepValues(before.transports, next.transports),
    tls: keep(before.tls, next.tls),
    challenges: keep(before.challenges, next.challenges),
  };
}

function keepValues<T>(before: ReadonlyMap<string, T>, next: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  return new Map([...next].map(([name, value]) => [name, keep(before.get(name), value)]));
}

function keep<T>(before: T | undefined, next: T): T {
  return before !== undefined && sameData(before, next) ? before : next;
}

/** Both must have gone through `keepUnchanged`. */
export function changeBetween(before: Snapshot, next: Snapshot): SnapshotChange {
  return {
    version: next.version,
    routers: difference(byName(before.routers), byName(next.routers)),
    services: difference(before.services, next.services),
    middlewares: difference(before.middlewares, next.middlewares),
    transports: difference(before.transports, next.transports),
    tls: before.tls === next.tls ? undefined : next.tls,
    challenges: before.challenges === next.challenges ? undefined : next.challenges,
  };
}

export function applyChange(before: Snapshot, change: SnapshotChange): Snapshot {
  return {
    version: change.version,
    routers: [...apply(byName(before.routers), change.routers).values()],
    services: apply(before.services, change.services),
    middlewares: apply(before.middlewares, change.middlewares),
    transports: apply(before.transports, change.transports),
    tls: change.tls ?? before.tls,
    challenges: change.challenges ?? before.challenges,
  };
}

/** Whether threads would do anything differently. */
export function changesNothing(change: SnapshotChange): boolean {
  const { routers, services, middlewares, transports } = change;
  const differences: readonly Difference<unknown>[] = [routers, services, middlewares, transports];
  return (
    change.tls === undefined &&
    change.challenges === undefined &&
    differences.every(({ set, removed }) => set.size === 0 && removed.length === 0)
  );
}

function byName(routers: readonly RouterSpec[]): ReadonlyMap<string, RouterSpec> {
  return new Map(routers.map((router) => [router.name, router]));
}

function difference<T>(before: ReadonlyMap<string, T>, next: ReadonlyMap<string, T>): Difference<T> {
  const set = new Map<string, T>();
  for (const [name, value] of next) if (before.get(name) !== value) set.set(name, value);
  return { set, removed: [...before.keys()].filter((name) => !next.has(name)) };
}

function apply<T>(before: ReadonlyMap<string, T>, { set, removed }: Difference<T>): ReadonlyMap<string, T> {
  if (set.size === 0 && removed.length === 0) return before;
  const next = new Map(before);
  for (const name of removed) next.delete(name);
  for (const [name, value] of set) next.set(name, value);
  return next;
}

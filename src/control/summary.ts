import type { CertificateSpec, Snapshot } from "../model/snapshot.ts";
import type { Difference, SnapshotChange } from "../model/snapshot-change.ts";
import { providerOf } from "./names.ts";

const NAMES_MAX = 10;

export interface Summary {
  readonly fields: Record<string, unknown>;
  /** Whether anything changed that somebody declared. */
  readonly declared: boolean;
}

/** What came and went with a configuration, by name, for one line of the log: only what people declared. */
export function summarize(before: Snapshot, next: Snapshot, change: SnapshotChange): Summary {
  const routersBefore = new Set(before.routers.map((router) => router.name));
  const [open, closed] = [[], []] as [string[], string[]];
  for (const [name, spec] of change.routers.set) (spec.closed === undefined ? open : closed).push(name);
  const refusing = closed.filter(isDeclared);
  const names = {
    ...namesOf("router", { ...change.routers, set: open }, (name) => routersBefore.has(name)),
    // They keep their place in the table, and answer 503 there: why is in a line of its own.
    ...(refusing.length > 0 && { routersClosed: some(refusing) }),
    ...namesOf("service", keysOf(change.services), (name) => before.services.has(name)),
    ...namesOf("middleware", keysOf(change.middlewares), (name) => before.middlewares.has(name)),
    ...namesOf("transport", keysOf(change.transports), (name) => before.transports.has(name)),
  };
  // The first is our own.
  const [certificatesBefore, certificates] = [before, next].map(({ tls }) => tls.certificates.slice(1));
  const isCertified = !sameIds(certificatesBefore!, certificates!);
  const fields = {
    version: next.version,
    routers: next.routers.filter(({ name, closed }) => closed === undefined && isDeclared(name)).length,
    services: [...next.services.keys()].filter(isDeclared).length,
    ...names,
    ...(isCertified && { certificates: certificates!.length }),
  };
  return { fields, declared: isCertified || Object.keys(names).length > 0 };
}

function sameIds(some: readonly CertificateSpec[], others: readonly CertificateSpec[]): boolean {
  return some.length === others.length && some.every(({ id }, i) => id === others[i]!.id);
}

const isDeclared = (name: string) => providerOf(name) !== "internal";

interface Names {
  readonly set: readonly string[];
  readonly removed: readonly string[];
}

const keysOf = ({ set, removed }: Difference<unknown>): Names => ({ set: [...set.keys()], removed });

function namesOf(kind: string, { set, removed }: Names, was: (name: string) => boolean) {
  const names = set.filter(isDeclared);
  const lists: Record<string, string> = {};
  const tell = (what: string, list: readonly string[]) => {
    if (list.length > 0) lists[`${kind}s${what}`] = some(list);
  };
  tell(
    "Added",
    names.filter((name) => !was(name)),
  );
  tell("Changed", names.filter(was));
  tell("Removed", removed.filter(isDeclared));
  return lists;
}

function some(names: readonly string[]): string {
  if (names.length <= NAMES_MAX) return names.join(", ");
  return `${names.slice(0, NAMES_MAX).join(", ")} and ${names.length - NAMES_MAX} more`;
}

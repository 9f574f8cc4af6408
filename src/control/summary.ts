import type { Snapshot } from "../model/snapshot.ts";
import type { Difference, SnapshotChange } from "../model/snapshot-change.ts";

const NAMES_MAX = 10;

/** What came and went with a configuration, by name, for one line of the log. */
export function summarize(before: Snapshot, next: Snapshot, change: SnapshotChange): Record<string, unknown> {
  const routersBefore = new Set(before.routers.map((router) => router.name));
  return {
    version: next.version,
    routers: next.routers.length,
    services: next.services.size,
    ...namesOf("router", change.routers, (name) => routersBefore.has(name)),
    ...namesOf("service", change.services, (name) => before.services.has(name)),
    ...namesOf("middleware", change.middlewares, (name) => before.middlewares.has(name)),
    ...namesOf("transport", change.transports, (name) => before.transports.has(name)),
    ...(change.tls !== undefined && { certificates: change.tls.certificates.length }),
  };
}

function namesOf(kind: string, { set, removed }: Difference<unknown>, was: (name: string) => boolean) {
  const names = [...set.keys()];
  const lists: Record<string, string> = {};
  const tell = (what: string, list: readonly string[]) => {
    if (list.length > 0) lists[`${kind}s${what}`] = some(list);
  };
  tell(
    "Added",
    names.filter((name) => !was(name)),
  );
  tell("Changed", names.filter(was));
  tell("Removed", removed);
  return lists;
}

function some(names: readonly string[]): string {
  if (names.length <= NAMES_MAX) return names.join(", ");
  return `${names.slice(0, NAMES_MAX).join(", ")} and ${names.length - NAMES_MAX} more`;
}

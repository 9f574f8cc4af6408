import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import type { Self } from "../../model/workload.ts";
import type { ListedContainer } from "./engine.ts";

/** What the process can see of the container it may be in. */
export interface Surroundings {
  readonly hostname: string;
  /** `/proc/self/mountinfo` and `/proc/self/cgroup`; empty where there is none. */
  readonly mounts: string;
  readonly cgroup: string;
}

/** Docker says a container's host name in its environment too. */
export function readSurroundings(env: NodeJS.ProcessEnv): Surroundings {
  const read = (path: string) => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return "";
    }
  };
  return {
    hostname: env["HOSTNAME"] || hostname(),
    mounts: read("/proc/self/mountinfo"),
    cgroup: read("/proc/self/cgroup"),
  };
}

/** Finds our own container among those listed. */
export function findSelf(
  containers: readonly ListedContainer[],
  around: Surroundings,
): ListedContainer | undefined {
  const ids = new Set(idsIn(around));
  return (
    containers.find(({ Id }) => ids.has(Id)) ??
    // The host name is the short id unless someone chose another one.
    (/^[0-9a-f]{12}$/.test(around.hostname)
      ? containers.find(({ Id }) => Id.startsWith(around.hostname))
      : undefined)
  );
}

function idsIn({ mounts, cgroup }: Surroundings): string[] {
  // On the host, mountinfo lists other containers' mounts too; these three files are mounted only into their own.
  const own = /\/containers\/([0-9a-f]{64})\/(?:hostname|hosts|resolv\.conf) \/etc\//g;
  const group = /(?:docker|libpod|containers?)[-/]([0-9a-f]{64})/g;
  return [...mounts.matchAll(own), ...cgroup.matchAll(group)].map(([, id]) => id!);
}

/** `needsHost`: some container is in the host's network, so that it matters where the host is. */
export async function selfOf(own: ListedContainer, needsHost: boolean): Promise<Self> {
  const networks = Object.entries(own.NetworkSettings?.Networks ?? {});
  const gateway = networks.map(([, network]) => network.Gateway).find(Boolean);
  const names = networks.map(([name]) => name);
  const isHost = own.HostConfig?.NetworkMode === "host";
  return {
    workloadId: own.Id,
    networkIds: new Set(networks.flatMap(([, network]) => network.NetworkID || [])),
    networkNames: new Set(isHost ? [...names, "host"] : names),
    ...(needsHost && {
      hostAddress: isHost ? "127.0.0.1" : ((await hostByName()) ?? gateway ?? "127.0.0.1"),
    }),
  };
}

async function hostByName(): Promise<string | undefined> {
  for (const name of ["host.docker.internal", "host.containers.internal"]) {
    try {
      return (await lookup(name)).address;
    } catch {}
  }
  return undefined;
}

import { chownSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_STORAGE } from "../acme/issuers.ts";
import { storageOnDisk } from "../acme/resolver.ts";
import { parseAddress } from "../model/entry-point.ts";
import type { Logger } from "../model/host.ts";
import type { Settings } from "../model/settings.ts";

/** What of the process this needs; tests give their own. */
export interface Rights {
  readonly getuid: () => number;
  readonly setgroups: (groups: readonly number[]) => void;
  readonly setgid: (id: number) => void;
  readonly setuid: (id: number) => void;
}

/** Undefined where there are no users, as on Windows. */
export function ownRights(): Rights | undefined {
  const { getuid, setgroups, setgid, setuid } = process;
  return getuid && setgroups && setgid && setuid ? { getuid, setgroups, setgid, setuid } : undefined;
}

/**
 * Becomes the user that the settings name, once everything has been read that only root can read. The engine's socket
 * stays open to us through its group, and what we write is handed over first. Stays root, and says why, where the
 * user could not serve.
 */
export function dropPrivileges(
  settings: Settings,
  log: Logger,
  rights: Rights | undefined = ownRights(),
): void {
  if (settings.user === "" || rights === undefined || rights.getuid() !== 0) return;
  const user = Number(settings.user);
  if (user === 0) return;
  const port = portForRootAlone(settings);
  if (port !== undefined) {
    log.warn({ port }, "staying root: another user may not listen on this port here");
    return;
  }
  if (!handOverStores(settings, user, log)) return;
  handOverLogs(settings, user, log);
  try {
    const group = socketGroup(settings);
    // The order matters: once the user is changed the groups cannot be.
    rights.setgroups(group === undefined ? [] : [group]);
    rights.setgid(user);
    rights.setuid(user);
    log.info({ user, ...(group !== undefined && { engineGroup: group }) }, "no longer root");
  } catch (error) {
    const advice = "give it the capabilities SETUID and SETGID, or set `user:` for the container";
    log.warn({ user, reason: reasonOf(error), advice }, "staying root: the user could not be changed");
  }
}

/** The first port of an entry point that only root may listen on. */
function portForRootAlone({ entryPoints }: Settings): number | undefined {
  const first = Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));
  const ports = [...entryPoints.values()].map(({ address }) => parseAddress(address)?.port ?? 0);
  return ports.find((port) => port !== 0 && port < first);
}

function socketGroup({ providers }: Settings): number | undefined {
  const endpoint = (providers.docker ?? providers.swarm)?.endpoint ?? "";
  if (!endpoint.startsWith("unix://")) return undefined;
  try {
    return statSync(endpoint.slice("unix://".length)).gid;
  } catch {
    return undefined;
  }
}

/** False where certificates could not be kept by the user: then it is better to stay root than to lose them. */
function handOverStores({ certificatesResolvers }: Settings, user: number, log: Logger): boolean {
  const named = [...certificatesResolvers.values()].flatMap(({ acme }) => acme?.storage ?? []);
  for (const storage of named) {
    const { directory, legacyFile } = storageOnDisk(storage, process.env);
    try {
      if (!existsSync(directory)) mkdirSync(directory, { recursive: true, mode: 0o700 });
      for (const path of [directory, legacyFile ?? ""]) handOver(path, user);
    } catch (error) {
      const advice = `chown -R ${user} the storage, or give the container the capability CHOWN`;
      const message = "staying root: certificates could not be kept by the user";
      log.warn({ user, storage: directory, reason: reasonOf(error), advice }, message);
      return false;
    }
  }
  if (named.length === 0) handOverDefaultStore(user, log);
  return true;
}

// Without resolvers only the authority of our own may need it, and nobody knows yet whether a router will ask.
function handOverDefaultStore(user: number, log: Logger): void {
  const { directory } = storageOnDisk(DEFAULT_STORAGE, process.env);
  try {
    handOver(directory, user);
  } catch (error) {
    log.debug(
      { user, storage: directory, reason: reasonOf(error) },
      "certificates of our own cannot be kept",
    );
  }
}

/** A log is open already: what is root's only cannot be opened again after somebody rotated it. */
function handOverLogs({ log: { filePath }, accessLog }: Settings, user: number, log: Logger): void {
  for (const path of [filePath, accessLog?.filePath ?? ""]) {
    try {
      handOver(path, user);
    } catch (error) {
      const advice = `chown ${user} the file, or give the container the capability CHOWN`;
      const message = "this log file stays root's: Waybill may not be able to open it";
      log.warn({ user, file: path, reason: reasonOf(error), advice }, message);
    }
  }
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

// Only what is root's: a volume that somebody else owns is theirs on purpose. Links are never followed.
function handOver(path: string, user: number): void {
  if (path === "" || !existsSync(path)) return;
  const stat = lstatSync(path);
  if (stat.isSymbolicLink() || stat.uid !== 0) return;
  chownSync(path, user, user);
  if (stat.isDirectory()) for (const name of readdirSync(path)) handOver(join(path, name), user);
}

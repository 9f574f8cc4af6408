import { nearest } from "../lib/nearest.ts";
import type { FaultCode } from "../model/fault.ts";
import type { Self, Workload, WorkloadNetwork } from "../model/workload.ts";
import { projectOf } from "./names.ts";

/** Where a container is reached, or why it is not. The suggestion is a network that may have been meant. */
export type Address =
  | { readonly host: string; readonly warning?: string; readonly suggestion?: string }
  | { readonly fault: FaultCode; readonly detail: string };

export interface Neighbourhood {
  readonly self: Self | undefined;
  readonly byId: ReadonlyMap<string, Workload>;
  /** Who already has which address: labels may not aim at other containers. */
  readonly addresses: ReadonlyMap<string, Workload>;
}

/** Chooses the network by which the container is reached: the wanted one, or one that Waybill shares with it. */
export function addressOf(workload: Workload, wanted: string, { self, byId }: Neighbourhood): Address {
  const own = ownNetwork(workload, wanted);
  if (own !== undefined) return onNetwork(workload, own, self);
  if (workload.networkMode === "host") return { host: self?.hostAddress ?? "127.0.0.1" };
  if (workload.networkMode.startsWith("container:")) return addressOfOwner(workload, wanted, { self, byId });

  const attached = [...workload.networks].sort((a, b) => (a.name < b.name ? -1 : 1));
  const shared = attached.filter((network) => isShared(network, self));
  const chosen = shared.find(hasAddress) ?? shared[0];
  const instead = `is not attached to the network ${wanted}; it is on ${namesOf(attached)}, and reached by ${chosen?.name}`;
  const warning = wanted === "" ? {} : { warning: instead, ...meantNetwork(wanted, workload, self) };
  if (chosen !== undefined && hasAddress(chosen)) return { host: ipOf(chosen), ...warning };
  if (chosen !== undefined || !attached.some(hasAddress)) {
    return { fault: "no-address", detail: `${workload.name} has no address on ${namesOf(attached)}` };
  }
  return notShared(workload, attached, self);
}

/** The nearest of the container's own networks, by either of its names; else of ours. */
function meantNetwork(
  wanted: string,
  workload: Workload,
  self: Self | undefined,
): { readonly suggestion?: string } {
  const project = `${projectOf(workload)}_`;
  const own = workload.networks.flatMap(({ name }) =>
    name.startsWith(project) ? [name.slice(project.length), name] : [name],
  );
  const suggestion = nearest(wanted, own) ?? nearest(wanted, self?.networkNames ?? []);
  return suggestion === undefined || suggestion === wanted ? {} : { suggestion };
}

/** The wanted network, by its real name or by its name inside the container's own compose file. */
function ownNetwork(workload: Workload, wanted: string): WorkloadNetwork | undefined {
  if (wanted === "") return undefined;
  const inCompose = `${projectOf(workload)}_${wanted}`;
  return (
    workload.networks.find(({ name }) => name === wanted) ??
    workload.networks.find(({ name }) => name === inCompose)
  );
}

function onNetwork(workload: Workload, network: WorkloadNetwork, self: Self | undefined): Address {
  if (!hasAddress(network)) {
    return { fault: "no-address", detail: `${workload.name} has no address on ${network.name}` };
  }
  return isShared(network, self) ? { host: ipOf(network) } : notShared(workload, [network], self);
}

function addressOfOwner(
  workload: Workload,
  wanted: string,
  { self, byId }: Omit<Neighbourhood, "addresses">,
): Address {
  const id = workload.networkMode.slice("container:".length);
  const owner = byId.get(id) ?? [...byId.values()].find((other) => other.name === id);
  // An owner that borrows its network in turn cannot exist in Docker; following it would loop on forged data.
  if (owner === undefined || owner.networkMode.startsWith("container:")) {
    return { fault: "no-address", detail: `${workload.name} uses the network of ${id}, which is not there` };
  }
  const theirs =
    owner.labels.get("traefik.docker.network") ?? owner.labels.get("waybill.docker.network") ?? wanted;
  return addressOf(owner, theirs, { self, byId, addresses: new Map() });
}

function notShared(
  workload: Workload,
  networks: readonly WorkloadNetwork[],
  self: Self | undefined,
): Address {
  const ours = [...(self?.networkNames ?? [])].sort().join(", ") || "no network";
  const detail = `${workload.name} is on ${namesOf(networks)} and Waybill on ${ours}: put both on one network`;
  return { fault: "no-shared-network", detail };
}

// On the host, or in its network, every bridge can be reached.
function isShared(network: WorkloadNetwork, self: Self | undefined): boolean {
  return (
    self === undefined ||
    self.networkNames.has("host") ||
    self.networkIds.has(network.id) ||
    self.networkNames.has(network.name)
  );
}

const ipOf = (network: WorkloadNetwork) => network.ipv4 || network.ipv6;
const hasAddress = (network: WorkloadNetwork) => ipOf(network) !== "";
const namesOf = (networks: readonly WorkloadNetwork[]) =>
  networks.map(({ name }) => name).join(", ") || "no network";

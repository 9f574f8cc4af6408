import type { Workload, WorkloadNetwork, WorkloadPort } from "../../model/workload.ts";
import type { InspectedContainer, ListedContainer } from "./engine.ts";

const STATES = ["created", "running", "paused", "restarting", "removing", "exited", "dead"] as const;

/** The container as the list has it. `inspected` adds the ports of one that has no network of its own. */
export function workloadOf(listed: ListedContainer, inspected: InspectedContainer | undefined): Workload {
  const { Id: id, Labels: labels, NetworkSettings: settings, HostConfig: config } = listed;
  return {
    id,
    name: nameOf(listed),
    image: listed.Image ?? "",
    createdAtMs: (listed.Created ?? 0) * 1000,
    state: STATES.find((state) => state === listed.State?.toLowerCase()) ?? "dead",
    health: healthOf(listed.Status ?? ""),
    stopping: false,
    labels: new Map(Object.entries(labels ?? {})),
    networkMode: config?.NetworkMode ?? "default",
    networks: networksOf(settings),
    ports: [...(listed.Ports ?? []).map(portOf), ...exposedPorts(inspected)],
  };
}

/** In the list, such containers have no ports: their network is not theirs. */
export function needsInspection({ HostConfig: config, State: state }: ListedContainer): boolean {
  const mode = config?.NetworkMode ?? "";
  return state === "running" && (mode === "host" || mode.startsWith("container:"));
}

// Links give a container further names, `/other/alias`; its own has one slash only.
function nameOf({ Names: names, Id: id }: ListedContainer): string {
  const own = names?.find((name) => name.lastIndexOf("/") <= 0) ?? names?.[0] ?? id.slice(0, 12);
  return own.replace(/^\//, "");
}

/** The list has no field for it until API 1.52, only words: `Up 5 seconds (health: starting)`. */
function healthOf(status: string): Workload["health"] {
  const [, word] = /\((?:health: )?(starting|healthy|unhealthy)\)/.exec(status) ?? [];
  return (word as Workload["health"] | undefined) ?? "none";
}

function networksOf(settings: ListedContainer["NetworkSettings"]): WorkloadNetwork[] {
  return Object.entries(settings?.Networks ?? {}).map(([name, network]) => ({
    name,
    id: network.NetworkID ?? "",
    ipv4: network.IPAddress ?? "",
    ipv6: network.GlobalIPv6Address ?? "",
  }));
}

function portOf(port: NonNullable<ListedContainer["Ports"]>[number]): WorkloadPort {
  return {
    privatePort: port.PrivatePort,
    protocol: protocolOf(port.Type),
    ...(port.PublicPort && { publicPort: port.PublicPort }),
    ...(port.IP && { publicIp: port.IP }),
  };
}

function exposedPorts(inspected: InspectedContainer | undefined): WorkloadPort[] {
  return Object.keys(inspected?.Config?.ExposedPorts ?? {}).map((text) => {
    const [port, protocol = "tcp"] = text.split("/");
    return { privatePort: Number(port), protocol: protocolOf(protocol) };
  });
}

const protocolOf = (text: string): WorkloadPort["protocol"] =>
  text === "udp" || text === "sctp" ? text : "tcp";

/** Equal for two states of a container that nothing of ours tells apart. */
export function fingerprintOf(workload: Workload): string {
  return JSON.stringify({ ...workload, labels: [...workload.labels] });
}

import type { Self, Unavailable, Workload } from "../model/workload.ts";
import { bool, text } from "../schema/kinds.ts";
import { Node } from "../schema/node.ts";
import type { Values } from "../schema/option.ts";
import { readOptions } from "../schema/read-options.ts";
import { complain, type Reader } from "../schema/reader.ts";
import type { LabelOptions } from "./options.ts";

/** `traefik.docker.*`: what a label can say about its own container. */
export const dockerLabelOptions = {
  network: text({ doc: "Network to reach this container by.", default: "", example: "proxy" }),
  lbswarm: bool({
    doc: "Use Swarm's own balancer.",
    default: "false",
    obsolete: "it is for Swarm services, where it is written traefik.swarm.lbswarm",
  }),
  allowNonRunning: bool({ doc: "Keep the routes while the container is stopped.", default: "false" }),
  oneOff: bool({ doc: "Route it although `docker compose run` started it.", default: "false", added: true }),
};

export interface Wishes extends Values<typeof dockerLabelOptions> {
  /** Undefined: no label says so. */
  readonly enable: boolean | undefined;
}

const ENABLE = { doc: "Route this container." };

/** A string says why the container is left out. */
export function readWishes(tree: Node, reader: Reader): Wishes | string {
  const docker = tree.get("docker") ?? new Node("docker", { ...tree.place, key: "traefik.docker" });
  const options = readOptions(dockerLabelOptions, docker, reader);
  for (const { place, name } of tree.get("swarm")?.children?.values() ?? []) {
    const message = `${name} has no effect on a container: it is for Swarm services`;
    complain(reader, place, "obsolete-option", message, undefined, "warning");
  }
  const node = tree.get("enable");
  if (node === undefined) return { ...options, enable: tree.get("") === undefined ? undefined : true };
  const enable = bool.kind.read(node, reader, ENABLE);
  // Whether it was meant to be public is not ours to guess.
  return enable === undefined
    ? `its label ${node.place.key} is neither true nor false`
    : { ...options, enable };
}

export interface Refusal {
  readonly reason: string;
  /** Nobody said of this container that it is not to be routed. */
  readonly byChance: boolean;
}

/** Why the container is not routed at all, or undefined. */
export function refusalOf(
  workload: Workload,
  wishes: Wishes,
  self: Self | undefined,
  options: LabelOptions,
  meetsConstraints: (workload: Workload) => boolean,
): Refusal | undefined {
  const onPurpose = (reason: string): Refusal => ({ reason, byChance: false });
  const byChance = (reason: string): Refusal => ({ reason, byChance: true });
  if (wishes.enable === false) return onPurpose("its label traefik.enable says false");
  if (wishes.enable === undefined) {
    if (!options.exposedByDefault) return byChance("no label enables it, and exposedByDefault is false");
    if (workload.id === self?.workloadId) return onPurpose("it is Waybill itself, and no label enables it");
  }
  if (isOneOff(workload) && !wishes.oneOff) {
    return onPurpose("docker compose run started it; the label waybill.docker.oneOff=true would route it");
  }
  if (!meetsConstraints(workload)) {
    return byChance(`its labels do not fulfil the constraints ${options.constraints}`);
  }
  if (isStopped(workload) && !wishes.allowNonRunning)
    return onPurpose(`it is not running (${workload.state})`);
  return undefined;
}

const isOneOff = (workload: Workload) =>
  /^true$/i.test(workload.labels.get("com.docker.compose.oneoff") ?? "");
const isStopped = ({ state }: Workload) =>
  state === "created" || state === "exited" || state === "dead" || state === "removing";

/** Why a container that keeps its router may not take requests now. */
export function unavailability(workload: Workload): Unavailable | undefined {
  const because = (fault: Unavailable["fault"], detail: string, retryAfterS: number): Unavailable => ({
    workload: workload.id,
    fault,
    detail: `${workload.name} ${detail}`,
    retryAfterS,
  });
  if (isStopped(workload)) return because("stopped", `is not running (${workload.state})`, 30);
  if (workload.stopping) return because("stopped", "is stopping", 5);
  if (workload.state === "paused") return because("paused", "is paused", 30);
  if (workload.state === "restarting") return because("starting", "is restarting", 5);
  if (workload.health === "starting")
    return because("starting", "is starting: its health check has not passed yet", 5);
  if (workload.health === "unhealthy")
    return because("unhealthy", "is unhealthy: its health check fails", 10);
  return undefined;
}

import type { Workload } from "../model/workload.ts";

/** Traefik's `normalize`: letters and digits of any script, everything between them one `-`. */
export function normalize(name: string): string {
  return name
    .split(/[^\p{L}\p{Nd}\p{Nl}\p{No}]+/u)
    .filter(Boolean)
    .join("-");
}

/** What the container's service and router are called when no label names them. Replicas of one compose service share it. */
export function serviceNameOf(workload: Workload): string {
  const project = workload.labels.get("com.docker.compose.project");
  const service = workload.labels.get("com.docker.compose.service");
  if (workload.swarm !== true && project && service) return normalize(`${service}_${project}`);
  return normalize(workload.name);
}

/** Containers of one compose project trust each other; those started by hand count as one project. */
export function projectOf(workload: Workload): string {
  return (
    workload.labels.get("com.docker.compose.project") ??
    workload.labels.get("com.docker.stack.namespace") ??
    ""
  );
}

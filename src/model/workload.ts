import type { FaultCode } from "./fault.ts";

/** A container as the Docker provider sees it: facts only, nothing interpreted. */
export interface Workload {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  readonly image: string;
  /** Milliseconds since 1970. */
  readonly createdAtMs: number;
  readonly state: "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";
  /** `none`: the image has no health check. */
  readonly health: "none" | "starting" | "healthy" | "unhealthy";
  /** A `kill` or `stop` was seen and the container has not started again: no new requests. */
  readonly stopping: boolean;
  readonly labels: ReadonlyMap<string, string>;
  /** `default`, `bridge`, `host`, `none`, `container:<id>`, or a network's name. */
  readonly networkMode: string;
  readonly networks: readonly WorkloadNetwork[];
  /** Exposed or published ports. */
  readonly ports: readonly WorkloadPort[];
  /** Swarm: the service's tasks are its servers and the name is the service's. */
  readonly swarm?: true;
}

export interface WorkloadNetwork {
  readonly name: string;
  readonly id: string;
  /** Empty when it has none. */
  readonly ipv4: string;
  readonly ipv6: string;
}

export interface WorkloadPort {
  readonly privatePort: number;
  readonly protocol: "tcp" | "udp" | "sctp";
  /** Set when the port is published. */
  readonly publicPort?: number;
  /** Address of the host it is published on. */
  readonly publicIp?: string;
}

/** Why a container gives no server now. */
export interface Unavailable {
  readonly workload: string;
  readonly fault: FaultCode;
  readonly detail: string;
  /** 0: waiting will not help. */
  readonly retryAfterS: number;
}

/** Who we are among the containers, to know which networks we share. Undefined when we do not run in one. */
export interface Self {
  readonly workloadId: string;
  readonly networkIds: ReadonlySet<string>;
  readonly networkNames: ReadonlySet<string>;
  /** Where containers in the host's network are reached from here. */
  readonly hostAddress?: string;
}

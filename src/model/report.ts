import type { Place } from "../schema/node.ts";
import type { Problem, Subject } from "../schema/problem.ts";
import type { DeclaredMiddleware, DeclaredRouter, DeclaredService } from "./declared.ts";
import type {
  TlsCertificateOptions,
  TlsOptionsOptions,
  TlsStoreOptions,
  TransportOptions,
} from "./dynamic.ts";
import type { MiddlewareSpec, RouterSpec, ServerSpec, ServiceSpec } from "./snapshot.ts";
import type { Unavailable, Workload } from "./workload.ts";

/** `enabled`: in force. `warning`: in force, with something to mend. `disabled`: not in force. */
export type Status = "enabled" | "warning" | "disabled";

/**
 * Everything that was declared, in force or not, and why. Plain data, made with each snapshot: the API, the dashboard,
 * `waybill explain` and the log all read this and nothing else. All names are qualified.
 */
export interface Report {
  /** Of the snapshot made with it. */
  readonly version: number;
  /** Milliseconds since 1970. */
  readonly madeAtMs: number;
  readonly entryPoints: ReadonlyMap<string, EntryPointReport>;
  readonly routers: ReadonlyMap<string, RouterReport>;
  readonly services: ReadonlyMap<string, ServiceReport>;
  readonly middlewares: ReadonlyMap<string, MiddlewareReport>;
  readonly transports: ReadonlyMap<string, ObjectReport<TransportOptions>>;
  readonly tlsOptions: ReadonlyMap<string, ObjectReport<TlsOptionsOptions>>;
  readonly tlsStores: ReadonlyMap<string, ObjectReport<TlsStoreOptions>>;
  readonly tlsCertificates: readonly ObjectReport<TlsCertificateOptions>[];
  /** Providers that have declared something, `internal` included. */
  readonly providers: readonly string[];
  readonly workloads: readonly WorkloadReport[];
  /** Every problem of every object, and those that belong to none. */
  readonly problems: readonly Problem[];
}

export interface EntryPointReport {
  readonly name: string;
  readonly address: string;
  readonly asDefault: boolean;
  /** Routers that listen on it, copies included. */
  readonly usedBy: readonly string[];
}

export interface ObjectReport<D> {
  /** `app@docker`. */
  readonly name: string;
  readonly provider: string;
  readonly status: Status;
  /** What is wrong with it, worst first. */
  readonly problems: readonly Problem[];
  /** As it was declared, defaults filled in. */
  readonly declared: D;
  readonly place: Place;
  /** Ids of the containers that declare it, oldest first. */
  readonly workloads: readonly string[];
  /** Names of the objects that refer to it: routers for services and middlewares, services for services and transports. */
  readonly usedBy: readonly Subject[];
}

export interface RouterReport extends ObjectReport<DeclaredRouter> {
  /**
   * What is in force: one, or one for every entry point whose defaults made a copy. Of a disabled router: what would
   * have been in force, as far as it could be worked out.
   */
  readonly effective: readonly RouterSpec[];
  /** Disabled, and yet in the table: why it refuses what it would have taken. */
  readonly closed: string | undefined;
  /** Host names in its rule, in order: what certificates are for. */
  readonly hosts: readonly string[];
  /** Entry points it really listens on, sorted. */
  readonly using: readonly string[];
}

export interface ServiceReport extends ObjectReport<DeclaredService> {
  readonly kind: ServiceSpec["kind"];
  readonly effective: ServiceSpec | undefined;
  /** Empty for services without servers of their own. Whether each is up is `ServerState`'s to say. */
  readonly servers: readonly ServerSpec[];
  readonly unavailable: readonly Unavailable[];
}

export interface MiddlewareReport extends ObjectReport<DeclaredMiddleware> {
  readonly type: string;
  readonly effective: MiddlewareSpec | undefined;
}

export interface WorkloadReport {
  readonly workload: Workload;
  /** Whether some router leads to it. */
  readonly routed: boolean;
  /** One sentence: why it is routed, or why it is not. */
  readonly reason: string;
  readonly routers: readonly string[];
  readonly services: readonly string[];
  readonly problems: readonly Problem[];
}

/** How one server does right now. Read from shared memory whenever someone asks; never part of a report. */
export interface ServerState {
  readonly service: string;
  readonly server: ServerSpec;
  /** The active health check's verdict; true without one. */
  readonly healthy: boolean;
  /** Taken out for a while because its replies failed. */
  readonly ejected: boolean;
  /** Requests under way, all threads together. */
  readonly inFlight: number;
}

import type { Node, Place } from "../schema/node.ts";
import type { Problem } from "../schema/problem.ts";
import type {
  FileServiceOptions,
  RouterOptions,
  TlsCertificateOptions,
  TlsOptionsOptions,
  TlsStoreOptions,
  TransportOptions,
} from "./dynamic.ts";
import type { ServerSpec } from "./snapshot.ts";
import type { Unavailable, Workload } from "./workload.ts";

/** One thing that a provider declares, with where it was written. */
export interface Declared<T> {
  readonly value: T;
  readonly place: Place;
  /** What was written, so that problems found later can point at one option of it. */
  readonly node?: Node;
  /** Problems of error severity were found inside it: it is shown, but not in force. */
  readonly broken: boolean;
  /** Containers that declare it, oldest first; none for files. */
  readonly workloads: readonly string[];
}

export interface DeclaredRouter extends RouterOptions {
  /** The rule came from the provider's default rule: v3 syntax, with the loop guard. */
  readonly byDefaultRule: boolean;
  /** Milliseconds since 1970; breaks ties between equal priorities, oldest first. 0 if unknown. */
  readonly createdAtMs: number;
}

/** Exactly one of the kinds is set; what a load balancer's servers are is already worked out. */
export interface DeclaredService extends Omit<FileServiceOptions, "loadBalancer"> {
  readonly loadBalancer:
    | (Omit<NonNullable<FileServiceOptions["loadBalancer"]>, "servers"> & {
        readonly servers: readonly ServerSpec[];
        /** Why there are no servers or fewer than containers: starting, unhealthy, no shared network. */
        readonly unavailable: readonly Unavailable[];
      })
    | undefined;
}

export interface DeclaredMiddleware {
  /** `rateLimit`: the name in the registry. */
  readonly type: string;
  /** As read by that middleware's options. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** Everything one provider says, by unqualified name. Replaced as a whole; never changed. */
export interface Declaration {
  /** `docker`, `file`, `internal`. */
  readonly provider: string;
  readonly routers: ReadonlyMap<string, Declared<DeclaredRouter>>;
  readonly services: ReadonlyMap<string, Declared<DeclaredService>>;
  readonly middlewares: ReadonlyMap<string, Declared<DeclaredMiddleware>>;
  readonly transports: ReadonlyMap<string, Declared<TransportOptions>>;
  readonly tlsOptions: ReadonlyMap<string, Declared<TlsOptionsOptions>>;
  readonly tlsStores: ReadonlyMap<string, Declared<TlsStoreOptions>>;
  readonly tlsCertificates: readonly Declared<TlsCertificateOptions>[];
  readonly problems: readonly Problem[];
  /** Every container seen, routed or not. */
  readonly workloads: readonly Workload[];
  /** Why a container has no router: one sentence, by its id. */
  readonly unrouted?: ReadonlyMap<string, string>;
}

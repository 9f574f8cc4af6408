import type {
  FileServiceOptions,
  LoadBalancerOptions,
  RouterOptions,
  TlsOptionsOptions,
  TransportOptions,
} from "./dynamic.ts";
import type { Unavailable } from "./workload.ts";

/**
 * The configuration in force, as plain data that can be sent to threads. Made only by the control plane, checked
 * throughout: every name in it is qualified and exists, every rule parses, every middleware's options are right.
 */
export interface Snapshot {
  /** Counts up from 1. */
  readonly version: number;
  readonly routers: readonly RouterSpec[];
  readonly services: ReadonlyMap<string, ServiceSpec>;
  readonly middlewares: ReadonlyMap<string, MiddlewareSpec>;
  readonly transports: ReadonlyMap<string, TransportOptions>;
  readonly tls: TlsSpec;
  /** Live HTTP-01 challenges: token to key authorization. */
  readonly challenges: ReadonlyMap<string, string>;
}

export interface RouterSpec {
  /** `app@docker`, or `websecure-app@docker` for a copy that an entry point's defaults made. */
  readonly name: string;
  readonly provider: string;
  readonly rule: string;
  readonly ruleSyntax: "v2" | "v3";
  /** Effective: never 0 by default. */
  readonly priority: bigint;
  /** Rank of the provider in `providers.precedence`; lower is tried first among equal priorities. */
  readonly precedence: number;
  readonly createdAtMs: number;
  readonly entryPoints: readonly string[];
  /** Qualified, the entry point's own first. */
  readonly middlewares: readonly string[];
  /** Qualified; empty for a parent of other routers. */
  readonly service: string;
  readonly parents: readonly string[];
  readonly tls: (NonNullable<RouterOptions["tls"]> & { readonly options: string }) | undefined;
  readonly byDefaultRule: boolean;
  readonly accessLog: boolean;
  /** Share of the requests; undefined for that of the settings. */
  readonly accessLogSampleRate?: number | undefined;
  readonly metrics: boolean;
  readonly tracing: boolean;
  readonly detailedTraces: boolean;
  /**
   * Why it refuses every request: something in it, or that it needs, is declared wrongly. It keeps its place in the
   * table all the same, so that no broader router opens what its middlewares were to guard.
   */
  readonly closed?: string;
}

export type ServiceSpec = {
  readonly name: string;
  readonly middlewares: readonly string[];
  readonly timeouts: FileServiceOptions["timeouts"];
  readonly limits: FileServiceOptions["limits"];
} & (
  | {
      readonly kind: "loadBalancer";
      readonly options: LoadBalancerOptions;
      readonly servers: readonly ServerSpec[];
      /** Where each server's state is in `ServerCells`, in the order of `servers`. */
      readonly slots: readonly number[];
      readonly unavailable: readonly Unavailable[];
    }
  | { readonly kind: "weighted"; readonly options: NonNullable<FileServiceOptions["weighted"]> }
  | { readonly kind: "mirroring"; readonly options: NonNullable<FileServiceOptions["mirroring"]> }
  | { readonly kind: "failover"; readonly options: NonNullable<FileServiceOptions["failover"]> }
  | {
      readonly kind: "highestRandomWeight";
      readonly options: NonNullable<FileServiceOptions["highestRandomWeight"]>;
    }
  | { readonly kind: "internal" }
);

export interface ServerSpec {
  /**
   * What makes it this server and no other: container id, address, port, scheme. Connections are pooled by it, so
   * that no request for one container reaches another that got its address.
   */
  readonly id: string;
  readonly scheme: "http" | "https" | "h2c";
  /** Address or name, without brackets; a path for a Unix socket. */
  readonly host: string;
  readonly port: number;
  /** Path put before the request's; empty unless `preservePath`. */
  readonly path: string;
  readonly weight: number;
  /** `http://172.18.0.3:80`: as Traefik's API shows it, and what sticky cookies are made of. */
  readonly url: string;
  readonly workload: string | undefined;
  /** A label named the host: it may not resolve to an address of our own. */
  readonly foreign?: true;
}

export interface MiddlewareSpec {
  readonly name: string;
  readonly type: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly shared: SharedArrayBuffer | undefined;
}

export interface TlsSpec {
  /** `default` is always there. */
  readonly options: ReadonlyMap<string, TlsOptionsOptions>;
  readonly certificates: readonly CertificateSpec[];
  /** Id of the certificate shown when no other fits. */
  readonly defaultCertificate: string;
  /**
   * Lower-case host (may start with `*.`) to the name of its TLS options, for hosts whose routers ask for others than
   * `default`.
   */
  readonly hosts?: ReadonlyMap<string, string>;
  /** What session tickets are sealed with, new every 12 hours, so that all threads can open them. */
  readonly ticketSecret?: string;
}

export interface CertificateSpec {
  /** SHA-256 of the leaf's DER, hexadecimal. */
  readonly id: string;
  /** Lower-case DNS names (may start with `*.`) and IP addresses. */
  readonly names: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** PEM, leaf first. */
  readonly chain: string;
  /** PEM. */
  readonly key: string;
  /** For TLS-ALPN-01 only: never shown to ordinary clients. */
  readonly challenge: boolean;
}

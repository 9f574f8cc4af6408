/** What Traefik's part of the API answers, as far as it is shown. */

export type Status = "enabled" | "warning" | "disabled";

export interface Common {
  readonly name: string;
  readonly provider: string;
  readonly status: Status;
  readonly error?: readonly string[];
}

export interface Router extends Common {
  readonly rule?: string;
  readonly service?: string;
  readonly priority?: number;
  readonly priorityStr?: string;
  readonly entryPoints?: readonly string[];
  readonly using?: readonly string[];
  readonly middlewares?: readonly string[];
  readonly parentRefs?: readonly string[];
  readonly tls?: {
    readonly options?: string;
    readonly certResolver?: string;
    readonly domains?: readonly { readonly main: string; readonly sans?: readonly string[] }[];
  };
  readonly observability?: { readonly [name: string]: unknown };
}

export interface Named {
  readonly name: string;
  readonly weight?: number;
  readonly percent?: number;
}

export interface Service extends Common {
  readonly type?: string;
  readonly loadBalancer?: {
    readonly servers?: readonly { readonly url: string; readonly weight?: number }[];
    readonly [name: string]: unknown;
  };
  readonly weighted?: { readonly services?: readonly Named[] };
  readonly highestRandomWeight?: { readonly services?: readonly Named[] };
  readonly mirroring?: { readonly service: string; readonly mirrors?: readonly Named[] };
  readonly failover?: { readonly service: string; readonly fallback: string };
  readonly serverStatus?: { readonly [url: string]: "UP" | "DOWN" };
  readonly usedBy?: readonly string[];
}

export interface Middleware extends Common {
  readonly type: string;
  readonly usedBy?: readonly string[];
  readonly [option: string]: unknown;
}

export interface Certificate {
  readonly name: string;
  readonly commonName: string;
  readonly sans: readonly string[];
  readonly issuerOrg?: string;
  readonly issuerCN?: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly serialNumber: string;
  readonly keyType: string;
  readonly keySize?: number;
  readonly signatureAlgorithm: string;
  readonly status: "enabled" | "warning" | "expired";
}

interface Counts {
  readonly total: number;
  readonly warnings: number;
  readonly errors: number;
}

export interface Overview {
  readonly http: { readonly routers: Counts; readonly services: Counts; readonly middlewares: Counts };
  readonly certificates: Counts;
  readonly features: { readonly tracing: string; readonly metrics: string; readonly accessLog: boolean };
  readonly providers: readonly string[];
}

export interface EntryPoint {
  readonly name: string;
  readonly address: string;
  readonly http?: { readonly tls?: unknown; readonly redirections?: unknown };
}

export interface Version {
  readonly Version: string;
  readonly startDate: string;
  readonly dashboardName?: string;
}

/**
 * What our own pages of the API answer, as the dashboard reads it. Traefik's are in `views.ts`. Only types: the
 * browser's code takes them from here.
 */

/** One second; numbers are per second. */
export interface TrafficPoint {
  readonly atMs: number;
  readonly requests: number;
  readonly clientErrors: number;
  readonly serverErrors: number;
  readonly faults: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Milliseconds; null when there were no requests. */
  readonly medianMs: number | null;
  readonly slowMs: number | null;
}

export interface WorkloadShape {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly state: string;
  readonly health: string;
  readonly stopping: boolean;
  readonly routed: boolean;
  readonly reason: string;
  readonly routers: readonly string[];
  readonly services: readonly string[];
  readonly problems: readonly string[];
  readonly networks: readonly { readonly name: string; readonly ipv4: string; readonly ipv6: string }[];
  readonly ports: readonly { readonly privatePort: number; readonly protocol: string }[];
  readonly created: string;
}

export interface ProblemShape {
  readonly code: string;
  readonly severity: "error" | "warning";
  readonly place: string;
  readonly message: string;
  readonly suggestion?: string;
  readonly subject?: { readonly kind: string; readonly name: string };
}

export interface SettingShape {
  readonly option: string;
  readonly value: unknown;
  /** `default`, `flag`, `env`, `file`. */
  readonly source: string;
  /** `--api.insecure`, `WAYBILL_API_INSECURE`, `/etc/waybill.yml:3:5 api.insecure`. */
  readonly place: string;
  readonly doc: string;
}

export interface OptionShape {
  readonly path: string;
  readonly kind: string;
  readonly doc: string;
  readonly default?: string;
  readonly example?: string;
  readonly required?: true;
  readonly secret?: true;
  /** Ours, not Traefik's. */
  readonly added?: true;
  readonly obsolete?: string;
  readonly refused?: string;
}

export interface Explanation {
  readonly request: {
    readonly method: string;
    readonly url: string;
    readonly scheme: string;
    readonly host: string;
    readonly path: string;
    readonly query?: string;
    readonly from: string;
  };
  readonly routed: boolean;
  /** One line that says what happens, and when nothing does, why. */
  readonly diagnosis: string;
  readonly entryPoint?: { readonly name: string; readonly address: string };
  readonly considered: readonly {
    readonly router: string;
    readonly rule: string;
    readonly priority: string;
    readonly matched: boolean;
    readonly reasons: readonly string[];
  }[];
  /** More routers were tried than are listed. */
  readonly consideredMore: number;
  readonly router?: { readonly name: string; readonly rule: string; readonly why: string };
  readonly middlewares: readonly {
    readonly name: string;
    readonly type: string;
    readonly options: { readonly [name: string]: unknown };
  }[];
  readonly service?: { readonly name: string; readonly kind: string };
  readonly servers: readonly {
    readonly service: string;
    readonly url: string;
    readonly state: "up" | "unhealthy" | "resting";
    readonly inFlight: number;
    readonly workload?: string;
  }[];
  readonly unavailable: readonly string[];
  readonly certificate?: {
    readonly names: readonly string[];
    readonly issuer: string;
    readonly notAfter: string;
    readonly fits: boolean;
    /** A sentence, when none for this name is there yet. */
    readonly note?: string;
  };
  /** When nothing matched: routers that would take it but for one thing, the smallest slip first. */
  readonly nearRules: readonly { readonly router: string; readonly reason: string }[];
  /** When nothing matched: hosts that were likely meant, nearest first. */
  readonly nearest: readonly { readonly host: string; readonly routers: readonly string[] }[];
  /** When nothing matched: routers that would, were they in force, and containers left out, and why. */
  readonly leftOut: readonly {
    readonly kind: "router" | "container";
    readonly name: string;
    readonly reason: string;
  }[];
}

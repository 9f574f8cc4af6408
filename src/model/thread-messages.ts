import type { Logger, ThreadId } from "./host.ts";
import type { MeterMessage, MeterRelease } from "./metrics.ts";
import type { Settings } from "./settings.ts";
import type { SnapshotChange } from "./snapshot-change.ts";
import type { SpanRecord } from "./spans.ts";
import type { RequestSample } from "./traffic.ts";

/** What a data-plane thread is given when it starts. Everything in it survives a structured clone. */
export interface ThreadStart {
  readonly settings: Settings;
  readonly thread: ThreadId;
  readonly threads: number;
  /** One number a thread, by index: counted up twice a second for as long as the thread's loop turns. */
  readonly heartbeats: SharedArrayBuffer;
  /** `ServerCells`. */
  readonly servers: SharedArrayBuffer;
  /** One number: requests of the whole process, for the access log. */
  readonly requestCount: SharedArrayBuffer;
  /** `TrafficCells`. */
  readonly traffic: SharedArrayBuffer;
}

export type ToThread =
  | { readonly kind: "configure"; readonly change: SnapshotChange }
  /** Sent once, after the first configuration. `ports` has those that another thread was given for port 0. */
  | { readonly kind: "listen"; readonly ports: ReadonlyMap<string, number> }
  /** Ping tells load balancers to go elsewhere from now on. */
  | { readonly kind: "terminating" }
  /** No new connections; requests under way have this long. `drained` follows. */
  | { readonly kind: "drain"; readonly graceMs: number }
  | { readonly kind: "meter"; readonly release: MeterRelease }
  /** One batch of the access log is on its way to the collector. */
  | { readonly kind: "access-log-taken" }
  /** Open log files again: somebody else has rotated them. */
  | { readonly kind: "reopen" }
  /** Somebody watches requests as they come, or nobody any more. */
  | { readonly kind: "watch-requests"; readonly on: boolean };

export type FromThread =
  /** By entry point: the port it really has. */
  | { readonly kind: "listening"; readonly ports: ReadonlyMap<string, number> }
  | { readonly kind: "cannot-listen"; readonly entryPoint: string; readonly reason: string }
  | { readonly kind: "configured"; readonly version: number }
  /** A middleware could not be made: its routers answer 503. */
  | {
      readonly kind: "broken-middleware";
      readonly middleware: string;
      readonly owner: string;
      readonly reason: string;
    }
  | { readonly kind: "drained"; readonly cut: number }
  | {
      readonly kind: "log";
      readonly level: keyof Logger;
      readonly fields: Record<string, unknown>;
      readonly message: string;
    }
  | { readonly kind: "meter"; readonly message: MeterMessage }
  | { readonly kind: "spans"; readonly spans: readonly SpanRecord[] }
  /** For the collector of the access log: fields in JSON and line, by turns. `access-log-taken` answers. */
  | { readonly kind: "access-log"; readonly texts: readonly string[] }
  /** `dropped`: how many more there were than anyone can read. */
  | { readonly kind: "requests"; readonly samples: readonly RequestSample[]; readonly dropped: number };

/** Twice a second. */
export const HEARTBEAT_MS = 500;

import type { RequestListener } from "node:http";
import { tickMs } from "../lib/tick.ts";
import type { CertificateView, IssuanceView } from "../model/certificate-view.ts";
import type { Middleware } from "../model/middleware.ts";
import type { Report, ServerState } from "../model/report.ts";
import type { ServerCells } from "../model/server-cells.ts";
import type { Settings } from "../model/settings.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { TrafficTotals } from "../model/traffic.ts";
import type { MeterReader, Series } from "../observe/meter-reader.ts";
import { viewOf } from "../observe/metric-view.ts";
import { renderPrometheus } from "../observe/prometheus.ts";
import type { SettingInForce } from "../settings/in-force.ts";
import type { HearRequests } from "./request-feed.ts";

/** What the proxy's own pages are made from. */
export interface Runtime {
  readonly settings: Settings;
  readonly registry: ReadonlyMap<string, Middleware>;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** The configuration in force, and what was left out of it. */
  report(): Report;
  servers(): readonly ServerState[];
  certificates(): readonly CertificateView[];
  /** How getting certificates goes, name by name. */
  issuance(): readonly IssuanceView[];
  metrics(): string;
  /** Why requests should not be sent here, or not yet; undefined when they may. */
  notReady(): string | undefined;
  /** Every option in force, with where it was said. */
  readonly inForce: readonly SettingInForce[];
  /** By entry point: the port it really has, once it listens. */
  ports(): ReadonlyMap<string, number>;
  traffic(): TrafficTotals;
  /** Samples of requests as they come. Gives the function that ends it, as the next one does. */
  onRequests(hear: HearRequests): () => void;
  /** Told after every configuration. */
  onReport(hear: (report: Report) => void): () => void;
}

/** Makes the handler of the proxy's own pages: handed in, because the pages know the runtime and not the other way. */
export type MakePages = (runtime: Runtime) => RequestListener;

/** How every server of the snapshot does at this moment. */
export function serverStates(snapshot: Snapshot, cells: ServerCells): ServerState[] {
  const nowMs = tickMs();
  const states: ServerState[] = [];
  for (const service of snapshot.services.values()) {
    if (service.kind !== "loadBalancer") continue;
    service.servers.forEach((server, i) => {
      const slot = service.slots[i]!;
      states.push({
        service: service.name,
        server,
        healthy: cells.healthy(slot),
        ejected: cells.ejected(slot, nowMs),
        inFlight: cells.inFlight(slot),
      });
    });
  }
  return states;
}

export function metricsText(reader: MeterReader, own: readonly Series[], { metrics }: Settings): string {
  const all = [...reader.read(), ...own];
  if (metrics?.prometheus === undefined) return renderPrometheus(all);
  const { buckets, ...switches } = metrics.prometheus;
  return renderPrometheus(viewOf(all, { ...switches, bounds: buckets }));
}

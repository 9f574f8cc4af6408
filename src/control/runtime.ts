import type { RequestListener } from "node:http";
import { tickMs } from "../lib/tick.ts";
import type { ServerState } from "../model/report.ts";
import type { Runtime } from "../model/runtime.ts";
import type { ServerCells } from "../model/server-cells.ts";
import type { Settings } from "../model/settings.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { MeterReader, Series } from "../observe/meter-reader.ts";
import { viewOf } from "../observe/metric-view.ts";
import { renderPrometheus } from "../observe/prometheus.ts";

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

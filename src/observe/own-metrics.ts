import { readdirSync, readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { CertificateView } from "../model/certificate-view.ts";
import type { Family } from "../model/metrics.ts";
import type { Report, ServerState } from "../model/report.ts";
import type { Series } from "./meter-reader.ts";

/** What is asked of the control plane at every reading. */
export interface OwnFacts {
  readonly report: Report | undefined;
  readonly servers: readonly ServerState[];
  readonly certificates: readonly CertificateView[];
  /** By resolver, since the start. */
  readonly orders: ReadonlyMap<string, CertificateCounts>;
  readonly threads: number;
  /** Spans, series and access-log lines that collectors did not take, by kind. */
  readonly notCollected: ReadonlyMap<string, number>;
  readonly startedAtMs: number;
}

export interface CertificateCounts {
  readonly orders: number;
  readonly issued: number;
  readonly failed: number;
}

const RESOLUTION_MS = 50;

/** Numbers of the process and of the control plane, under the names that Traefik and Prometheus' own clients use. */
export class OwnMetrics {
  readonly #delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #heardAtMs = new Map<string, number>();
  #reloads = 0;
  #reloadedAtMs = 0;

  constructor() {
    this.#delays.enable();
  }

  /** A configuration was put in force. */
  configured(): void {
    this.#reloads++;
    this.#reloadedAtMs = Date.now();
  }

  /** A provider has said something. */
  heard(provider: string): void {
    this.#heardAtMs.set(provider, Date.now());
  }

  read(facts: OwnFacts): Series[] {
    const series: Series[] = [];
    const add = (
      type: "counter" | "gauge",
      name: string,
      help: string,
      value: number,
      labels: readonly string[] = [],
    ) => {
      const family: Family = { name, help, type };
      series.push({ family, labels, values: [value] });
    };
    this.#addConfiguration(add, facts);
    addServers(add, facts.servers);
    addCertificates(add, facts.certificates);
    addOrders(add, facts.orders);
    const help =
      "Spans, series and lines of the logs that were dropped because the collector did not take them.";
    for (const [kind, count] of facts.notCollected)
      add("counter", "waybill_telemetry_dropped_total", help, count, ["kind", kind]);
    this.#addProcess(add, facts);
    return series;
  }

  #addConfiguration(add: Add, { report, threads }: OwnFacts): void {
    add("counter", "traefik_config_reloads_total", "Configurations put in force.", this.#reloads);
    add(
      "gauge",
      "traefik_config_last_reload_success",
      "When the last configuration was put in force, in seconds since 1970.",
      this.#reloadedAtMs / 1000,
    );
    for (const [provider, atMs] of this.#heardAtMs) {
      const help = "Seconds since the provider last had something to say.";
      add("gauge", "waybill_discovery_age_seconds", help, (Date.now() - atMs) / 1000, ["provider", provider]);
    }
    const problems = report?.problems ?? [];
    for (const severity of ["error", "warning"] as const) {
      const count = problems.filter((problem) => problem.severity === severity).length;
      const help = "Problems of the configuration that somebody must mend.";
      add("gauge", "waybill_config_problems", help, count, ["severity", severity]);
    }
    add("gauge", "waybill_threads", "Threads that serve requests.", threads);
  }

  #addProcess(add: Add, { startedAtMs }: OwnFacts): void {
    const { user, system } = process.cpuUsage();
    add("counter", "process_cpu_seconds_total", "Processor time used.", (user + system) / 1e6);
    add("gauge", "process_resident_memory_bytes", "Memory in use.", process.memoryUsage.rss());
    add("gauge", "process_start_time_seconds", "Start, in seconds since 1970.", startedAtMs / 1000);
    const files = openFiles();
    if (files !== undefined) {
      add("gauge", "process_open_fds", "Files that are open.", files.open);
      add("gauge", "process_max_fds", "Files that may be open.", files.most);
    }
    const help = "How late timers of the thread's event loop were, over the last half minute.";
    for (const quantile of [0.5, 0.99, 1]) {
      const late = this.#delays.percentile(quantile * 100) / 1e9 - RESOLUTION_MS / 1000;
      const labels = ["thread", "main", "quantile", String(quantile)];
      add("gauge", "waybill_event_loop_delay_seconds", help, Math.max(0, late), labels);
    }
    this.#delays.reset();
  }
}

type Add = (
  type: "counter" | "gauge",
  name: string,
  help: string,
  value: number,
  labels?: readonly string[],
) => void;

function addServers(add: Add, servers: readonly ServerState[]): void {
  for (const { service, server, healthy, ejected, inFlight } of servers) {
    if (service.endsWith("@internal")) continue;
    const labels = ["service", service, "url", server.url];
    const isUp = healthy && !ejected ? 1 : 0;
    add("gauge", "traefik_service_server_up", "Whether the server may be asked.", isUp, labels);
    add("gauge", "waybill_server_requests_in_flight", "Requests under way at the server.", inFlight, labels);
  }
}

function addCertificates(add: Add, certificates: readonly CertificateView[]): void {
  const help = "End of the certificate's life, in seconds since 1970.";
  for (const { commonName, serialNumber, names, notAfterMs } of certificates) {
    const labels = ["cn", commonName, "serial", serialNumber, "sans", [...names].sort().join(",")];
    add("gauge", "traefik_tls_certs_not_after", help, notAfterMs / 1000, labels);
  }
}

function addOrders(add: Add, orders: OwnFacts["orders"]): void {
  const counters = [
    ["orders", "waybill_certificate_orders_total", "Certificates that were asked for."],
    ["issued", "waybill_certificate_issued_total", "Certificates that were got."],
    ["failed", "waybill_certificate_failures_total", "Attempts to get a certificate that failed."],
  ] as const;
  for (const [count, name, help] of counters) {
    for (const [resolver, counts] of orders)
      add("counter", name, help, counts[count], ["resolver", resolver]);
  }
}

function openFiles(): { readonly open: number; readonly most: number } | undefined {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const most = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.NaN);
    return { open: readdirSync("/proc/self/fd").length, most };
  } catch {
    // Not Linux.
    return undefined;
  }
}

import { sameData } from "../lib/same-data.ts";
import type { TransportOptions } from "../model/dynamic.ts";
import type { Logger } from "../model/host.ts";
import type { ServerCells } from "../model/server-cells.ts";
import type { ServerSpec, ServiceSpec, Snapshot } from "../model/snapshot.ts";
import { probe } from "./probe.ts";

type LoadBalancerSpec = Extract<ServiceSpec, { kind: "loadBalancer" }>;
export type HealthCheckOptions = NonNullable<LoadBalancerSpec["options"]["healthCheck"]>;

export interface HealthHost {
  readonly cells: ServerCells;
  readonly log: Logger;
}

/** Asks servers how they do, as their services say. What was found out is kept while server and check stay the same. */
export class HealthChecks {
  readonly #host: HealthHost;
  readonly #checks = new Map<string, Check>();

  constructor(host: HealthHost) {
    this.#host = host;
  }

  follow(snapshot: Snapshot): void {
    const wanted = new Set<string>();
    for (const service of snapshot.services.values()) {
      if (service.kind !== "loadBalancer" || service.options.healthCheck === undefined) continue;
      const transport = snapshot.transports.get(service.options.serversTransport)!;
      service.servers.forEach((server, i) => {
        wanted.add(`${service.name} ${server.id}`);
        this.#check(service, server, service.slots[i]!, transport);
      });
    }
    for (const [key, check] of this.#checks) {
      if (wanted.has(key)) continue;
      check.stop();
      this.#checks.delete(key);
    }
  }

  close(): void {
    for (const check of this.#checks.values()) check.stop();
    this.#checks.clear();
  }

  #check(service: LoadBalancerSpec, server: ServerSpec, slot: number, transport: TransportOptions): void {
    const key = `${service.name} ${server.id}`;
    const options = service.options.healthCheck!;
    const known = this.#checks.get(key);
    if (known?.isFor(options, transport, slot)) return;
    known?.stop();
    this.#checks.set(key, new Check(service.name, server, slot, options, transport, this.#host));
  }
}

/** One server of one service. It starts up: the first question comes after one whole interval. */
class Check {
  readonly #service: string;
  readonly #server: ServerSpec;
  readonly #slot: number;
  readonly #options: HealthCheckOptions;
  readonly #transport: TransportOptions;
  readonly #host: HealthHost;
  readonly #stopped = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    service: string,
    server: ServerSpec,
    slot: number,
    options: HealthCheckOptions,
    transport: TransportOptions,
    host: HealthHost,
  ) {
    this.#service = service;
    this.#server = server;
    this.#slot = slot;
    this.#options = options;
    this.#transport = transport;
    this.#host = host;
    this.#wait();
  }

  isFor(options: HealthCheckOptions, transport: TransportOptions, slot: number): boolean {
    return slot === this.#slot && sameData(options, this.#options) && sameData(transport, this.#transport);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stopped.abort();
  }

  #wait(): void {
    const { interval, unhealthyInterval } = this.#options;
    const usual = interval > 0 ? interval : INTERVAL_MS;
    const isUp = this.#host.cells.healthy(this.#slot);
    const ms = isUp || unhealthyInterval === undefined || unhealthyInterval <= 0 ? usual : unhealthyInterval;
    this.#timer = setTimeout(() => void this.#ask(), ms);
    this.#timer.unref();
  }

  async #ask(): Promise<void> {
    const { signal } = this.#stopped;
    const trouble = await probe(this.#server, this.#options, this.#transport, signal);
    if (signal.aborted) return;
    this.#tell(trouble);
    this.#wait();
  }

  #tell(trouble: string | undefined): void {
    const { cells, log } = this.#host;
    const isUp = trouble === undefined;
    const wasUp = cells.healthy(this.#slot);
    cells.setHealthy(this.#slot, isUp);
    if (isUp) cells.forgive(this.#slot);
    if (isUp === wasUp) return;
    const fields = { service: this.#service, server: this.#server.url, ...(!isUp && { reason: trouble }) };
    if (isUp) log.info(fields, "a server passes its health check again");
    else log.warn(fields, "a server fails its health check and gets no requests");
  }
}

const INTERVAL_MS = 30_000;

import type { Exchange } from "../model/exchange.ts";
import { getHeader } from "../model/headers.ts";
import type { Family } from "../model/metrics.ts";
import type { Block, Meter } from "./meter.ts";

export interface RequestMetricsSettings {
  /** Upper bounds of the duration histograms, seconds. */
  readonly buckets: readonly number[];
  readonly entryPoints: boolean;
  readonly routers: boolean;
  readonly services: boolean;
  /** Count requests of services inside the proxy (`api@internal`). */
  readonly internals: boolean;
  /** Metric label to lower-case request header. */
  readonly headerLabels: ReadonlyMap<string, string>;
}

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PRI"];
const PROTOCOLS = ["http", "websocket", "sse", "grpc-web", "grpc"] as const;
const GRPC_WEB = 3;

// Slots of a request block.
const REQUESTS = 0;
const BYTES_IN = 1;
const BYTES_OUT = 2;
const DURATION = 3;

/** Counts requests under Traefik's names and labels, so that boards made for Traefik work. */
export class RequestMetrics {
  readonly #meter: Meter;
  readonly #settings: RequestMetricsSettings;
  readonly #entryPoints = new Map<string, Scope>();
  readonly #routers = new Map<string, Scope>();
  readonly #services = new Map<string, Scope>();
  readonly #faults = new Map<string, Block>();
  readonly #retries = new Map<string, Block>();

  constructor(meter: Meter, settings: RequestMetricsSettings) {
    this.#meter = meter;
    this.#settings = settings;
  }

  /** Called once an exchange, when nothing more will be sent. */
  done(exchange: Exchange, durationMs: number): void {
    const { route, connection, service } = exchange;
    if (exchange.fault !== undefined) this.#countFault(exchange.fault.code, exchange.fault.source);
    if (route !== undefined) {
      if (!route.metrics) return;
      if (!this.#settings.internals && route.service.name.endsWith("@internal")) return;
    }
    const protocol = protocolOf(exchange);
    const code = protocol >= GRPC_WEB ? grpcCodeOf(exchange) : exchange.status;
    const key = keyOf(code, exchange.method, protocol);
    if (this.#settings.entryPoints) {
      scopeOf(
        this.#entryPoints,
        connection.entryPoint,
        this.#meter,
        "entrypoint",
        ["entrypoint", connection.entryPoint],
        this.#settings,
      ).count(exchange, key, protocol, durationMs);
    }
    if (route === undefined) return;
    if (this.#settings.routers) {
      const labels = ["router", route.name, "service", service ?? route.service.name];
      scopeOf(this.#routers, route.name, this.#meter, "router", labels, this.#settings).count(
        exchange,
        key,
        protocol,
        durationMs,
      );
    }
    if (this.#settings.services && service !== undefined) {
      if (exchange.attempts > 1) this.#countRetries(service, exchange.attempts - 1);
      scopeOf(this.#services, service, this.#meter, "service", ["service", service], this.#settings).count(
        exchange,
        key,
        protocol,
        durationMs,
      );
    }
  }

  /** Forgets the series of routers and services that are gone. */
  keep(routers: ReadonlySet<string>, services: ReadonlySet<string>): void {
    dropOthers(this.#routers, routers);
    dropOthers(this.#services, services);
    for (const [service, block] of this.#retries) {
      if (services.has(service)) continue;
      this.#meter.retire(block);
      this.#retries.delete(service);
    }
  }

  #countRetries(service: string, count: number): void {
    let block = this.#retries.get(service);
    if (block === undefined) {
      const help = "Requests that were sent once more.";
      block = this.#meter.counter("traefik_service_retries_total", help, ["service", service]);
      this.#retries.set(service, block);
    }
    block.add(count);
  }

  #countFault(code: string, source: string): void {
    let block = this.#faults.get(code);
    if (block === undefined) {
      const help =
        "Requests that the application did not answer, by the fault's code and whose fault it was.";
      block = this.#meter.counter("waybill_faults_total", help, ["fault", code, "source", source]);
      this.#faults.set(code, block);
    }
    block.add(1);
  }
}

/** The series of one entry point, router or service. */
class Scope {
  readonly #meter: Meter;
  readonly #families: readonly Family[];
  readonly #tlsFamily: readonly Family[];
  readonly #labels: readonly string[];
  readonly #headerLabels: ReadonlyMap<string, string>;
  readonly #blocks = new Map<number, Block>();
  readonly #extra = new Map<string, Block>();

  constructor(meter: Meter, prefix: string, labels: readonly string[], settings: RequestMetricsSettings) {
    const name = `traefik_${prefix}`;
    const requests: Family = { name: `${name}_requests_total`, help: "Requests.", type: "counter" };
    const sizes: Family[] = [
      { name: `${name}_requests_bytes_total`, help: "Bytes of request bodies.", type: "counter" },
      { name: `${name}_responses_bytes_total`, help: "Bytes of response bodies.", type: "counter" },
      {
        name: `${name}_request_duration_seconds`,
        help: "From the first byte of a request to the last of its reply.",
        type: "histogram",
        bounds: settings.buckets,
      },
    ];
    this.#meter = meter;
    this.#families = [requests, ...sizes];
    this.#tlsFamily = [{ name: `${name}_requests_tls_total`, help: "Requests over TLS.", type: "counter" }];
    this.#labels = labels;
    this.#headerLabels = settings.headerLabels;
  }

  count(exchange: Exchange, key: number, protocol: number, durationMs: number): void {
    const block =
      this.#headerLabels.size === 0
        ? this.#block(exchange, key, protocol)
        : this.#labelled(exchange, key, protocol);
    block.addAt(REQUESTS, 1);
    block.addAt(BYTES_IN, exchange.requestBytes);
    block.addAt(BYTES_OUT, exchange.replyBytes);
    block.observeAt(DURATION, durationMs / 1000);
    if (exchange.connection.tls !== undefined) this.#tls(exchange).add(1);
  }

  #block(exchange: Exchange, key: number, protocol: number): Block {
    const block = this.#blocks.get(key);
    if (block !== undefined) return block;
    const made = this.#meter.block(this.#families, [...this.#kind(exchange, key, protocol), ...this.#labels]);
    this.#blocks.set(key, made);
    return made;
  }

  // A client chooses the values, so their number is bounded.
  #labelled(exchange: Exchange, key: number, protocol: number): Block {
    const values = [...this.#headerLabels].flatMap(([label, header]) => [
      label,
      getHeader(exchange.headers, header) ?? "",
    ]);
    const full = `${key} ${values.join("\n")}`;
    const block = this.#extra.get(full);
    if (block !== undefined) return block;
    if (this.#extra.size >= 1000) return this.#block(exchange, key, protocol);
    const made = this.#meter.block(this.#families, [
      ...this.#kind(exchange, key, protocol),
      ...this.#labels,
      ...values,
    ]);
    this.#extra.set(full, made);
    return made;
  }

  #kind(exchange: Exchange, key: number, protocol: number): string[] {
    const code = Math.floor(key / 256);
    const method = METHODS.includes(exchange.method) ? exchange.method : "EXTENSION_METHOD";
    return ["code", String(code), "method", method, "protocol", PROTOCOLS[protocol]!];
  }

  #tls(exchange: Exchange): Block {
    const { version, cipher } = exchange.connection.tls!;
    const key = `tls ${version} ${cipher}`;
    const block = this.#extra.get(key);
    if (block !== undefined) return block;
    const made = this.#meter.block(this.#tlsFamily, [
      "tls_version",
      version,
      "tls_cipher",
      cipher,
      ...this.#labels,
    ]);
    this.#extra.set(key, made);
    return made;
  }

  retire(): void {
    for (const block of this.#blocks.values()) this.#meter.retire(block);
    for (const block of this.#extra.values()) this.#meter.retire(block);
  }
}

function scopeOf(
  scopes: Map<string, Scope>,
  name: string,
  meter: Meter,
  prefix: string,
  labels: readonly string[],
  settings: RequestMetricsSettings,
): Scope {
  let scope = scopes.get(name);
  if (scope === undefined) {
    scope = new Scope(meter, prefix, labels, settings);
    scopes.set(name, scope);
  }
  return scope;
}

function dropOthers(scopes: Map<string, Scope>, kept: ReadonlySet<string>): void {
  for (const [name, scope] of scopes) {
    // A router that continues another is named after both.
    if (kept.has(name.slice(name.lastIndexOf(" ") + 1))) continue;
    scope.retire();
    scopes.delete(name);
  }
}

function keyOf(code: number, method: string, protocol: number): number {
  return code * 256 + (METHODS.indexOf(method) + 1) * 8 + protocol;
}

/** gRPC's number for a status that nobody knows. */
const GRPC_UNKNOWN = 2;

/** A call may fail although its HTTP status is 200: what gRPC says is in the headers of a reply without a body, or in its trailers. */
function grpcCodeOf({ originTrailers, replyHeaders }: Exchange): number {
  const said =
    getHeader(replyHeaders, "grpc-status") ?? (originTrailers && getHeader(originTrailers, "grpc-status"));
  return said !== undefined && /^\d{1,2}$/.test(said) ? Number(said) : GRPC_UNKNOWN;
}

/** Index into PROTOCOLS, tested in Traefik's order. */
function protocolOf(exchange: Exchange): number {
  if (exchange.upgrade === "websocket") return 1;
  const accept = getHeader(exchange.headers, "accept");
  if (accept === "text/event-stream") return 2;
  if (exchange.method !== "POST") return 0;
  const type = getHeader(exchange.headers, "content-type");
  if (type === undefined || !type.startsWith("application/grpc")) return 0;
  return type.startsWith("application/grpc-web") ? 3 : 4;
}

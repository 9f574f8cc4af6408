import type { Observer } from "../gateway/gateway.ts";
import type { Connection, Exchange } from "../model/exchange.ts";
import type { Fault } from "../model/fault.ts";
import type { Logger } from "../model/host.ts";
import type { Settings } from "../model/settings.ts";
import type { TrafficCells } from "../model/traffic.ts";
import { AccessLog } from "../observe/access-log-output.ts";
import type { Meter } from "../observe/meter.ts";
import { allBounds } from "../observe/metric-view.ts";
import { RequestMetrics } from "../observe/request-metrics.ts";
import type { Tracer } from "../observe/tracer.ts";
import type { RequestTail } from "./request-tail.ts";

export interface Watchers {
  readonly traffic: TrafficCells;
  readonly tail: RequestTail;
  readonly tracer: Tracer | undefined;
  /** Requests for the collector of the access log. */
  readonly send: (texts: readonly string[]) => void;
}

/** Writes down what came of requests, as far as the settings ask for it. */
export class RequestObserver implements Observer {
  readonly metrics: RequestMetrics | undefined;
  readonly wantsOriginHeaders: boolean;
  readonly wantsOriginSize: boolean;
  readonly wantsTrailers: boolean;
  readonly #log: Logger;
  readonly #traffic: TrafficCells;
  readonly #tail: RequestTail;
  readonly #tracer: Tracer | undefined;
  readonly #access: AccessLog | undefined;

  /** `nextCount` numbers the requests of the whole process. */
  constructor(
    settings: Settings,
    meter: Meter,
    log: Logger,
    nextCount: () => number,
    { traffic, tail, tracer, send }: Watchers,
  ) {
    const { accessLog } = settings;
    this.#log = log;
    this.#traffic = traffic;
    this.#tail = tail;
    this.#tracer = tracer;
    this.metrics = makeMetrics(settings, meter);
    const failed = (error: Error) => log.error({ err: error }, "the access log cannot be written");
    this.#access = accessLog && new AccessLog(accessLog, { nextCount, failed, send });
    this.wantsTrailers = this.metrics !== undefined;
    this.wantsOriginHeaders = this.#access?.wantsOriginHeaders === true;
    this.wantsOriginSize = this.#access?.wantsOriginSize === true;
  }

  done(exchange: Exchange): void {
    if (exchange.route === undefined) this.#tracer?.unrouted(exchange);
    const durationMs = performance.now() - exchange.startedAtMs;
    this.metrics?.done(exchange, durationMs);
    if (exchange.route?.service.name.endsWith("@internal") !== true) this.#look(exchange, durationMs);
    this.#access?.done(exchange, durationMs);
  }

  #look(exchange: Exchange, durationMs: number): void {
    const { status, requestBytes, replyBytes, fault } = exchange;
    this.#traffic.count(status, durationMs, requestBytes, replyBytes, fault !== undefined);
    this.#tail.done(exchange);
  }

  refused(connection: Connection, fault: Fault, detail: string): void {
    const { entryPoint, peerIp } = connection;
    this.#traffic.count(fault.status, 0, 0, 0, true);
    this.#log.debug({ entryPoint, client: peerIp, fault: fault.code, detail }, "a request was refused");
  }

  failed(exchange: Exchange, error: unknown): void {
    this.#log.error(
      { err: error, router: exchange.route?.name },
      "a request failed by a fault of ours or of a plug-in",
    );
  }

  /** Lines that the access log's file or pipe did not take. */
  get droppedLines(): number {
    return this.#access?.dropped ?? 0;
  }

  /** A batch of the access log is on its way to the collector. */
  taken(): void {
    this.#access?.taken();
  }

  /** Opens the access log again, after somebody else rotated it. */
  reopen(): void {
    this.#access?.reopen();
  }

  /** Resolves when the access log is written, or when nobody takes it. */
  async close(): Promise<void> {
    await this.#access?.close();
  }
}

function makeMetrics({ metrics }: Settings, meter: Meter): RequestMetrics | undefined {
  if (metrics === undefined) return undefined;
  const { prometheus, otlp } = metrics;
  const receivers = [prometheus, otlp].filter((one) => one !== undefined);
  if (receivers.length === 0) return undefined;
  return new RequestMetrics(meter, {
    // Each receiver is shown what it asked for, so what any of them asked for is counted.
    buckets: allBounds(prometheus?.buckets ?? [], otlp?.explicitBoundaries ?? []),
    entryPoints: receivers.some(({ addEntryPointsLabels }) => addEntryPointsLabels),
    routers: receivers.some(({ addRoutersLabels }) => addRoutersLabels),
    services: receivers.some(({ addServicesLabels }) => addServicesLabels),
    internals: metrics.addInternals,
    headerLabels: new Map(
      [...(prometheus?.headerLabels ?? [])].map(([label, name]) => [label, name.toLowerCase()]),
    ),
  });
}

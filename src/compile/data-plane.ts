import { hostname } from "node:os";
import { callService } from "../gateway/call.ts";
import { HttpGateway } from "../gateway/gateway.ts";
import { gatherReply, gatherRequest } from "../gateway/gather.ts";
import { spool } from "../gateway/spool.ts";
import { foreignFileReader } from "../lib/foreign-file.ts";
import { TimeLimits } from "../lib/time-limits.ts";
import { EntryPoint } from "../listen/entry-point.ts";
import type { EntryPointSettings } from "../model/entry-point.ts";
import type { Logger } from "../model/host.ts";
import type { ResolverOptions } from "../model/resolver-settings.ts";
import type { RouteTable } from "../model/route.ts";
import { ServerCells } from "../model/server-cells.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { applyChange, EMPTY_SNAPSHOT, type SnapshotChange } from "../model/snapshot-change.ts";
import { type FromThread, HEARTBEAT_MS, type ThreadStart, type ToThread } from "../model/thread-messages.ts";
import { TrafficCells } from "../model/traffic.ts";
import { Meter } from "../observe/meter.ts";
import { ThreadMetrics } from "../observe/thread-metrics.ts";
import { Tracer } from "../observe/tracer.ts";
import { SharedLimits } from "../redis/shared-limits.ts";
import { Acceptor } from "../tls/acceptor.ts";
import { ServersUpstream } from "../upstream/upstream.ts";
import type { Catalogue } from "./catalogue.ts";
import { Compiler } from "./compiler.ts";
import { Fetcher } from "./fetch.ts";
import { internalServices, type ThreadState } from "./internal-services.ts";
import type { Tools } from "./middlewares.ts";
import { RequestObserver } from "./observer.ts";
import { RequestTail } from "./request-tail.ts";
import { transportTls } from "./upstream-tls.ts";

const NO_ROUTES: RouteTable = { match: () => undefined };

/** One data-plane thread: it is told configurations and serves by the last of them. */
export class DataPlane {
  readonly #start: ThreadStart;
  readonly #send: (message: FromThread) => void;
  readonly #limits = new TimeLimits();
  readonly #meter: Meter;
  readonly #observer: RequestObserver;
  readonly #tracer: Tracer | undefined;
  readonly #tail: RequestTail;
  readonly #gateway: HttpGateway;
  readonly #compiler: Compiler;
  readonly #entryPoints: EntryPoint[] = [];
  readonly #state: ThreadState;
  readonly #log: Logger;
  #acceptor: Acceptor | undefined;
  #snapshot: Snapshot = EMPTY_SNAPSHOT;

  constructor(start: ThreadStart, catalogue: Catalogue, send: (message: FromThread) => void) {
    const { settings, thread, threads, servers } = start;
    this.#start = start;
    this.#send = send;
    this.#log = logTo(send);
    this.#meter = new Meter((message) => send({ kind: "meter", message }));
    this.#tail = new RequestTail((samples, dropped) => send({ kind: "requests", samples, dropped }));
    const tracer =
      settings.tracing && new Tracer(settings.tracing, (spans) => send({ kind: "spans", spans }));
    this.#tracer = tracer;
    this.#observer = new RequestObserver(settings, this.#meter, this.#log, counterIn(start.requestCount), {
      traffic: new TrafficCells(start.traffic, thread.index),
      tail: this.#tail,
      tracer,
      send: (texts) => send({ kind: "access-log", texts }),
    });
    const { retryBudget } = settings.global;
    this.#gateway = new HttpGateway(NO_ROUTES, this.#observer, this.#limits, retryBudget);
    this.#state = {
      terminating: false,
      terminatingStatus: settings.ping?.terminatingStatusCode ?? 503,
      challenge: (token) => this.#snapshot.challenges.get(token),
    };
    this.#compiler = new Compiler({
      catalogue,
      tools: this.#tools(),
      cells: new ServerCells(servers, threads),
      thread: thread.index,
      makeUpstream: (options) => new ServersUpstream(options, transportTls(options), this.#limits),
      internal: internalServices(this.#state),
      trace: tracer && {
        router: (spec) => tracer.hooksFor(spec.detailedTraces),
        middleware: (spec) => tracer.markFor(spec),
      },
    });
    this.#beat();
  }

  hear(message: ToThread): void {
    switch (message.kind) {
      case "configure":
        return this.#configure(message.change);
      case "listen":
        void this.#listen(message.ports);
        return;
      case "terminating":
        this.#state.terminating = true;
        return;
      case "drain":
        void this.#drain(message.graceMs).then((cut) => this.#send({ kind: "drained", cut }));
        return;
      case "meter":
        return this.#meter.release(message.release.ids);
      case "access-log-taken":
        return this.#observer.taken();
      case "reopen":
        return this.#observer.reopen();
      case "watch-requests":
        return this.#tail.watch(message.on);
    }
  }

  /** After an error that nobody caught, nothing here can be trusted: what is under way gets a moment, then we end. */
  async abandon(error: unknown): Promise<void> {
    this.#log.error({ err: error }, "an error that nobody expected ends this data-plane thread");
    await this.#drain(LAST_MOMENT_MS);
  }

  #configure(change: SnapshotChange): void {
    this.#snapshot = applyChange(this.#snapshot, change);
    const { table, release } = this.#compiler.compile(this.#snapshot);
    this.#gateway.swap(table);
    release();
    if (change.tls !== undefined) this.#acceptor?.update(change.tls);
    this.#observer.metrics?.keep(
      new Set(this.#snapshot.routers.map((router) => router.name)),
      new Set(this.#snapshot.services.keys()),
    );
    this.#send({ kind: "configured", version: change.version });
  }

  async #listen(ports: ReadonlyMap<string, number>): Promise<void> {
    const acceptor = new Acceptor(this.#snapshot.tls);
    this.#acceptor = acceptor;
    const { settings } = this.#start;
    const bound = new Map<string, number>();
    for (const [name, entryPoint] of settings.entryPoints) {
      const listener = new EntryPoint({
        name,
        settings: withPort(entryPoint, ports.get(name)),
        gateway: this.#gateway,
        limits: this.#limits,
        tls: acceptor,
        serverName: hostname(),
        threads: this.#start.threads,
        dropped: this.#meter.counter("waybill_connections_dropped_total", DROPPED, ["entrypoint", name]),
      });
      try {
        bound.set(name, await listener.listen());
        this.#entryPoints.push(listener);
      } catch (error) {
        this.#send({ kind: "cannot-listen", entryPoint: name, reason: (error as Error).message });
        return;
      }
    }
    this.#send({ kind: "listening", ports: bound });
  }

  /** Resolves to the number of requests that were cut off. */
  async #drain(graceMs: number): Promise<number> {
    for (const entryPoint of this.#entryPoints) entryPoint.drain();
    const untilMs = performance.now() + graceMs;
    while (this.#gateway.active > 0 && performance.now() < untilMs) await sleep(DRAIN_LOOK_MS);
    const cut = this.#gateway.active;
    for (const entryPoint of this.#entryPoints) entryPoint.close();
    this.#tracer?.close();
    await this.#observer.close();
    return cut;
  }

  #beat(): void {
    const { heartbeats, thread, settings } = this.#start;
    const beats = new Int32Array(heartbeats);
    const own = settings.metrics === undefined ? undefined : new ThreadMetrics(this.#meter, thread.index);
    const beat = () => {
      Atomics.add(beats, thread.index, 1);
      own?.beat(this.#entryPoints, this.#observer.droppedLines);
    };
    beat();
    setInterval(beat, HEARTBEAT_MS);
  }

  #tools(): Tools {
    const { fetch } = new Fetcher();
    const tracer = this.#tracer;
    const sharedLimits = new SharedLimits(this.#log);
    return {
      thread: this.#start.thread,
      fetch: tracer === undefined ? fetch : (request, exchange) => tracer.fetch(fetch, request, exchange),
      log: this.#log,
      counter: (name, help, middleware, owner) =>
        this.#meter.counter(`waybill_${name}`, help, ["middleware", middleware, "owner", owner]),
      call: (name, request, exchange) => {
        const service = this.#compiler.service(name);
        if (service === undefined) return Promise.reject(new Error(`there is no service ${name}`));
        return callService(service, request, exchange, this.#gateway);
      },
      gatherRequest,
      gatherReply,
      spool,
      sharedLimit: (middleware, spec) => sharedLimits.open(middleware, spec),
      readFile: foreignFileReader(
        this.#start.settings.certificatesResolvers.values().toArray().flatMap(storesOf),
      ),
      broken: (middleware, owner, reason) =>
        this.#send({ kind: "broken-middleware", middleware, owner, reason }),
    };
  }
}

/** Where a resolver keeps keys: what it was told, and the directory that stands in for Traefik's one file. */
function storesOf({ acme }: ResolverOptions): readonly string[] {
  if (acme === undefined || /^rediss?:/.test(acme.storage)) return [];
  return [acme.storage, acme.storage.replace(/\.json$/, "")];
}

/** The same address with the port that another thread was given. */
function withPort(settings: EntryPointSettings, port: number | undefined): EntryPointSettings {
  return port === undefined
    ? settings
    : { ...settings, address: settings.address.replace(/\d+(?=\/|$)/, String(port)) };
}

const DROPPED = "Connections closed at once because there were too many.";
const DRAIN_LOOK_MS = 20;
const LAST_MOMENT_MS = 1000;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function counterIn(memory: SharedArrayBuffer): () => number {
  const cells = new Int32Array(memory);
  return () => Atomics.add(cells, 0, 1) + 1;
}

function logTo(send: (message: FromThread) => void): Logger {
  const write = (level: keyof Logger) => (fields: Record<string, unknown>, message: string) =>
    send({ kind: "log", level, fields, message });
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

import { realpathSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { Declaration } from "../model/declared.ts";
import { parseAddress } from "../model/entry-point.ts";
import type { Middleware } from "../model/middleware.ts";
import type { Report, ServerState } from "../model/report.ts";
import type { Runtime, SettingInForce } from "../model/runtime.ts";
import type { Settings } from "../model/settings.ts";
import type { CertificateSpec, Snapshot } from "../model/snapshot.ts";
import { changesNothing, EMPTY_SNAPSHOT } from "../model/snapshot-change.ts";
import { readTraffic } from "../model/traffic.ts";
import { MeterReader, type Series } from "../observe/meter-reader.ts";
import { OwnMetrics } from "../observe/own-metrics.ts";
import { Rotation } from "../observe/rotation.ts";
import type { Place } from "../schema/node.ts";
import type { Problem } from "../schema/problem.ts";
import { readSecret } from "../schema/secrets.ts";
import { makeDefaultCertificate } from "../tls/self-signed.ts";
import { Certificates } from "./acme.ts";
import { AdminServer } from "./admin-server.ts";
import { CertificateViews } from "./certificate-views.ts";
import { Configurator } from "./configurator.ts";
import { type ProviderHost, type RunningProvider, startDocker } from "./docker.ts";
import { startFiles } from "./files.ts";
import { HealthChecks } from "./health.ts";
import { dropPrivileges } from "./privileges.ts";
import { RequestFeed } from "./request-feed.ts";
import { type MakePages, metricsText, serverStates } from "./runtime.ts";
import { Slots } from "./slots.ts";
import { type SentLog, Telemetry } from "./telemetry.ts";
import { Threads } from "./threads.ts";

const THREADS_MAX = 8;
const TICKETS_MS = 12 * 3_600_000;
/** How long we wait for every provider's first word before we listen, so that a restart answers no 404. */
const FIRST_WORD_MS = 2000;
/** How long we wait for the certificates that are kept before we listen without them. */
const STORE_MS = 5000;

export interface Surroundings {
  readonly settings: Settings;
  readonly log: SentLog;
  readonly registry: ReadonlyMap<string, Middleware>;
  readonly makePages: MakePages;
  readonly version: string;
  /** For the settings page. */
  readonly inForce?: readonly SettingInForce[];
  readonly env: NodeJS.ProcessEnv;
  readonly placeOf: (option: string) => Place;
  readonly readFile: (path: string) => string;
}

/** The whole product while it runs. */
export class Waybill {
  readonly #around: Surroundings;
  readonly #slots: Slots;
  readonly #threads: Threads;
  readonly #meters = new MeterReader();
  readonly #own = new OwnMetrics();
  readonly #health: HealthChecks;
  readonly #telemetry: Telemetry;
  readonly #rotation: Rotation | undefined;
  readonly #requests = new RequestFeed((on) => this.#threads.watchRequests(on));
  readonly #reportHearers = new Set<(report: Report) => void>();
  readonly #startedAtMs = Date.now();
  #snapshot: Snapshot = EMPTY_SNAPSHOT;
  #report: Report | undefined;
  #admin: AdminServer | undefined;
  #configurator: Configurator | undefined;
  #certificates: Certificates | undefined;
  #ownCertificate: CertificateSpec | undefined;
  readonly #views = new CertificateViews();
  #providers: RunningProvider[] = [];
  #tickets: NodeJS.Timeout | undefined;
  /** Providers whose source nobody could read yet. */
  readonly #unread = new Set<string>();
  #isStopping = false;

  constructor(around: Surroundings) {
    const { settings, log } = around;
    const count = threadsIn(settings);
    this.#around = around;
    this.#slots = new Slots(count, Date.now);
    this.#threads = new Threads(count, {
      settings,
      log,
      servers: this.#slots.memory,
      cells: this.#slots.cells,
      meter: (thread, message) => this.#meters.receive(thread, message),
      requests: (samples, dropped) => this.#requests.hear(samples, dropped),
      spans: (spans) => this.#telemetry.spans(spans),
      accessLog: (texts) => this.#telemetry.requests(texts),
      threadStarted: (thread) => this.#meters.add(thread, (ids) => this.#threads.releaseMeters(thread, ids)),
      threadGone: (thread) => this.#meters.remove(thread),
      brokenMiddleware: (middleware, _, reason) => this.#configurator?.brokenMiddleware(middleware, reason),
    });
    this.#telemetry = new Telemetry({
      settings,
      log,
      version: around.version,
      startedAtMs: this.#startedAtMs,
      series: () => [...this.#meters.read(), ...this.#ownSeries()],
    });
    this.#health = new HealthChecks({ cells: this.#slots.cells, log });
    const notRotated = (error: Error) => log.error({ err: error }, "the access log cannot be rotated");
    this.#rotation =
      settings.accessLog && Rotation.of(settings.accessLog, () => this.reopenLogs(), notRotated);
  }

  /** Resolves when requests are served. Throws `CannotListen`. */
  async start(): Promise<ReadonlyMap<string, number>> {
    const { settings, registry, log, makePages } = this.#around;
    this.#ownCertificate = await makeDefaultCertificate(Date.now());
    const configurator = new Configurator({
      settings,
      registry,
      log,
      slots: this.#slots,
      ownCertificate: this.#ownCertificate,
      publish: (snapshot, change, report) => {
        this.#snapshot = snapshot;
        this.#report = report;
        if (!changesNothing(change)) {
          this.#threads.publish(snapshot, change);
          this.#own.configured();
        }
        this.#health.follow(snapshot);
        this.#certificates?.follow(report);
        for (const hear of this.#reportHearers) hear(report);
      },
    });
    this.#configurator = configurator;
    this.#certificates = new Certificates({
      settings,
      log,
      env: this.#around.env,
      certify: (issued, challenges) => this.#threads.settled(configurator.certify(issued, challenges)),
    });
    configurator.apply();
    await this.#startProviders(configurator);
    dropPrivileges(settings, log);
    // Its folder belongs to whom we are from now on.
    this.#admin = await AdminServer.start(makePages(this.#runtime()), log);
    configurator.servePages(this.#admin?.path);
    // A store that is away for now must not keep what needs none of it from being served.
    await Promise.race([this.#certificates.acme.open(), sleep(STORE_MS)]);
    await this.#threads.start();
    // Only now: what a CA is asked for, it comes and looks for here.
    void this.#certificates.acme.start();
    this.#tickets = setInterval(() => configurator.renewTickets(), TICKETS_MS);
    this.#tickets.unref();
    this.#logStart();
    return this.#threads.ports;
  }

  /** Reads what providers read from files again, and tries the certificates that failed: SIGHUP. */
  reload(): void {
    for (const provider of this.#providers) provider.reload();
    const tried = this.#certificates?.acme.retryFailed() ?? 0;
    if (tried > 0) this.#around.log.info({ certificates: tried }, "certificates that failed are tried again");
  }

  reopenLogs(): void {
    this.#threads.reopenLogs();
  }

  /** Ping says that we go; requests are taken a little longer, then those under way are finished. */
  async stop(): Promise<void> {
    const { settings, log } = this.#around;
    const lifeCycles = [...settings.entryPoints.values()].map(({ transport }) => transport.lifeCycle);
    this.#isStopping = true;
    this.#threads.terminating();
    await sleep(Math.max(...lifeCycles.map(({ requestAcceptGraceTimeout }) => requestAcceptGraceTimeout)));
    const cut = await this.#threads.drain(Math.max(...lifeCycles.map(({ graceTimeOut }) => graceTimeOut)));
    if (cut > 0) log.warn({ cut }, "requests were cut off after the grace time");
    await this.close();
  }

  /** Ends everything now. */
  async close(): Promise<void> {
    clearInterval(this.#tickets);
    this.#rotation?.close();
    this.#configurator?.close();
    this.#health.close();
    await this.#certificates?.acme.close();
    await Promise.all(this.#providers.map((provider) => provider.close()));
    await this.#threads.close();
    await this.#telemetry.close();
    await this.#admin?.close();
  }

  /** What a person who has just started it wants to know, and nothing else. */
  #logStart(): void {
    const { settings, log } = this.#around;
    for (const [entryPoint, { address }] of settings.entryPoints) {
      const port = this.#threads.ports.get(entryPoint);
      log.info({ entryPoint, address, ...(parseAddress(address)?.port === 0 && { port }) }, "listening");
    }
    const { routers, problems } = this.#report!;
    const inForce = [...routers.values()].filter(({ provider }) => provider !== "internal");
    const broken = inForce.filter(({ status }) => status === "disabled").length;
    const fields = {
      routers: inForce.length - broken,
      ...(broken > 0 && { broken }),
      ...(problems.length > 0 && { problems: problems.length }),
    };
    log.info(fields, "Waybill is ready");
    if (this.#providers.length === 0) {
      log.warn({}, "nothing is watched, so there are no routes: set --providers.docker or --providers.file");
    }
  }

  async #startProviders(configurator: Configurator): Promise<void> {
    const { promise: allSpoke, resolve } = Promise.withResolvers<void>();
    const silent = new Set(
      SOURCES.filter((source) => this.#around.settings.providers[source.name] !== undefined).map(
        ({ name }) => name,
      ),
    );
    if (silent.size === 0) return;
    for (const name of silent) this.#unread.add(name);
    const publish = (declaration: Declaration) => {
      if (!declaration.problems.some(isAboutSource)) this.#unread.delete(declaration.provider);
      this.#own.heard(declaration.provider);
      configurator.declare(declaration);
      silent.delete(declaration.provider as (typeof SOURCES)[number]["name"]);
      if (silent.size === 0) resolve();
    };
    for (const { start } of SOURCES) {
      const provider = start({ ...this.#around, secret: this.#secret(), publish });
      if (provider !== undefined) this.#providers.push(provider);
    }
    await Promise.race([allSpoke, sleep(FIRST_WORD_MS)]);
  }

  #notReady(): string | undefined {
    if (this.#isStopping) return "Waybill is stopping";
    const [unread] = this.#unread;
    return unread && `the provider ${unread} has said nothing yet: the log says why`;
  }

  #secret(): ProviderHost["secret"] {
    const { settings, env, readFile } = this.#around;
    const variables = new Map(
      Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    );
    return (reference) =>
      readSecret(reference, { env: variables, readFile, realPath: realpathSync, ...settings.secrets });
  }

  /** All but the one that we signed ourselves, to have one. */
  #certificateViews(): ReturnType<CertificateViews["of"]> {
    const statuses = this.#certificates?.acme.status() ?? [];
    const sources = new Map(statuses.map(({ certificate, resolver }) => [certificate?.id, resolver]));
    const shown = this.#snapshot.tls.certificates.filter(({ id }) => id !== this.#ownCertificate?.id);
    return this.#views.of(shown, (id) => sources.get(id) ?? "file");
  }

  #servers(): ServerState[] {
    return serverStates(this.#snapshot, this.#slots.cells);
  }

  #ownSeries(): Series[] {
    return this.#own.read({
      report: this.#report,
      servers: this.#servers(),
      certificates: this.#certificateViews(),
      orders: this.#certificates?.acme.counts ?? new Map(),
      threads: this.#threads.size,
      notCollected: this.#telemetry.dropped(),
      startedAtMs: this.#startedAtMs,
    });
  }

  #runtime(): Runtime {
    const { settings, registry, version } = this.#around;
    return {
      settings,
      registry,
      version,
      startedAtMs: this.#startedAtMs,
      report: () => this.#report!,
      servers: () => this.#servers(),
      certificates: () => this.#certificateViews(),
      issuance: () => this.#certificates?.issuance() ?? [],
      notReady: () => this.#notReady(),
      metrics: () => metricsText(this.#meters, this.#ownSeries(), settings),
      inForce: this.#around.inForce ?? [],
      ports: () => this.#threads.ports,
      traffic: () => readTraffic(this.#threads.traffic),
      onRequests: (hear) => this.#requests.listen(hear),
      onReport: (hear) => {
        this.#reportHearers.add(hear);
        return () => void this.#reportHearers.delete(hear);
      },
    };
  }
}

/** Everything that can be followed. */
const SOURCES = [
  { name: "docker", start: startDocker },
  { name: "file", start: startFiles },
] as const;

/** Not of one object that it declares, nor of its settings, but of its source as a whole. */
const isAboutSource = ({ code, subject }: Problem) => subject?.kind === "provider" && code !== "bad-value";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function threadsIn({ threads }: Settings): number {
  // Elsewhere the kernel gives all connections of a shared port to one of its listeners.
  if (process.platform !== "linux") return 1;
  return threads > 0 ? threads : Math.min(THREADS_MAX, availableParallelism());
}

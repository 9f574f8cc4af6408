import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../../model/host.ts";
import type { DockerOptions } from "../../model/provider-settings.ts";
import type { Self, Workload } from "../../model/workload.ts";
import type { Place } from "../../schema/node.ts";
import type { Problem } from "../../schema/problem.ts";
import { Containers } from "./containers.ts";
import { endpointName, readEndpoint } from "./endpoint.ts";
import { Engine, type EngineEvent, type InspectedContainer } from "./engine.ts";
import { EngineError } from "./engine-error.ts";
import { linesOf } from "./lines.ts";
import { Pacer } from "./pacer.ts";
import { findSelf, readSurroundings, type Surroundings, selfOf } from "./self.ts";

/** What the engine says now. Replaced as a whole. */
export interface DockerState {
  readonly workloads: readonly Workload[];
  readonly self: Self | undefined;
  readonly problems: readonly Problem[];
}

export type WatchOptions = Pick<
  DockerOptions,
  "endpoint" | "username" | "password" | "tls" | "httpClientTimeout" | "watch"
>;

export interface WatchHost {
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
  /** Monotonic, milliseconds. */
  readonly tickMs: () => number;
  /** Where the settings name the engine. */
  readonly place: Place;
  readonly surroundings?: Surroundings;
  /** How long a silence lasts before the engine is asked anyway; a minute if not given. */
  readonly idleMs?: number;
}

const REBUILDS_A_SECOND = 4;
// One `docker stop` is four events within a few milliseconds.
const SETTLE_MS = 10;
const IDLE_MS = 60_000;
const POLL_MS = 5_000;
// The engine tells of these before its list shows them, so they are looked at once more.
const EARLY = /^(?:connect|disconnect|pause|unpause|rename|update)$/;
const AGAIN_MS = 500;
// A list of a few is cheap for the engine; beyond this many names, the whole list is cheaper.
const FEW = 50;
const BACKOFF_FIRST_MS = 500;
// The engine's return must be seen within 5 s, and asking a local or plain TCP port costs next to nothing.
const BACKOFF_MAX_MS = 4_000;
const BACKOFF_SSH_MAX_MS = 30_000;

/** Follows the engine for ever and says what it has, each time that it changes. What was good is kept while it is away. */
export class DockerWatch {
  readonly #options: WatchOptions;
  readonly #host: WatchHost;
  readonly #publish: (state: DockerState) => void;
  readonly #closing = new AbortController();
  readonly #pacer: Pacer;
  readonly #surroundings: Surroundings;
  readonly #containers = new Containers((id) => this.#inspect(id));
  #engine: Engine | undefined;
  #self: Self | undefined;
  /** What it was made from. */
  #selfKey: string | undefined;
  /** What is wrong now, by what it is about. */
  readonly #problems = new Map<string, string>();
  #published: DockerState | undefined;
  /** Ids to ask for; `all` when everything is to be asked for. */
  #wanted: Set<string> | "all" = new Set();
  #marked = false;
  /** Ids to ask for once more, when their time has come. */
  #again: Set<string> | undefined;
  #pumping: Promise<void> | undefined;
  #failures = 0;
  #lastEventMs = 0;
  /** Resolves when the watch has ended, after `close`. */
  readonly done: Promise<void>;

  constructor(options: WatchOptions, host: WatchHost, publish: (state: DockerState) => void) {
    this.#options = options;
    this.#host = host;
    this.#publish = publish;
    this.#pacer = new Pacer(REBUILDS_A_SECOND, 1000, host.tickMs);
    this.#surroundings = host.surroundings ?? readSurroundings(host.env);
    this.done = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.done;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#session();
        if (!this.#options.watch) return;
      } catch (error) {
        if (!signal.aborted) this.#lost(error);
      }
      const most = this.#engine?.endpoint.isSsh ? BACKOFF_SSH_MAX_MS : BACKOFF_MAX_MS;
      await this.#pause(Math.min(BACKOFF_FIRST_MS * 2 ** Math.max(0, this.#failures - 1), most));
    }
  }

  /** From one connection to its end. The events are asked for before the list, so that nothing falls between them. */
  async #session(): Promise<void> {
    const engine = new Engine(readEndpoint(this.#options, this.#host.env), this.#options.httpClientTimeout);
    this.#engine = engine;
    const over = new AbortController();
    const signal = AbortSignal.any([this.#closing.signal, over.signal]);
    const broken = Promise.withResolvers<never>();
    broken.promise.catch(() => {});
    try {
      await engine.negotiate();
      const events = this.#options.watch ? await this.#events(engine, signal) : undefined;
      this.#containers.forgetMarks();
      this.#wanted = "all";
      await this.#refresh(engine);
      this.#found(engine);
      if (!this.#options.watch) return;
      const follow =
        events === undefined
          ? this.#poll(engine, signal)
          : this.#follow(engine, events, signal, broken.reject);
      await Promise.race([follow, this.#heartbeat(engine, signal), broken.promise]);
      throw new EngineError("ended its stream of events");
    } finally {
      over.abort();
      await this.#pumping?.catch(() => {});
      engine.close();
    }
  }

  /** Undefined when a socket proxy denies them: the list still works. */
  async #events(engine: Engine, signal: AbortSignal): Promise<AsyncIterable<Buffer> | undefined> {
    try {
      const events = await engine.events(signal);
      this.#problems.delete("events");
      return events;
    } catch (error) {
      if (!(error instanceof EngineError) || error.status !== 403) throw error;
      this.#note("events", `${error.message}; until then changes are seen after up to ${POLL_MS / 1000} s`);
      return undefined;
    }
  }

  async #follow(
    engine: Engine,
    events: AsyncIterable<Buffer>,
    signal: AbortSignal,
    fail: (error: unknown) => void,
  ): Promise<void> {
    for await (const line of linesOf(events)) {
      this.#lastEventMs = this.#host.tickMs();
      const event = parseEvent(line);
      if (event === undefined || !(await this.#take(event))) continue;
      if (this.#marked && this.#pacer.waitMs() === 0) {
        this.#pacer.take();
        this.#say();
      }
      this.#rebuild(engine).catch(fail);
      if (EARLY.test(event.Action ?? "")) this.#askAgain(idOf(event)!, engine, signal).catch(fail);
    }
  }

  async #askAgain(id: string, engine: Engine, signal: AbortSignal): Promise<void> {
    if (this.#again !== undefined) return void this.#again.add(id);
    this.#again = new Set([id]);
    await this.#pause(AGAIN_MS, signal);
    const ids = this.#again;
    this.#again = undefined;
    if (signal.aborted) return;
    for (const one of ids) this.#want(one);
    await this.#rebuild(engine);
  }

  /** Notes what the event means; false when it means nothing to us. */
  async #take(event: EngineEvent): Promise<boolean> {
    const { Action: action = "", Actor: actor } = event;
    const id = idOf(event);
    if (id === undefined || id === "") return false;
    if (action === "die" || (action === "kill" && (await this.#stops(id, actor?.Attributes?.["signal"])))) {
      this.#marked = this.#containers.stop(id) || this.#marked;
    }
    if (action === "start") this.#containers.start(id);
    // A kill changes nothing that the list shows; what follows it has events of its own.
    if (action !== "kill") this.#want(id);
    return true;
  }

  #want(id: string): void {
    if (this.#wanted === "all") return;
    this.#wanted.add(id);
    if (this.#wanted.size > FEW) this.#wanted = "all";
  }

  /** Whether the signal is one that ends a container; `docker kill -s HUP` does not. */
  async #stops(id: string, signal = "15"): Promise<boolean> {
    const name = signal.replace(/^SIG/, "");
    if (/^(?:2|3|6|9|15|INT|QUIT|ABRT|KILL|TERM)$/.test(name)) return true;
    const stopSignal = (await this.#inspect(id))?.Config?.StopSignal;
    return stopSignal !== undefined && SIGNAL_NUMBERS.get(stopSignal.replace(/^SIG/, "")) === Number(name);
  }

  /** Brings everything wanted up to date; one list is under way at a time, whoever asks. */
  #rebuild(engine: Engine): Promise<void> {
    this.#pumping ??= this.#pump(engine).finally(() => {
      this.#pumping = undefined;
    });
    return this.#pumping;
  }

  async #pump(engine: Engine): Promise<void> {
    while (this.#marked || this.#wanted === "all" || this.#wanted.size > 0) {
      await this.#pause(Math.max(SETTLE_MS, this.#pacer.waitMs()));
      if (this.#closing.signal.aborted) return;
      this.#pacer.take();
      await this.#refresh(engine);
    }
  }

  /** Asks for what is wanted, and says what came of it. */
  async #refresh(engine: Engine): Promise<void> {
    const ids = this.#wanted === "all" ? undefined : [...this.#wanted];
    if (ids === undefined || ids.length > 0) {
      this.#wanted = new Set();
      this.#containers.beginList();
      await this.#containers.endList(await engine.list(ids), ids);
      await this.#findSelf();
    }
    this.#say();
  }

  async #findSelf(): Promise<void> {
    const own = findSelf(this.#containers.listed(), this.#surroundings);
    const needsHost = this.#containers
      .listed()
      .some(({ HostConfig: config }) => config?.NetworkMode === "host");
    const key = own && JSON.stringify([own.Id, own.HostConfig, own.NetworkSettings, needsHost]);
    if (key === this.#selfKey) return;
    this.#selfKey = key;
    this.#self = own && (await selfOf(own, needsHost));
  }

  /** Asks again after a silence. Changes that no event told of mean that the stream of events is dead. */
  async #heartbeat(engine: Engine, signal: AbortSignal): Promise<void> {
    const { idleMs = IDLE_MS } = this.#host;
    while (!signal.aborted) {
      await this.#pause(idleMs, signal);
      if (signal.aborted) return;
      await engine.ping();
      const wasSilent = this.#host.tickMs() - this.#lastEventMs >= idleMs;
      const before = this.#published;
      this.#wanted = "all";
      await this.#rebuild(engine);
      if (wasSilent && this.#published !== before)
        throw new EngineError("changed something without an event");
    }
  }

  async #poll(engine: Engine, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#pause(POLL_MS, signal);
      if (signal.aborted) return;
      this.#wanted = "all";
      await this.#rebuild(engine);
    }
  }

  async #inspect(id: string): Promise<InspectedContainer | undefined> {
    try {
      const inspected = await this.#engine?.inspect(id);
      this.#problems.delete("inspect");
      return inspected;
    } catch (error) {
      // Gone again already.
      if (error instanceof EngineError && error.status === 404) return undefined;
      if (!(error instanceof EngineError) || error.status !== 403) throw error;
      this.#note("inspect", error.message);
      return undefined;
    }
  }

  #say(): void {
    this.#marked = false;
    const { provider, place } = { provider: "docker", place: this.#host.place };
    const problems = [...this.#problems].map(([about, message]): Problem => {
      const subject = { kind: "provider", name: provider } as const;
      return { code: `engine-${about}`, severity: "warning", place, message, subject };
    });
    const state: DockerState = { workloads: this.#containers.workloads(), self: this.#self, problems };
    if (this.#published !== undefined && isSame(state, this.#published)) return;
    this.#published = state;
    this.#publish(state);
  }

  #found(engine: Engine): void {
    const wasAway = this.#problems.delete("unreachable");
    if (wasAway)
      this.#host.log.info({ endpoint: engine.endpoint.name }, "the container engine is there again");
    this.#failures = 0;
    this.#say();
  }

  #lost(error: unknown): void {
    this.#failures++;
    const message = error instanceof Error ? error.message : String(error);
    // One short break is daily business: a proxy's time-out, a restart of the engine.
    if (this.#failures === 1 && this.#published !== undefined && this.#wasFound()) {
      this.#host.log.debug({ reason: message }, "the connection to the container engine ended");
      return;
    }
    this.#note(
      "unreachable",
      `the container engine cannot be reached at ${endpointName(this.#options, this.#host.env)}: ${message}; it is tried again for ever, routes stay as they were`,
    );
    this.#say();
  }

  #wasFound(): boolean {
    return !this.#problems.has("unreachable");
  }

  #note(about: string, message: string): void {
    this.#problems.set(about, message);
  }

  async #pause(ms: number, signal = this.#closing.signal): Promise<void> {
    if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => {});
  }
}

const SIGNAL_NUMBERS = new Map([
  ["HUP", 1],
  ["USR1", 10],
  ["USR2", 12],
  ["WINCH", 28],
  ["PWR", 30],
  ["RTMIN+3", 37],
]);

/** The container that the event is about. */
const idOf = ({ Type: type, Actor: actor }: EngineEvent): string | undefined =>
  type === "network" ? actor?.Attributes?.["container"] : actor?.ID;

function parseEvent(line: string): EngineEvent | undefined {
  try {
    return JSON.parse(line) as EngineEvent;
  } catch {
    return undefined;
  }
}

function isSame(a: DockerState, b: DockerState): boolean {
  return (
    a.self === b.self &&
    a.workloads.length === b.workloads.length &&
    a.workloads.every((workload, index) => workload === b.workloads[index]) &&
    a.problems.length === b.problems.length &&
    a.problems.every((problem, index) => problem.message === b.problems[index]!.message)
  );
}

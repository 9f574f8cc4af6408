import type { Logger } from "../model/host.ts";
import type { MeterMessage } from "../model/metrics.ts";
import type { HearRequests } from "../model/runtime.ts";
import type { ServerCells } from "../model/server-cells.ts";
import type { Settings } from "../model/settings.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { changeBetween, EMPTY_SNAPSHOT, type SnapshotChange } from "../model/snapshot-change.ts";
import type { SpanRecord } from "../model/spans.ts";
import { type FromThread, HEARTBEAT_MS } from "../model/thread-messages.ts";
import { TrafficCells } from "../model/traffic.ts";
import { Thread } from "./thread.ts";

const SCRIPT = new URL(`../worker${import.meta.filename.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);
/** A thread whose loop has not turned for this long is stuck (RS-10). */
const SILENT_MS = 5000;
/** Before its first turn it reads the program, which a busy or slow machine takes its time for. */
const STARTING_MS = 60_000;
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 30_000;
/** A thread that lived this long was not ill from the start: the next one is started at once. */
const SETTLED_MS = 10_000;

export interface ThreadsHost {
  readonly settings: Settings;
  readonly log: Logger;
  readonly servers: SharedArrayBuffer;
  readonly cells: ServerCells;
  readonly meter: (thread: number, message: MeterMessage) => void;
  readonly requests?: HearRequests;
  readonly spans?: (spans: readonly SpanRecord[]) => void;
  readonly accessLog?: (texts: readonly string[]) => void;
  readonly threadStarted: (thread: number) => void;
  /** All the numbers of this thread are final: it is gone. */
  readonly threadGone: (thread: number) => void;
  readonly brokenMiddleware: (middleware: string, owner: string, reason: string) => void;
  /** How long a thread may be silent, and what it runs: for tests with threads that misbehave. */
  readonly silentMs?: number;
  readonly script?: URL;
}

/** Nothing can be served on this entry point. */
export class CannotListen extends Error {
  readonly entryPoint: string;

  constructor(entryPoint: string, address: string, reason: string) {
    super(`entry point ${entryPoint} cannot listen on ${address}: ${advised(reason)}`);
    this.entryPoint = entryPoint;
  }
}

/** The system's words, after those that help. */
function advised(reason: string): string {
  const advice = LISTEN_ADVICE.find(([code]) => reason.includes(code))?.[1];
  return advice === undefined ? reason : `${advice} (${reason})`;
}

const LISTEN_ADVICE = [
  ["EADDRINUSE", "another program has this port; end it, or give the entry point another address"],
  ["EACCES", "ports below 1024 need root or the capability NET_BIND_SERVICE"],
  ["EADDRNOTAVAIL", "this machine has no such address"],
] as const;

/** The data plane as the control plane sees it: threads that all have the same configuration, replaced when they die. */
export class Threads {
  readonly #host: ThreadsHost;
  readonly #seats: Seat[];
  readonly #heartbeats: Int32Array;
  readonly #requestCount = new SharedArrayBuffer(4);
  /** `TrafficCells`. */
  readonly traffic: SharedArrayBuffer;
  readonly #watch: NodeJS.Timeout;
  #snapshot: Snapshot = EMPTY_SNAPSHOT;
  #ports: ReadonlyMap<string, number> = new Map();
  #waiting: { readonly version: number; readonly resolve: () => void }[] = [];
  #listening = false;
  #stopping = false;
  #terminating = false;
  #watched = false;

  constructor(count: number, host: ThreadsHost) {
    this.#host = host;
    this.traffic = TrafficCells.memory(count);
    this.#heartbeats = new Int32Array(new SharedArrayBuffer(4 * count));
    this.#seats = Array.from({ length: count }, (_, index) => new Seat(index));
    this.#watch = setInterval(() => this.#lookForStuck(), HEARTBEAT_MS);
    this.#watch.unref();
  }

  get size(): number {
    return this.#seats.length;
  }

  /** Ports by entry point, once it listens. */
  get ports(): ReadonlyMap<string, number> {
    return this.#ports;
  }

  /**
   * Starts all threads with the configuration published so far. The first one listens before the others do, so that
   * all have the same ports when the system chooses one. Throws `CannotListen`.
   */
  async start(): Promise<void> {
    for (const seat of this.#seats) this.#fill(seat);
    const [first, ...others] = this.#seats;
    this.#ports = await this.#listen(first!);
    this.#listening = true;
    await Promise.all(others.map((seat) => this.#listen(seat)));
  }

  /** Puts a snapshot in force everywhere. It has gone through `keepUnchanged` with the one before. */
  publish(snapshot: Snapshot, change: SnapshotChange): void {
    this.#snapshot = snapshot;
    for (const { thread } of this.#seats) thread?.send({ kind: "configure", change });
  }

  /** Resolves when every thread that lives has this version; those that start later have it from the beginning. */
  async settled(version: number): Promise<void> {
    const late = this.#seats.filter((seat) => seat.thread !== undefined && seat.version < version);
    if (late.length === 0) return;
    await new Promise<void>((resolve) => this.#waiting.push({ version, resolve }));
  }

  /** From now on ping says that we are going away. */
  terminating(): void {
    this.#terminating = true;
    for (const { thread } of this.#seats) thread?.send({ kind: "terminating" });
  }

  /** No new connections; requests under way have this long. Resolves to how many were cut off. */
  async drain(graceMs: number): Promise<number> {
    this.#stopping = true;
    const waits = this.#seats.map((seat) => {
      if (seat.thread === undefined) return 0;
      seat.drained = Promise.withResolvers();
      seat.thread.send({ kind: "drain", graceMs });
      return seat.drained.promise;
    });
    return (await Promise.all(waits)).reduce((sum, cut) => sum + cut, 0);
  }

  async close(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#watch);
    for (const seat of this.#seats) clearTimeout(seat.refill);
    await Promise.all(this.#seats.map(({ thread }) => thread?.stop()));
  }

  reopenLogs(): void {
    for (const { thread } of this.#seats) thread?.send({ kind: "reopen" });
  }

  /** Whether threads send samples of the requests they have answered. */
  watchRequests(on: boolean): void {
    this.#watched = on;
    for (const { thread } of this.#seats) thread?.send({ kind: "watch-requests", on });
  }

  releaseMeters(thread: number, ids: readonly number[]): void {
    this.#seats[thread]?.thread?.send({ kind: "meter", release: { ids } });
  }

  #fill(seat: Seat): void {
    const { settings, servers, log } = this.#host;
    seat.generation++;
    this.#host.threadStarted(seat.index);
    seat.heardAtMs = performance.now();
    seat.hasBeaten = false;
    const heartbeats = this.#heartbeats.buffer as SharedArrayBuffer;
    const thread = { index: seat.index, generation: seat.generation };
    seat.thread = new Thread(
      this.#host.script ?? SCRIPT,
      {
        settings,
        thread,
        threads: this.#seats.length,
        heartbeats,
        servers,
        requestCount: this.#requestCount,
        traffic: this.traffic,
      },
      {
        heard: (_, message) => this.#heard(seat, message),
        gone: (gone, reason) => this.#gone(seat, gone, reason),
      },
      log,
    );
    seat.thread.send({ kind: "configure", change: changeBetween(EMPTY_SNAPSHOT, this.#snapshot) });
    if (this.#terminating) seat.thread.send({ kind: "terminating" });
    if (this.#watched) seat.thread.send({ kind: "watch-requests", on: true });
  }

  #listen(seat: Seat): Promise<ReadonlyMap<string, number>> {
    seat.listening = Promise.withResolvers();
    seat.thread?.send({ kind: "listen", ports: this.#ports });
    return seat.listening.promise;
  }

  #cannotListen(entryPoint: string, reason: string): CannotListen {
    const { address } = this.#host.settings.entryPoints.get(entryPoint)!;
    return new CannotListen(entryPoint, address, reason);
  }

  #heard(seat: Seat, message: Exclude<FromThread, { kind: "log" }> | FromThread): void {
    switch (message.kind) {
      case "listening":
        seat.listening?.resolve(message.ports);
        break;
      case "cannot-listen":
        seat.listening?.reject(this.#cannotListen(message.entryPoint, message.reason));
        break;
      case "configured":
        seat.version = message.version;
        this.#tellSettled();
        break;
      case "drained":
        seat.drained?.resolve(message.cut);
        break;
      case "meter":
        this.#host.meter(seat.index, message.message);
        break;
      case "requests":
        this.#host.requests?.(message.samples, message.dropped);
        break;
      case "spans":
        this.#host.spans?.(message.spans);
        break;
      case "access-log":
        this.#host.accessLog?.(message.texts);
        seat.thread?.send({ kind: "access-log-taken" });
        break;
      case "broken-middleware":
        this.#host.brokenMiddleware(message.middleware, message.owner, message.reason);
        break;
      default:
    }
  }

  #gone(seat: Seat, thread: Thread, reason: string): void {
    seat.thread = undefined;
    seat.version = 0;
    this.#tellSettled();
    seat.drained?.resolve(0);
    this.#host.cells.clearThread(seat.index);
    this.#host.threadGone(seat.index);
    if (this.#stopping) return;
    const wasSettled = performance.now() - thread.startedAtMs > SETTLED_MS;
    seat.failures = wasSettled ? 0 : seat.failures + 1;
    const waitMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.max(0, seat.failures - 1));
    this.#host.log.error({ thread: seat.index, reason, waitMs }, "a data-plane thread ended and is replaced");
    // During the very first start nobody listens yet, and whoever waits for it must hear why.
    if (!this.#listening) seat.listening?.reject(new Error(`a data-plane thread ended: ${reason}`));
    seat.refill = setTimeout(() => {
      this.#fill(seat);
      if (!this.#listening) return;
      this.#listen(seat).catch((error: Error) => this.#host.log.error({ thread: seat.index }, error.message));
    }, waitMs);
  }

  #tellSettled(): void {
    const living = this.#seats.filter(({ thread }) => thread !== undefined);
    const everywhere = Math.min(...living.map(({ version }) => version));
    const [done, waiting] = [
      this.#waiting.filter(({ version }) => version <= everywhere),
      this.#waiting.filter(({ version }) => version > everywhere),
    ];
    this.#waiting = waiting;
    for (const { resolve } of done) resolve();
  }

  #lookForStuck(): void {
    const nowMs = performance.now();
    for (const seat of this.#seats) {
      const beats = Atomics.load(this.#heartbeats, seat.index);
      if (beats !== seat.beats) {
        seat.beats = beats;
        seat.heardAtMs = nowMs;
        seat.hasBeaten = true;
      } else if (seat.thread !== undefined && nowMs - seat.heardAtMs > this.#silentMs(seat)) {
        seat.heardAtMs = nowMs;
        seat.thread.kill();
      }
    }
  }

  #silentMs({ hasBeaten }: Seat): number {
    return hasBeaten ? (this.#host.silentMs ?? SILENT_MS) : STARTING_MS;
  }
}

/** The place of a thread: those that follow each other in it have the same index. */
class Seat {
  readonly index: number;
  generation = 0;
  /** Of the configuration it has. */
  version = 0;
  thread: Thread | undefined = undefined;
  /** Starts that did not last, one after another. */
  failures = 0;
  beats = 0;
  /** The present thread has. */
  hasBeaten = false;
  heardAtMs = 0;
  refill: NodeJS.Timeout | undefined = undefined;
  listening: PromiseWithResolvers<ReadonlyMap<string, number>> | undefined = undefined;
  drained: PromiseWithResolvers<number> | undefined = undefined;

  constructor(index: number) {
    this.index = index;
  }
}

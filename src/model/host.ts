import type { BodySource } from "./body.ts";
import type { Exchange, Reply } from "./exchange.ts";
import type { SharedLimit, SharedLimitSpec } from "./shared-limit.ts";

export interface Logger {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

export interface Counter {
  add(n: number): void;
}

/** What a middleware is given instead of importing it: the outside world, and who it is. */
export interface Host {
  /** `limit@docker`: the middleware as it was declared. */
  readonly name: string;
  /** `app@docker`: the router (or service) this instance works for. */
  readonly owner: string;
  /** Wall clock, milliseconds since 1970. */
  readonly nowMs: () => number;
  /** Monotonic clock, milliseconds, the same in all threads of the process. */
  readonly tickMs: () => number;
  readonly log: Logger;
  /** A counter in the metrics, labelled with the middleware and the router. */
  readonly counter: (name: string, help: string) => Counter;
  /**
   * Memory of the size that `sharedBytes` asked for, zero at first: the same in all threads and for all owners, kept
   * across configuration changes. Undefined where there is one thread and nothing to keep.
   */
  readonly shared: SharedArrayBuffer | undefined;
  /** Which thread this is, so that what a dead one had taken can be given back. */
  readonly thread: ThreadId;
  /**
   * An HTTP request of our own (forward auth, key sets), never following redirects. Rejects with a `FetchFailure`.
   * `exchange`: on whose behalf, so that it is part of the same trace.
   */
  readonly fetch: (request: FetchRequest, exchange?: Exchange) => Promise<FetchReply>;
  /** Sends the exchange's request to a service and gives its whole reply, as `errors` needs. */
  readonly call: (service: string, request: CallRequest, exchange: Exchange) => Promise<Reply>;
  /** Reads the request body into memory, at most `bytesMax`; the exchange then has a body that can flow again. Resolves to undefined when it is larger. */
  readonly gatherRequest: (exchange: Exchange, bytesMax: number) => Promise<Buffer | undefined>;
  /** The same for the reply's body. */
  readonly gatherReply: (exchange: Exchange, bytesMax: number) => Promise<Buffer | undefined>;
  /**
   * Reads a whole body, the first `memoryBytes` into memory and a longer one to a file. Undefined when it has more
   * than `bytesMax`, and the rest is left with the source. Nothing is kept once `over` is aborted: who asks does so in `onDone`.
   */
  readonly spool: (
    source: BodySource,
    memoryBytes: number,
    bytesMax: number,
    over: AbortSignal,
  ) => Promise<Spooled | undefined>;
  /** Token buckets in a Redis that other machines use too, under this middleware's name. */
  readonly sharedLimit: (spec: SharedLimitSpec) => SharedLimit;
  /** Reads a whole text file when the middleware is made (`usersFile`); throws with a reason. Never on a request. */
  readonly readFile: (path: string) => string;
}

/** A whole body that may flow more than once. */
export interface Spooled extends BodySource {
  readonly replayable: true;
  /** Gives its file back, if it has one. */
  close(): void;
}

export interface ThreadId {
  /** From 0, less than 64; a thread that replaces another takes its index. */
  readonly index: number;
  /** Counts up from 1 with every thread started under this index. */
  readonly generation: number;
}

export interface FetchRequest {
  readonly url: string;
  readonly method: string;
  /** Flat list. */
  readonly headers: readonly string[];
  readonly body?: Buffer;
  /** For all of it, the reply's body included. */
  readonly timeoutMs: number;
  readonly replyBytesMax: number;
  readonly tls?: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly insecureSkipVerify: boolean;
  };
}

/** Why there is no `FetchReply`. The message is for logs. */
export class FetchFailure extends Error {
  readonly kind: "network" | "timeout" | "too-large";

  constructor(kind: FetchFailure["kind"], message: string) {
    super(message);
    this.kind = kind;
  }
}

export interface FetchReply {
  readonly status: number;
  /** Flat list, in the bytes that came: one character a byte. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

export interface CallRequest {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly query: string | undefined;
  readonly headers: readonly string[];
}

import type { Options, Values } from "../schema/option.ts";
import type { Exchange, Reply } from "./exchange.ts";
import type { Host } from "./host.ts";

/** Undefined to go on, a reply to stop here. */
export type Outcome = Reply | undefined;

/**
 * The moments of one middleware on one router. A moment that is not there costs nothing. All state is made by
 * `create`, ahead of any request.
 */
export interface Hooks {
  /** Runs in the order of the router's list. A promise delays only this exchange. */
  readonly onRequest?: (exchange: Exchange) => Outcome | Promise<Outcome>;
  /**
   * Runs in the opposite order, before the head is sent: `status`, `replyHeaders` and `replyTransforms` may change.
   * It also sees replies that middlewares after it made, and faults. A reply returned here replaces the one under
   * way, whose body is cancelled.
   */
  readonly onResponse?: (exchange: Exchange) => Outcome | Promise<Outcome>;
  /** Exactly once for every exchange whose `onRequest` was reached, when nothing more will be sent. */
  readonly onDone?: (exchange: Exchange) => void;
  /**
   * Moments that come before those of every other middleware of the router, wherever this one stands in its list:
   * CORS is answered before authentication and marks the replies that authentication makes.
   */
  readonly outer?: Hooks;
  /**
   * Whether only this middleware may set the request's header of that lower-case name, or have it removed. A trailer so
   * called never passes; what `onRequest` has changed in the request at hand is known without asking.
   */
  readonly ownsHeader?: (lower: string) => boolean;
  /** How forwarding is repeated; the innermost one counts. */
  readonly retry?: RetryPolicy;
  /** State worth showing in the API, such as an open circuit breaker. */
  readonly state?: () => Record<string, unknown>;
  /** The snapshot that made this instance is no longer in use by any exchange. */
  readonly close?: () => void;
}

export interface RetryPolicy {
  /** Tries in all, the first one included. */
  readonly attemptsMax: number;
  readonly initialIntervalMs: number;
  /** 0: no limit. */
  readonly timeoutMs: number;
  readonly bodyBytesMax: number;
  readonly onNetworkError: boolean;
  readonly nonIdempotent: boolean;
  readonly retryStatus: (status: number) => boolean;
  /**
   * If there, asked instead of `onNetworkError`, `nonIdempotent` and `retryStatus` after every try but the last:
   * `status` is that of the reply, or of the fault when there was none.
   */
  readonly again?: (exchange: Exchange, status: number, attempts: number) => boolean;
}

/** One file in `src/middleware/` exports one of these as its default; the folder is the registry. */
export interface Middleware<O extends Options = Options> {
  /** Its name in labels and files: `rateLimit`. */
  readonly name: string;
  readonly summary: string;
  readonly options: O;
  /** The bare name switches it on: `compress=true`. */
  readonly enabler?: true;
  /** Older names with the same options. */
  readonly aliases?: readonly string[];
  /** Not Traefik's, but ours. */
  readonly added?: true;
  /** Checks that need several options at once, or more than a kind can know. Reported at the option. */
  readonly check?: (options: Values<O>, problem: (option: keyof O & string, message: string) => void) => void;
  /** Bytes of memory shared by all threads and kept across configuration changes while the options stay the same. */
  readonly sharedBytes?: (options: Values<O>) => number;
  readonly create: (options: Values<O>, host: Host) => Hooks;
}

export function middleware<const O extends Options>(definition: Middleware<O>): Middleware<O> {
  return definition;
}

import { tickMs } from "../lib/tick.ts";
import { errorReply } from "../model/error-reply.ts";
import type { Exchange } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import type { Counter, Host, Logger } from "../model/host.ts";
import type { Hooks, Middleware } from "../model/middleware.ts";
import type { SharedLimit, SharedLimitSpec } from "../model/shared-limit.ts";
import type { MiddlewareSpec } from "../model/snapshot.ts";

/** The parts of a middleware's host that are the same for all of them in this thread. */
export interface Tools
  extends Pick<Host, "thread" | "fetch" | "call" | "gatherRequest" | "gatherReply" | "spool" | "readFile"> {
  readonly log: Logger;
  readonly counter: (name: string, help: string, middleware: string, owner: string) => Counter;
  readonly sharedLimit: (middleware: string, spec: SharedLimitSpec) => SharedLimit;
  /** A middleware could not be made: its routers refuse requests, and the control plane should say so. */
  readonly broken: (middleware: string, owner: string, reason: string) => void;
}

/**
 * Makes middlewares and keeps them while their options and their owner stay the same, so that what they have counted
 * and learned outlives configuration changes. Those that nobody needs any more are closed after their last exchange.
 */
export class Middlewares {
  readonly #registry: ReadonlyMap<string, Middleware>;
  readonly #tools: Tools;
  #kept = new Map<string, Instance>();
  #wanted = new Map<string, Instance>();

  constructor(registry: ReadonlyMap<string, Middleware>, tools: Tools) {
    this.#registry = registry;
    this.#tools = tools;
  }

  /** The hooks of a router or service, outermost first; `markFor` gives what stands before each. */
  hooksOf(
    owner: string,
    specs: readonly MiddlewareSpec[],
    markFor?: (spec: MiddlewareSpec) => Hooks,
  ): readonly Hooks[] {
    if (specs.length === 0) return NO_HOOKS;
    const instances = specs.map((spec) => this.#instanceOf(owner, spec));
    const marked = (instance: Instance) =>
      markFor === undefined ? [instance.inner] : [markFor(instance.spec), instance.inner];
    return [...instances.flatMap(({ outer }) => outer), ...instances.flatMap(marked)];
  }

  /** Ends a round: what was not asked for since the last one is no longer in use. */
  settle(): void {
    for (const [key, instance] of this.#kept) if (this.#wanted.get(key) !== instance) instance.retire();
    this.#kept = this.#wanted;
    this.#wanted = new Map();
  }

  /** State worth showing: the middleware, its owner, and what it says. */
  *states(): Iterable<{ middleware: string; owner: string; state: Record<string, unknown> }> {
    for (const { spec, owner, state } of this.#kept.values()) {
      const said = state?.();
      if (said !== undefined) yield { middleware: spec.name, owner, state: said };
    }
  }

  #instanceOf(owner: string, spec: MiddlewareSpec): Instance {
    const key = `${spec.name} ${owner}`;
    const known = this.#wanted.get(key) ?? this.#kept.get(key);
    const instance = known?.spec === spec ? known : new Instance(spec, owner, this.#create(owner, spec));
    this.#wanted.set(key, instance);
    return instance;
  }

  #create(owner: string, spec: MiddlewareSpec): Hooks {
    const { log, counter, sharedLimit, broken, ...shared } = this.#tools;
    const host: Host = {
      ...shared,
      name: spec.name,
      owner,
      nowMs: Date.now,
      tickMs,
      log,
      counter: (name, help) => counter(name, help, spec.name, owner),
      shared: spec.shared,
      sharedLimit: (limit) => sharedLimit(spec.name, limit),
    };
    try {
      const definition = this.#registry.get(spec.type);
      if (definition === undefined) throw new Error(`there is no middleware called ${spec.type}`);
      return definition.create(spec.options, host);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      broken(spec.name, owner, reason);
      return refuseAll(`middleware ${spec.name} could not be made: ${reason}`);
    }
  }
}

const NO_HOOKS: readonly Hooks[] = [];

/** What should have guarded a route and cannot must not leave the route open. */
export function refuseAll(detail: string): Hooks {
  return {
    onRequest(exchange) {
      exchange.detail = detail;
      return errorReply(FAULTS.misconfigured, exchange.headers);
    },
  };
}

class Instance {
  readonly spec: MiddlewareSpec;
  readonly owner: string;
  readonly inner: Hooks;
  readonly outer: readonly Hooks[];
  readonly state: Hooks["state"];
  readonly #close: (() => void) | undefined;
  #exchanges = 0;
  #retired = false;

  constructor(spec: MiddlewareSpec, owner: string, hooks: Hooks) {
    this.spec = spec;
    this.owner = owner;
    this.state = hooks.state;
    this.#close = hooks.close;
    this.inner = this.#counted(hooks);
    this.outer = hooks.outer === undefined ? [] : [this.#counted(hooks.outer)];
  }

  retire(): void {
    this.#retired = true;
    this.#closeWhenIdle();
  }

  // Only middlewares that have something to close are counted: for all others this would be cost without use.
  #counted(hooks: Hooks): Hooks {
    if (this.#close === undefined) return hooks;
    return {
      ...hooks,
      onRequest: (exchange: Exchange) => {
        this.#exchanges++;
        return hooks.onRequest?.(exchange);
      },
      onDone: (exchange: Exchange) => {
        hooks.onDone?.(exchange);
        this.#exchanges--;
        this.#closeWhenIdle();
      },
    };
  }

  #closeWhenIdle(): void {
    if (this.#retired && this.#exchanges === 0) this.#close?.();
  }
}

import type { DeclaredMiddleware } from "../model/declared.ts";
import type { MiddlewareSpec } from "../model/snapshot.ts";
import type { Place } from "../schema/node.ts";
import type { Options, Values } from "../schema/option.ts";
import type { Subject } from "../schema/problem.ts";
import { type Context, collect, complainUnknown, type Found } from "./context.ts";
import { optionOf } from "./ledger.ts";
import { qualify } from "./names.ts";

/** All middlewares by name: which are in force, and what a list of names comes to once chains are dissolved. */
export class MiddlewareBook {
  readonly found: ReadonlyMap<string, Found<DeclaredMiddleware>>;
  readonly specs = new Map<string, MiddlewareSpec>();
  readonly #context: Context;
  /** What each comes to: itself, or the members of a chain. Undefined: not in force. */
  readonly #flat = new Map<string, readonly string[] | undefined>();

  constructor(context: Context, serviceExists: (name: string) => boolean) {
    this.#context = context;
    this.found = collect(context.declarations, (declaration) => declaration.middlewares);
    for (const middleware of this.found.values()) {
      if (!middleware.declared.broken) this.#makeSpec(middleware, serviceExists);
    }
    for (const name of this.found.keys()) this.#flatten(name, []);
  }

  /**
   * The middlewares that a list of names comes to, or undefined when one of them is missing or broken: whoever asked
   * must then not be in force, because what should have guarded it is not there.
   */
  resolve(names: readonly string[], provider: string, asker: Subject, place: Place): string[] | undefined {
    const resolved: string[] = [];
    let isWhole = true;
    for (const written of names) {
      const name = qualify(written, provider);
      this.#context.users.add({ kind: "middleware", name }, asker);
      const flat = this.#flat.get(name);
      if (flat !== undefined) resolved.push(...flat);
      else {
        isWhole = false;
        this.#complain(name, asker, place);
      }
    }
    return isWhole ? resolved : undefined;
  }

  #complain(name: string, asker: Subject, place: Place): void {
    if (this.found.has(name)) {
      const message = `middleware ${name} is not in force, so what uses it is not either`;
      this.#context.ledger.broken(asker, place, { kind: "middleware", name }, message);
    } else complainUnknown(this.#context, asker, place, "middleware", name, this.found.keys());
  }

  #makeSpec(
    { name, provider, declared }: Found<DeclaredMiddleware>,
    serviceExists: (name: string) => boolean,
  ): void {
    const { type, options } = declared.value;
    if (type === "chain") return;
    const subject: Subject = { kind: "middleware", name };
    const definition = this.#context.registry.get(type);
    if (definition === undefined) {
      complainUnknown(
        this.#context,
        subject,
        declared.place,
        "kind of middleware",
        type,
        this.#context.registry.keys(),
      );
      return;
    }
    let complete = options;
    // The one middleware that names a service: its answer replaces the application's.
    if (type === "errors" && typeof options["service"] === "string") {
      const service = qualify(options["service"], provider);
      if (!serviceExists(service)) {
        const place = optionOf(declared, `${type}.service`);
        this.#context.ledger.error(subject, place, "unknown-service", `there is no service ${service}`);
        return;
      }
      this.#context.users.add({ kind: "service", name: service }, subject);
      complete = { ...options, service };
    }
    const bytes = definition.sharedBytes?.(complete as Values<Options>) ?? 0;
    const shared = bytes === 0 ? undefined : this.#context.sharedFor(name, bytes, complete);
    this.specs.set(name, { name, type, options: complete, shared });
  }

  #flatten(name: string, above: readonly string[]): readonly string[] | undefined {
    if (this.#flat.has(name)) return this.#flat.get(name);
    const flat = this.#flattenNew(name, above);
    this.#flat.set(name, flat);
    return flat;
  }

  #flattenNew(name: string, above: readonly string[]): readonly string[] | undefined {
    const middleware = this.found.get(name);
    if (middleware === undefined || middleware.declared.broken) return undefined;
    const { declared, provider } = middleware;
    if (declared.value.type !== "chain") return this.specs.has(name) ? [name] : undefined;
    const subject: Subject = { kind: "middleware", name };
    const place = optionOf(declared, "chain.middlewares");
    if (above.includes(name)) {
      const circle = [...above.slice(above.indexOf(name)), name].join(" -> ");
      this.#context.ledger.error(subject, place, "recursion", `the chain contains itself: ${circle}`);
      return undefined;
    }
    const members = (declared.value.options["middlewares"] ?? []) as readonly string[];
    for (const member of members) this.#flatten(qualify(member, provider), [...above, name]);
    return this.resolve(members, provider, subject, place);
  }
}

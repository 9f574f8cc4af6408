import { nearest } from "../lib/nearest.ts";
import type { DeclaredService } from "../model/declared.ts";
import type { ServiceSpec } from "../model/snapshot.ts";
import type { Subject } from "../schema/problem.ts";
import { type Context, collect, complainUnknown, type Found } from "./context.ts";
import { optionOf } from "./ledger.ts";
import type { MiddlewareBook } from "./middlewares.ts";
import { qualify } from "./names.ts";
import { DEFAULT_TRANSPORT, type TransportBook } from "./transports.ts";

const KINDS = ["loadBalancer", "weighted", "mirroring", "failover", "highestRandomWeight"] as const;

export function kindOf(service: DeclaredService, provider: string): ServiceSpec["kind"] | undefined {
  const kinds = KINDS.filter((kind) => service[kind] !== undefined);
  if (kinds.length === 0 && provider === "internal") return "internal";
  return kinds.length === 1 ? kinds[0] : undefined;
}

/** All services by name, with what is in force: a service is only if everything that it refers to is. */
export class ServiceBook {
  readonly found: ReadonlyMap<string, Found<DeclaredService>>;
  readonly specs = new Map<string, ServiceSpec>();
  readonly #context: Context;
  readonly #done = new Set<string>();
  #middlewares: MiddlewareBook | undefined;
  #transports: TransportBook | undefined;

  constructor(context: Context) {
    this.#context = context;
    this.found = collect(context.declarations, (declaration) => declaration.services);
  }

  /** Whether there is such a service that is not broken in itself. */
  exists(name: string): boolean {
    const found = this.found.get(name);
    return found !== undefined && !found.declared.broken;
  }

  resolveAll(middlewares: MiddlewareBook, transports: TransportBook): void {
    this.#middlewares = middlewares;
    this.#transports = transports;
    for (const name of this.found.keys()) this.#resolve(name, []);
  }

  #resolve(name: string, above: readonly string[]): ServiceSpec | undefined {
    if (this.#done.has(name)) return this.specs.get(name);
    const service = this.found.get(name)!;
    if (above.includes(name)) {
      const circle = [...above.slice(above.indexOf(name)), name].join(" -> ");
      const { place } = service.declared;
      this.#context.ledger.error(
        subjectOf(name),
        place,
        "recursion",
        `the service leads to itself: ${circle}`,
      );
      return undefined;
    }
    const spec = service.declared.broken ? undefined : this.#specOf(service, [...above, name]);
    this.#done.add(name);
    if (spec !== undefined) this.specs.set(name, spec);
    return spec;
  }

  #specOf(service: Found<DeclaredService>, path: readonly string[]): ServiceSpec | undefined {
    const { name, provider, declared } = service;
    const { value, place } = declared;
    const kind = kindOf(value, provider);
    if (kind === undefined) {
      const kinds = KINDS.filter((one) => value[one] !== undefined);
      const found = kinds.length === 0 ? "none" : kinds.join(" and ");
      const message = `expected exactly one of ${KINDS.join(", ")}, found ${found}`;
      this.#context.ledger.error(subjectOf(name), place, "bad-service", message);
      return undefined;
    }
    const where = optionOf(declared, "middlewares");
    const middlewares = this.#middlewares!.resolve(value.middlewares, provider, subjectOf(name), where);
    if (middlewares === undefined) return undefined;
    const common = { name, middlewares, timeouts: value.timeouts, limits: value.limits };
    if (kind === "internal") return { ...common, kind };
    if (kind === "loadBalancer") return this.#loadBalancer(service, common);
    return this.#composite(service, common, kind, path);
  }

  #loadBalancer(
    { name, provider, declared }: Found<DeclaredService>,
    common: Common,
  ): ServiceSpec | undefined {
    const { servers, unavailable, ...options } = declared.value.loadBalancer!;
    const written = options.serversTransport;
    const serversTransport = written === "" ? DEFAULT_TRANSPORT : qualify(written, provider);
    if (!this.#hasTransport(name, serversTransport, optionOf(declared, "loadBalancer.serversTransport"))) {
      return undefined;
    }
    const slots = servers.map((server) => this.#context.slotOf(name, server.id));
    const strategy = options.strategy || "wrr";
    return {
      ...common,
      kind: "loadBalancer",
      options: { ...options, strategy, serversTransport },
      servers,
      slots,
      unavailable,
    };
  }

  #hasTransport(
    service: string,
    transport: string,
    place: Found<DeclaredService>["declared"]["place"],
  ): boolean {
    const books = this.#transports!;
    this.#context.users.add({ kind: "transport", name: transport }, subjectOf(service));
    if (books.specs.has(transport)) return true;
    if (books.found.has(transport)) {
      const message = `servers transport ${transport} is not in force, so what uses it is not either`;
      this.#context.ledger.broken(subjectOf(service), place, { kind: "transport", name: transport }, message);
    } else {
      complainUnknown(
        this.#context,
        subjectOf(service),
        place,
        "servers transport",
        transport,
        books.found.keys(),
      );
    }
    return false;
  }

  #composite(
    service: Found<DeclaredService>,
    common: Common,
    kind: Exclude<ServiceSpec["kind"], "internal" | "loadBalancer">,
    path: readonly string[],
  ): ServiceSpec | undefined {
    let isWhole = true;
    const child = (written: string, option: string) => {
      const name = this.#child(service, written, `${kind}.${option}`, path);
      if (name === undefined) isWhole = false;
      return name ?? written;
    };
    const isThere = (written: string) => this.#isThere(service, written, kind);
    const spec = withChildren(withoutAbsent(service.declared.value, isThere), common, kind, child);
    if (spec.kind === "weighted" || spec.kind === "highestRandomWeight") {
      if (spec.options.services.length === 0) {
        const place = optionOf(service.declared, kind);
        this.#context.ledger.error(
          subjectOf(service.name),
          place,
          "bad-service",
          "expected services, found none",
        );
        return undefined;
      }
    }
    return isWhole ? spec : undefined;
  }

  /** Says that a container's service is gone. Those of files do not go by themselves: they are mistakes. */
  #isThere({ name, provider, declared }: Found<DeclaredService>, written: string, kind: string): boolean {
    const child = qualify(written, provider);
    if (this.found.has(child) || !child.endsWith("@docker")) return true;
    const message = `there is no service ${child} now; it is left out until one of its containers is there`;
    const suggestion = nearest(child, this.found.keys());
    this.#context.ledger.warn(
      subjectOf(name),
      optionOf(declared, kind),
      "absent-service",
      message,
      suggestion,
    );
    return false;
  }

  #child(
    parent: Found<DeclaredService>,
    written: string,
    option: string,
    path: readonly string[],
  ): string | undefined {
    const name = qualify(written, parent.provider);
    const subject = subjectOf(parent.name);
    const place = optionOf(parent.declared, option);
    this.#context.users.add(subjectOf(name), subject);
    if (!this.found.has(name)) {
      complainUnknown(this.#context, subject, place, "service", name, this.found.keys());
      return undefined;
    }
    if (this.#resolve(name, path) !== undefined) return name;
    const message = `service ${name} is not in force, so what uses it is not either`;
    this.#context.ledger.broken(subject, place, subjectOf(name), message);
    return undefined;
  }
}

type Common = Pick<ServiceSpec, "name" | "middlewares" | "timeouts" | "limits">;

const subjectOf = (name: string): Subject => ({ kind: "service", name });

/**
 * A canary that has stopped must not take the shop with it: services whose containers are gone are left out, as long
 * as another one can answer.
 */
function withoutAbsent(value: DeclaredService, isThere: (name: string) => boolean): DeclaredService {
  const { weighted, highestRandomWeight, mirroring, failover } = value;
  if (weighted !== undefined) return { ...value, weighted: withPresent(weighted, isThere) };
  if (highestRandomWeight !== undefined)
    return { ...value, highestRandomWeight: withPresent(highestRandomWeight, isThere) };
  if (mirroring !== undefined) {
    const mirrors = mirroring.mirrors.filter(({ name }) => isThere(name));
    return { ...value, mirroring: { ...mirroring, mirrors } };
  }
  if (failover === undefined) return value;
  const { service, fallback } = failover;
  const [main, spare] = [isThere(service), isThere(fallback)];
  if (main === spare) return value;
  const only = main ? service : fallback;
  return { ...value, failover: { ...failover, service: only, fallback: only, errors: undefined } };
}

function withPresent<S extends { readonly name: string }, G extends { readonly services: readonly S[] }>(
  group: G,
  isThere: (name: string) => boolean,
): G {
  const services = group.services.filter(({ name }) => isThere(name));
  return services.length === 0 ? group : { ...group, services };
}

/** The spec with every name of another service passed through `child`. */
function withChildren(
  value: DeclaredService,
  common: Common,
  kind: Exclude<ServiceSpec["kind"], "internal" | "loadBalancer">,
  child: (written: string, option: string) => string,
): Exclude<ServiceSpec, { kind: "internal" | "loadBalancer" }> {
  switch (kind) {
    case "weighted": {
      const options = value.weighted!;
      return { ...common, kind, options: { ...options, services: named(options.services, child) } };
    }
    case "highestRandomWeight": {
      const options = value.highestRandomWeight!;
      return { ...common, kind, options: { ...options, services: named(options.services, child) } };
    }
    case "mirroring": {
      const options = value.mirroring!;
      const mirrors = options.mirrors.map((one, i) => ({
        ...one,
        name: child(one.name, `mirrors[${i}].name`),
      }));
      return {
        ...common,
        kind,
        options: { ...options, service: child(options.service, "service"), mirrors },
      };
    }
    case "failover": {
      const options = value.failover!;
      const [service, fallback] = [child(options.service, "service"), child(options.fallback, "fallback")];
      return { ...common, kind, options: { ...options, service, fallback } };
    }
  }
}

function named<S extends { readonly name: string }>(
  services: readonly S[],
  child: (written: string, option: string) => string,
): S[] {
  return services.map((one, i) => ({ ...one, name: child(one.name, `services[${i}].name`) }));
}

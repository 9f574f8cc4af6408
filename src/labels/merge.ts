import { isDeepStrictEqual } from "node:util";
import type { Declared, DeclaredRouter, DeclaredService } from "../model/declared.ts";
import type { ServerSpec } from "../model/snapshot.ts";
import type { Unavailable, Workload } from "../model/workload.ts";
import type { Node } from "../schema/node.ts";
import type { Problem, Subject } from "../schema/problem.ts";
import type { Declaring } from "./container.ts";
import { HostOwners, hostsOf } from "./hosts.ts";
import { projectOf } from "./names.ts";
import type { LabelOptions } from "./options.ts";
import type { Part } from "./parts.ts";

type Kind = "routers" | "services" | "middlewares" | "transports" | "tlsOptions" | "tlsStores";

const SUBJECT: Record<Kind, Subject["kind"]> = {
  routers: "router",
  services: "service",
  middlewares: "middleware",
  transports: "transport",
  tlsOptions: "tls-options",
  tlsStores: "tls-store",
};

interface Claim {
  readonly owner: Declaring;
  readonly part: Part<unknown>;
  readonly workloads: string[];
  readonly servers: ServerSpec[];
  readonly unavailable: Unavailable[];
}

/**
 * Puts together what the containers say. A name belongs to the container that was made first; who says the same
 * joins it, who says something else is told so, and whatever of theirs leans on that name is out of force with it.
 */
export class Merge {
  readonly #provider: string;
  readonly #exclusiveHosts: boolean;
  readonly #owners = new HostOwners();
  readonly #report: (problem: Problem) => void;
  readonly #claims: { readonly [K in Kind]: Map<string, Claim> } = {
    routers: new Map(),
    services: new Map(),
    middlewares: new Map(),
    transports: new Map(),
    tlsOptions: new Map(),
    tlsStores: new Map(),
  };

  constructor(
    { provider, exclusiveHosts }: Pick<LabelOptions, "provider" | "exclusiveHosts">,
    report: (problem: Problem) => void,
  ) {
    this.#provider = provider;
    this.#exclusiveHosts = exclusiveHosts;
    this.#report = report;
  }

  /** Containers must come oldest first. */
  add(container: Declaring): void {
    const lost = new Set<string>();
    for (const kind of ["middlewares", "transports", "tlsOptions", "tlsStores"] as const) {
      for (const part of container[kind])
        if (!this.#claim(kind, part, container)) lost.add(`${kind} ${part.name}`);
    }
    for (const part of container.services) {
      const { loadBalancer, middlewares } = part.value;
      const leans = [
        ...middlewares.map((name) => `middlewares ${name}`),
        ...(loadBalancer ? [`transports ${loadBalancer.serversTransport}`] : []),
      ];
      const usable = this.#unlessLost("services", part, leans, lost);
      if (!this.#claim("services", usable, container)) lost.add(`services ${part.name}`);
    }
    for (const part of container.routers) {
      const { service, middlewares, tls } = part.value;
      const leans = [
        `services ${service}`,
        ...middlewares.map((name) => `middlewares ${name}`),
        ...(tls ? [`tlsOptions ${tls.options}`] : []),
      ];
      const usable = this.#unlessLost("routers", part, leans, lost);
      this.#claim(
        "routers",
        this.#exclusiveHosts ? this.#unlessOwned(usable, container.workload) : usable,
        container,
      );
    }
  }

  routers(): ReadonlyMap<string, Declared<DeclaredRouter>> {
    return this.#declared<DeclaredRouter>("routers");
  }

  services(): ReadonlyMap<string, Declared<DeclaredService>> {
    const services = new Map<string, Declared<DeclaredService>>();
    for (const [name, claim] of this.#claims.services) {
      const { part, servers, unavailable } = claim;
      const value = part.value as DeclaredService;
      const loadBalancer = value.loadBalancer && { ...value.loadBalancer, servers, unavailable };
      services.set(name, { ...declared(claim, value), value: { ...value, loadBalancer } });
    }
    return services;
  }

  others<T>(kind: Exclude<Kind, "routers" | "services">): ReadonlyMap<string, Declared<T>> {
    return this.#declared<T>(kind);
  }

  /** An error in what a younger container says is not one of the object of that name, which is in force without it. */
  settle(problem: Problem): Problem {
    const { subject, severity, place } = problem;
    const kind = (Object.keys(SUBJECT) as Kind[]).find((other) => SUBJECT[other] === subject?.kind);
    if (kind === undefined || severity !== "error" || place.workload === undefined) return problem;
    const claim = this.#claims[kind].get(subject!.name.slice(0, subject!.name.lastIndexOf("@")));
    return claim?.part.broken === false
      ? { ...problem, subject: { kind: "workload", name: place.workload } }
      : problem;
  }

  #declared<T>(kind: Kind): ReadonlyMap<string, Declared<T>> {
    return new Map(
      [...this.#claims[kind]].map(([name, claim]) => [name, declared(claim, claim.part.value as T)]),
    );
  }

  /** False when an older container says something else under that name. */
  #claim(kind: Kind, part: Part<unknown>, container: Declaring): boolean {
    const claims = this.#claims[kind];
    const before = claims.get(part.name);
    if (before === undefined) {
      const claim = {
        owner: container,
        part,
        workloads: [container.workload.id],
        servers: [],
        unavailable: [],
      };
      claims.set(part.name, claim);
      if (kind === "services") join(claim, part as Part<DeclaredService>);
      return true;
    }
    const difference = differenceOf(kind, before, part, container);
    if (difference !== undefined) {
      this.#conflict(kind, part.node, part.name, before.owner.workload, difference);
      return false;
    }
    before.workloads.push(container.workload.id);
    if (kind === "services") join(before, part as Part<DeclaredService>);
    return true;
  }

  #unlessLost<T>(kind: Kind, part: Part<T>, leans: readonly string[], lost: ReadonlySet<string>): Part<T> {
    const missing = leans.filter((name) => lost.has(name));
    if (missing.length === 0) return part;
    for (const lean of missing) {
      const [leanKind, name] = lean.split(" ") as [Kind, string];
      const message = `needs the ${SUBJECT[leanKind]} ${name}, which an older container declares in another way: give it another name`;
      // The same name may be in force as an older container says it; that one has no error.
      const severity = this.#claims[kind].has(part.name) ? "warning" : "error";
      this.#problem(kind, part.node, part.name, message, "lost-name", severity);
    }
    return { ...part, broken: true };
  }

  #unlessOwned(part: Part<DeclaredRouter>, workload: Workload): Part<DeclaredRouter> {
    const hosts = hostsOf(part.value.rule);
    const owner = hosts && this.#owners.claim(hosts, workload);
    if (hosts !== undefined && owner === undefined) return part;
    const message =
      owner === undefined
        ? "names no host that all its requests have, which exclusiveHosts asks for"
        : `takes requests for a host that belongs to the project of the older container ${owner.name}`;
    this.#problem("routers", part.node, part.name, message, "owned-host", "error");
    return { ...part, broken: true };
  }

  #conflict(kind: Kind, node: Node, name: string, older: Workload, difference: string): void {
    const message = `the ${SUBJECT[kind]} ${name} is already declared by the older container ${older.name}, ${difference}; that one stays in force`;
    this.#problem(kind, node, name, message, "conflict", "warning");
  }

  #problem(
    kind: Kind,
    node: Node,
    name: string,
    message: string,
    code: string,
    severity: Problem["severity"],
  ): void {
    const subject = { kind: SUBJECT[kind], name: `${name}@${this.#provider}` };
    this.#report({ code, severity, place: node.place, message, subject });
  }
}

function declared<T>(claim: Claim, value: T): Declared<T> {
  const { node, broken } = claim.part;
  return { value, place: node.place, node, broken, workloads: claim.workloads };
}

function join(claim: Claim, part: Part<DeclaredService>): void {
  if (part.broken) return;
  const { servers = [], unavailable = [] } = part.value.loadBalancer ?? {};
  for (const server of servers) {
    if (!claim.servers.some(({ url }) => url === server.url)) claim.servers.push(server);
  }
  claim.unavailable.push(...unavailable);
}

/** How the two differ, in words, or undefined when they say the same. */
function differenceOf(
  kind: Kind,
  before: Claim,
  part: Part<unknown>,
  container: Declaring,
): string | undefined {
  if (!isDeepStrictEqual(comparable(before.part.value), comparable(part.value)))
    return "which says something else";
  const { owner } = before;
  // Two projects that chose one service name by chance would get each other's requests. When their routers to it are
  // the same too, it is one application in two projects: a change from blue to green.
  const apart = kind === "services" && projectOf(owner.workload) !== projectOf(container.workload);
  if (apart && !isDeepStrictEqual(routersTo(part.name, owner), routersTo(part.name, container))) {
    return "of another project, with other routers";
  }
  return undefined;
}

function routersTo(service: string, { routers }: Declaring): unknown[] {
  return routers
    .filter(({ value }) => value.service === service)
    .map(({ name, value }) => [name, comparable(value)]);
}

/** Without what differs between replicas. */
function comparable(value: unknown): unknown {
  const { createdAtMs, loadBalancer, ...rest } = value as Partial<DeclaredRouter & DeclaredService>;
  if (loadBalancer === undefined) return rest;
  const { servers, unavailable, ...balancing } = loadBalancer;
  return { ...rest, balancing };
}

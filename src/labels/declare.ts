import type { Declaration } from "../model/declared.ts";
import type { Middleware } from "../model/middleware.ts";
import type { Self, Workload } from "../model/workload.ts";
import type { Problem } from "../schema/problem.ts";
import type { Neighbourhood } from "./address.ts";
import { type Constraint, compileConstraints } from "./constraints.ts";
import type { Declaring } from "./container.ts";
import { compileDefaultRule, type DefaultRule } from "./default-rule.ts";
import { Merge } from "./merge.ts";
import type { LabelOptions } from "./options.ts";
import { type Circumstances, type Reading, readContainer } from "./read-container.ts";

/**
 * What the labels of all containers say: the same containers always give the same answer. What one container's labels
 * come to is remembered for as long as its `Workload` object is the same, so that one change among thousands is cheap.
 */
export class Labels {
  readonly #options: LabelOptions;
  readonly #registry: ReadonlyMap<string, Middleware>;
  readonly #defaultRule: DefaultRule;
  readonly #constraint: Constraint;
  /** What is wrong with the settings themselves. */
  readonly #problems: Problem[] = [];
  #readings = new WeakMap<Workload, Reading>();
  #self: Self | undefined;

  constructor(options: LabelOptions, registry: ReadonlyMap<string, Middleware>) {
    this.#options = options;
    this.#registry = registry;
    const { defaultRule, problem } = compileDefaultRule(options.defaultRule, options.template);
    if (problem !== undefined) this.#settingProblem("defaultRule", problem);
    this.#defaultRule = defaultRule;
    const compiled = compileConstraints(options.constraints);
    if ("problem" in compiled) this.#settingProblem("constraints", compiled.problem);
    // Nobody is let in by an expression that cannot be read.
    this.#constraint = "fulfilled" in compiled ? compiled.fulfilled : () => false;
  }

  declare(workloads: readonly Workload[], self: Self | undefined): Declaration {
    if (self !== this.#self) this.#readings = new WeakMap();
    this.#self = self;
    const problems = [...this.#problems];
    const unrouted = new Map<string, string>();
    const merge = new Merge(this.#options, (problem) => problems.push(problem));
    const certificates: Declaring[] = [];
    const circumstances = this.#circumstances(workloads);
    for (const workload of ownFirst([...workloads].sort(byAge), self)) {
      const reading = this.#readingOf(workload, circumstances);
      problems.push(...reading.problems);
      if (typeof reading.outcome === "string") unrouted.set(workload.id, reading.outcome);
      else {
        merge.add(reading.outcome);
        if (reading.outcome.tlsCertificates.length > 0) certificates.push(reading.outcome);
      }
    }
    return {
      provider: this.#options.provider,
      routers: merge.routers(),
      services: merge.services(),
      middlewares: merge.others("middlewares"),
      transports: merge.others("transports"),
      tlsOptions: merge.others("tlsOptions"),
      tlsStores: merge.others("tlsStores"),
      tlsCertificates: certificates.flatMap(certificatesOf),
      problems: problems.map((problem) => merge.settle(problem)),
      workloads,
      unrouted,
    };
  }

  #circumstances(workloads: readonly Workload[]): Circumstances {
    return {
      options: this.#options,
      registry: this.#registry,
      defaultRule: this.#defaultRule,
      fulfilled: ({ labels }) => this.#constraint(labels),
      self: this.#self,
      around: neighbourhoodOf(workloads, this.#self),
    };
  }

  #readingOf(workload: Workload, circumstances: Circumstances): Reading {
    const before = this.#readings.get(workload);
    if (before !== undefined) return before;
    const reading = readContainer(workload, circumstances);
    if (!leansOnOthers(workload)) this.#readings.set(workload, reading);
    return reading;
  }

  #settingProblem(option: string, { message, suggestion }: { message: string; suggestion?: string }): void {
    const { provider, settingsPlace } = this.#options;
    this.#problems.push({
      code: "bad-value",
      severity: "error",
      place: settingsPlace(option),
      message,
      subject: { kind: "provider", name: provider },
      ...(suggestion !== undefined && { suggestion }),
    });
  }
}

/** The same, of containers that are looked at only once. */
export function declare(
  workloads: readonly Workload[],
  self: Self | undefined,
  options: LabelOptions,
  registry: ReadonlyMap<string, Middleware>,
): Declaration {
  return new Labels(options, registry).declare(workloads, self);
}

/** What it comes to depends on other containers: where the one is whose network it uses, or whose address its URL is. */
function leansOnOthers({ networkMode, labels }: Workload): boolean {
  return networkMode.startsWith("container:") || [...labels.keys()].some((label) => /\.url$/i.test(label));
}

function certificatesOf({ workload, tlsCertificates }: Declaring): Declaration["tlsCertificates"] {
  return tlsCertificates.map(({ value, node, broken }) => ({
    value,
    place: node.place,
    broken,
    workloads: [workload.id],
  }));
}

function byAge(a: Workload, b: Workload): number {
  return (
    a.createdAtMs - b.createdAtMs ||
    (a.name < b.name ? -1 : a.name > b.name ? 1 : 0) ||
    (a.id < b.id ? -1 : 1)
  );
}

// Nobody may take a name from the operator by being older.
function ownFirst(workloads: Workload[], self: Self | undefined): Workload[] {
  const own = workloads.findIndex(({ id }) => id === self?.workloadId);
  if (own > 0) workloads.unshift(...workloads.splice(own, 1));
  return workloads;
}

function neighbourhoodOf(workloads: readonly Workload[], self: Self | undefined): Neighbourhood {
  const addresses = new Map<string, Workload>();
  for (const workload of workloads) {
    for (const { ipv4, ipv6 } of workload.networks) {
      if (ipv4 !== "") addresses.set(ipv4, workload);
      if (ipv6 !== "") addresses.set(ipv6, workload);
    }
  }
  return { self, byId: new Map(workloads.map((workload) => [workload.id, workload])), addresses };
}

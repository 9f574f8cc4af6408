import type { Declaration } from "../model/declared.ts";
import type { Middleware } from "../model/middleware.ts";
import type { Self, Workload } from "../model/workload.ts";
import { labelTree } from "../schema/label-tree.ts";
import type { Problem } from "../schema/problem.ts";
import type { Neighbourhood } from "./address.ts";
import { compileConstraints } from "./constraints.ts";
import { completeParts, type Declaring } from "./container.ts";
import { compileDefaultRule, type DefaultRule } from "./default-rule.ts";
import { readWishes, refusalOf } from "./filter.ts";
import { Merge } from "./merge.ts";
import { serviceNameOf } from "./names.ts";
import type { LabelOptions } from "./options.ts";
import { readerOf, readParts } from "./parts.ts";
import { expandShortForm } from "./short-form.ts";

interface Circumstances {
  readonly self: Self | undefined;
  readonly options: LabelOptions;
  readonly registry: ReadonlyMap<string, Middleware>;
  readonly around: Neighbourhood;
  readonly defaultRule: DefaultRule;
  readonly fulfilled: (workload: Workload) => boolean;
  readonly report: (problem: Problem) => void;
}

/** What the labels of all containers say: the same containers always give the same answer. */
export function declare(
  workloads: readonly Workload[],
  self: Self | undefined,
  options: LabelOptions,
  registry: ReadonlyMap<string, Middleware>,
): Declaration {
  const problems: Problem[] = [];
  const report = (problem: Problem) => void problems.push(problem);
  const circumstances: Circumstances = {
    self,
    options,
    registry,
    around: neighbourhoodOf(workloads, self),
    defaultRule: defaultRuleOf(options, report),
    fulfilled: constraintOf(options, report),
    report,
  };
  const unrouted = new Map<string, string>();
  const merge = new Merge(options, report);
  const certificates: Declaring[] = [];
  for (const workload of ownFirst([...workloads].sort(byAge), self)) {
    const container = readContainer(workload, circumstances);
    if (typeof container === "string") unrouted.set(workload.id, container);
    else {
      merge.add(container);
      if (container.tlsCertificates.length > 0) certificates.push(container);
    }
  }
  return {
    provider: options.provider,
    routers: merge.routers(),
    services: merge.services(),
    middlewares: merge.others("middlewares"),
    transports: merge.others("transports"),
    tlsOptions: merge.others("tlsOptions"),
    tlsStores: merge.others("tlsStores"),
    tlsCertificates: certificates.flatMap(({ workload, tlsCertificates }) =>
      tlsCertificates.map(({ value, node, broken }) => ({
        value,
        place: node.place,
        broken,
        workloads: [workload.id],
      })),
    ),
    problems: problems.map((problem) => merge.settle(problem)),
    workloads,
    unrouted,
  };
}

/** What the container declares, or why it is left out. */
function readContainer(workload: Workload, circumstances: Circumstances): Declaring | string {
  const { self, options, fulfilled } = circumstances;
  const problems: Problem[] = [];
  const context = {
    ...circumstances,
    workload,
    provider: options.provider,
    secret: options.secret,
    trusted: workload.id === self?.workloadId,
    report: (problem: Problem): void => void problems.push(problem),
  };
  const reader = readerOf(undefined, context);
  const tree = labelTree(workload.labels, workload.name, context.report);
  const wishes = readWishes(tree, reader);
  const refusal = typeof wishes === "string" ? wishes : refusalOf(workload, wishes, self, options, fulfilled);
  // A container that is left out on purpose has nothing to mend, whatever its labels say.
  if (typeof wishes === "string" || refusal === undefined) problems.forEach(circumstances.report);
  if (typeof wishes === "string" || refusal !== undefined) return refusal!;
  context.report = circumstances.report;
  expandShortForm(tree, serviceNameOf(workload), options.shortForm, readerOf(undefined, context));
  return completeParts(readParts(tree, context), { ...context, wishes });
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

function defaultRuleOf(options: LabelOptions, report: (problem: Problem) => void): DefaultRule {
  const { defaultRule, problem } = compileDefaultRule(options.defaultRule, options.template);
  if (problem !== undefined) reportSetting("defaultRule", problem, options, report);
  return defaultRule;
}

function constraintOf(
  options: LabelOptions,
  report: (problem: Problem) => void,
): (workload: Workload) => boolean {
  const compiled = compileConstraints(options.constraints);
  if ("fulfilled" in compiled) return ({ labels }) => compiled.fulfilled(labels);
  reportSetting("constraints", compiled.problem, options, report);
  // Nobody is let in by an expression that cannot be read.
  return () => false;
}

function reportSetting(
  option: string,
  { message, suggestion }: { readonly message: string; readonly suggestion?: string },
  options: LabelOptions,
  report: (problem: Problem) => void,
): void {
  report({
    code: "bad-value",
    severity: "error",
    place: options.settingsPlace(option),
    message,
    subject: { kind: "provider", name: options.provider },
    ...(suggestion !== undefined && { suggestion }),
  });
}

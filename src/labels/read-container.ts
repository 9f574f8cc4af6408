import type { Middleware } from "../model/middleware.ts";
import type { Self, Workload } from "../model/workload.ts";
import { labelTree } from "../schema/label-tree.ts";
import type { Node } from "../schema/node.ts";
import type { Problem } from "../schema/problem.ts";
import type { Neighbourhood } from "./address.ts";
import { completeParts, type Declaring } from "./container.ts";
import type { DefaultRule } from "./default-rule.ts";
import { readWishes, refusalOf } from "./filter.ts";
import { serviceNameOf } from "./names.ts";
import type { LabelOptions } from "./options.ts";
import { readerOf, readParts } from "./parts.ts";
import { expandShortForm } from "./short-form.ts";

/** What every container is read with. */
export interface Circumstances {
  readonly options: LabelOptions;
  readonly registry: ReadonlyMap<string, Middleware>;
  readonly defaultRule: DefaultRule;
  readonly fulfilled: (workload: Workload) => boolean;
  readonly self: Self | undefined;
  readonly around: Neighbourhood;
}

export interface Reading {
  /** What the container declares, or why it is left out. */
  readonly outcome: Declaring | string;
  readonly problems: readonly Problem[];
}

export function readContainer(workload: Workload, circumstances: Circumstances): Reading {
  const { self, options, fulfilled } = circumstances;
  const problems: Problem[] = [];
  const context = {
    ...circumstances,
    workload,
    provider: options.provider,
    secret: options.secret,
    trusted: workload.id === self?.workloadId,
    report: (problem: Problem) => void problems.push(problem),
  };
  const reader = readerOf(undefined, context);
  const tree = labelTree(workload.labels, workload.name, context.report);
  const wishes = readWishes(tree, reader);
  if (typeof wishes === "string") return { outcome: wishes, problems };
  const refusal = refusalOf(workload, wishes, self, options, fulfilled);
  if (refusal !== undefined) {
    const told = refusal.byChance ? [...problems, ...forgotten(tree, refusal.reason)] : [];
    return { outcome: refusal.reason, problems: told };
  }
  expandShortForm(tree, serviceNameOf(workload), options.shortForm, reader);
  return { outcome: completeParts(readParts(tree, context), { ...context, wishes }), problems };
}

/** Who writes labels for a router wants one, and has forgotten what else it takes. */
function forgotten(tree: Node, reason: string): Problem[] {
  let first = tree.get("http");
  if (first === undefined) return [];
  while (first.value === undefined && first.children !== undefined) {
    const [child] = first.children.values();
    if (child === undefined) break;
    first = child;
  }
  const hint = reason.includes("exposedByDefault") ? { suggestion: "traefik.enable=true" } : {};
  return [
    {
      code: "left-out",
      severity: "warning",
      place: first.place,
      message: `has no effect: ${reason}`,
      ...hint,
    },
  ];
}

import type { DeclaredRouter, DeclaredService } from "../model/declared.ts";
import { labelServiceOptions, routerOptions } from "../model/dynamic.ts";
import type { ServerSpec } from "../model/snapshot.ts";
import type { Unavailable, Workload } from "../model/workload.ts";
import { Node, type Place } from "../schema/node.ts";
import { readOptions } from "../schema/read-options.ts";
import { complain } from "../schema/reader.ts";
import type { Neighbourhood } from "./address.ts";
import type { DefaultRule } from "./default-rule.ts";
import { unavailability, type Wishes } from "./filter.ts";
import { serviceNameOf } from "./names.ts";
import type { LabelOptions } from "./options.ts";
import { type Part, type Parts, type PartsContext, readerOf } from "./parts.ts";
import { NO_SERVER, serverOf } from "./servers.ts";

export interface ContainerContext extends PartsContext {
  readonly workload: Workload;
  readonly wishes: Wishes;
  readonly around: Neighbourhood;
  readonly options: LabelOptions;
  readonly defaultRule: DefaultRule;
}

/** Everything one container declares, complete by itself: default router and service, links and servers. */
export interface Declaring extends Omit<Parts, "routers" | "services" | "otherProtocolOnly"> {
  readonly workload: Workload;
  readonly routers: readonly Part<DeclaredRouter>[];
  readonly services: readonly Part<DeclaredService>[];
}

type LabelService = Parts["services"][number];

export function completeParts(parts: Parts, context: ContainerContext): Declaring {
  const { workload } = context;
  if (parts.otherProtocolOnly) return { ...parts, workload, routers: [], services: [] };
  const name = serviceNameOf(workload);
  const declared = parts.services;
  // The container itself is a service even when its labels only compose other services.
  const own = declared.some(isBalancer) ? [] : [emptyService(name, context)];
  const services = [...declared.filter((part) => part.name !== own[0]?.name), ...own];
  const routers = completeRouters(parts, services, name, context);
  const linked = new Set(routers.map(({ value }) => value.service));
  return {
    ...parts,
    workload,
    routers,
    services: services.map((part) =>
      completeService(part, linked.has(part.name) || !own.includes(part), context),
    ),
  };
}

const COMPOSITES = ["weighted", "mirroring", "failover", "highestRandomWeight"] as const;

const compositesOf = ({ value }: LabelService) => COMPOSITES.filter((kind) => value[kind] !== undefined);
const isBalancer = (part: LabelService) => compositesOf(part).length === 0;

function emptyService(name: string, context: ContainerContext): LabelService {
  const node = new Node(name, placeFor(context, `traefik.http.services.${name}`));
  return {
    name,
    value: readOptions(labelServiceOptions, node, readerOf(undefined, context)),
    node,
    broken: false,
  };
}

function completeRouters(
  parts: Parts,
  services: readonly LabelService[],
  name: string,
  context: ContainerContext,
): Part<DeclaredRouter>[] {
  let routers = parts.routers;
  if (routers.length === 0 && parts.services.length <= 1) {
    const node = new Node(name, placeFor(context, `traefik.http.routers.${name}`));
    routers = [
      { name, value: readOptions(routerOptions, node, readerOf(undefined, context)), node, broken: false },
    ];
  }
  return routers.map((part) =>
    completeRouter(part, parts.services.length === 0 ? services : parts.services, context),
  );
}

function completeRouter(
  part: Parts["routers"][number],
  services: readonly LabelService[],
  context: ContainerContext,
): Part<DeclaredRouter> {
  const { value, node } = part;
  const reader = readerOf({ kind: "router", name: `${part.name}@${context.provider}` }, context);
  let { rule, service } = value;
  const byDefaultRule = rule === "";
  if (byDefaultRule) {
    const made = context.defaultRule(context.workload);
    if ("rule" in made) rule = made.rule;
    else {
      complain(
        reader,
        node.place,
        "bad-default-rule",
        `has no rule of its own, and the default rule ${made.fault}`,
      );
    }
  }
  if (service === "" && services.length === 1) service = services[0]!.name;
  else if (service === "") {
    const names = services.map((other) => other.name);
    const message = `expected a service, because the container declares several: ${names.join(", ")}`;
    complain(
      reader,
      place(node, "service"),
      "missing-option",
      message,
      `${place(node, "service").key}=${names[0]}`,
    );
  }
  if (!context.trusted) {
    for (const option of ["service", "middlewares"] as const) {
      // `noop@internal` shows nothing of ours: it stands where a middleware answers, as with redirections.
      const names = [value[option]]
        .flat()
        .filter((name) => /@internal$/i.test(name) && name !== "noop@internal");
      if (names.length === 0) continue;
      const message = `${names.join(", ")} is Waybill's own: only labels of Waybill's own container and files may name it`;
      complain(reader, place(node, option), "reserved-name", message);
    }
  }
  return {
    ...part,
    value: { ...value, rule, service, byDefaultRule, createdAtMs: context.workload.createdAtMs },
    broken: part.broken || reader.failed,
  };
}

function completeService(
  part: LabelService,
  isUsed: boolean,
  context: ContainerContext,
): Part<DeclaredService> {
  const { value, node } = part;
  const report = isUsed ? context.report : () => {};
  const reader = readerOf(
    { kind: "service", name: `${part.name}@${context.provider}` },
    { ...context, report },
  );
  const composites = compositesOf(part);
  if (composites.length + (value.loadBalancer === undefined ? 0 : 1) > 1) {
    const kinds = [value.loadBalancer && "loadBalancer", ...composites].filter(Boolean);
    complain(reader, node.place, "bad-service", `expected one kind of service, found ${kinds.join(" and ")}`);
  }
  if (composites.length > 0) {
    return { ...part, value: { ...value, loadBalancer: undefined }, broken: part.broken || reader.failed };
  }
  const { server, ...balancing } = value.loadBalancer ?? balancerDefaults(context);
  const found = part.broken
    ? undefined
    : serverOf(server ?? NO_SERVER, {
        workload: context.workload,
        unavailable: unavailability(context.workload),
        network: context.wishes.network || context.options.network,
        around: context.around,
        options: context.options,
        trusted: context.trusted,
        place: (option) => place(node, "loadBalancer", "server", option),
        reader,
      });
  const servers: ServerSpec[] = found !== undefined && "url" in found ? [found] : [];
  const unavailable: Unavailable[] = found !== undefined && "fault" in found ? [found] : [];
  return {
    ...part,
    value: { ...value, loadBalancer: { ...balancing, servers, unavailable } },
    broken: part.broken || reader.failed,
  };
}

function balancerDefaults(context: ContainerContext) {
  const { loadBalancer } = labelServiceOptions;
  const node = new Node("loadBalancer", placeFor(context, "traefik.http.services"));
  return loadBalancer.kind.read(node, readerOf(undefined, context), loadBalancer.about) as NonNullable<
    LabelService["value"]["loadBalancer"]
  >;
}

/** The label of an option, whether it is there or not. */
function place(node: Node, ...path: string[]): Place {
  let at = node;
  for (const [index, name] of path.entries()) {
    const next = at.get(name);
    if (next === undefined) return { ...at.place, key: [at.place.key, ...path.slice(index)].join(".") };
    at = next;
  }
  return at.place;
}

function placeFor({ workload }: ContainerContext, key: string): Place {
  return { source: "label", key, workload: workload.name };
}

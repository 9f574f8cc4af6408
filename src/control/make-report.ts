import type { Declaration } from "../model/declared.ts";
import type {
  EntryPointReport,
  MiddlewareReport,
  ObjectReport,
  Report,
  RouterReport,
  ServiceReport,
  WorkloadReport,
} from "../model/report.ts";
import type { Workload } from "../model/workload.ts";
import type { Subject } from "../schema/problem.ts";
import type { Books } from "./aggregate.ts";
import { type Context, collect, type Found } from "./context.ts";
import { kindOf } from "./services.ts";

/** The record of everything that was declared, in force or not, with the reason. */
export function makeReport(context: Context, books: Books): Report {
  const routers = reportRouters(context, books);
  const services = reportServices(context, books);
  return {
    version: context.version,
    madeAtMs: context.nowMs,
    entryPoints: reportEntryPoints(context, routers),
    routers,
    services,
    middlewares: reportMiddlewares(context, books),
    transports: reportAll(context, "transport", books.transports.found),
    tlsOptions: reportAll(context, "tls-options", books.tls.found),
    tlsStores: reportAll(
      context,
      "tls-store",
      collect(context.declarations, (one) => one.tlsStores),
    ),
    tlsCertificates: context.declarations.flatMap((declaration) =>
      declaration.tlsCertificates.map((declared, i) =>
        reportOne(context, "certificate", {
          name: `certificate-${i}@${declaration.provider}`,
          provider: declaration.provider,
          declared,
        }),
      ),
    ),
    providers: context.declarations.map(({ provider }) => provider),
    workloads: context.declarations.flatMap((declaration) =>
      reportWorkloads(context, declaration, routers, services),
    ),
    problems: context.ledger.all,
  };
}

function reportOne<T>(
  context: Context,
  kind: Subject["kind"],
  { name, provider, declared }: Found<T>,
): ObjectReport<T> {
  const subject: Subject = { kind, name };
  return {
    name,
    provider,
    status: context.ledger.statusOf(subject, declared.broken),
    problems: context.ledger.problemsOf(subject),
    declared: declared.value,
    place: declared.place,
    workloads: declared.workloads,
    usedBy: context.users.of(subject),
  };
}

function reportAll<T>(context: Context, kind: Subject["kind"], found: ReadonlyMap<string, Found<T>>) {
  return new Map([...found].map(([name, one]) => [name, reportOne(context, kind, one)]));
}

function reportRouters(context: Context, { routers }: Books): Map<string, RouterReport> {
  const reports = new Map<string, RouterReport>();
  for (const [name, { found, specs, hosts, closed }] of routers.resolved) {
    const using = [...new Set(specs.flatMap((spec) => spec.entryPoints))].sort();
    reports.set(name, { ...reportOne(context, "router", found), effective: specs, hosts, using, closed });
  }
  return reports;
}

function reportServices(context: Context, { services }: Books): Map<string, ServiceReport> {
  const reports = new Map<string, ServiceReport>();
  for (const [name, found] of services.found) {
    const { value } = found.declared;
    reports.set(name, {
      ...reportOne(context, "service", found),
      kind: kindOf(value, found.provider) ?? "loadBalancer",
      effective: services.specs.get(name),
      servers: value.loadBalancer?.servers ?? [],
      unavailable: value.loadBalancer?.unavailable ?? [],
    });
  }
  return reports;
}

function reportMiddlewares(context: Context, { middlewares }: Books): Map<string, MiddlewareReport> {
  const reports = new Map<string, MiddlewareReport>();
  for (const [name, found] of middlewares.found) {
    const { type } = found.declared.value;
    reports.set(name, {
      ...reportOne(context, "middleware", found),
      type,
      effective: middlewares.specs.get(name),
    });
  }
  return reports;
}

function reportEntryPoints({ settings }: Context, routers: ReadonlyMap<string, RouterReport>) {
  const users = new Map([...settings.entryPoints.keys()].map((name) => [name, [] as string[]]));
  for (const { status, effective } of routers.values()) {
    if (status === "disabled") continue;
    for (const spec of effective) for (const name of spec.entryPoints) users.get(name)!.push(spec.name);
  }
  const reports = new Map<string, EntryPointReport>();
  for (const [name, { address, asDefault }] of settings.entryPoints) {
    reports.set(name, { name, address, asDefault, usedBy: users.get(name)! });
  }
  return reports;
}

function reportWorkloads(
  { ledger }: Context,
  { workloads, unrouted, provider }: Declaration,
  routers: ReadonlyMap<string, RouterReport>,
  services: ReadonlyMap<string, ServiceReport>,
): WorkloadReport[] {
  if (workloads.length === 0) return [];
  const routersOf = namesByWorkload(routers, provider);
  const servicesOf = namesByWorkload(services, provider);
  const problemsOf = Map.groupBy(ledger.all, ({ place }) => place.workload);
  const usersOf = (service: string) => services.get(service)!.usedBy.filter(({ kind }) => kind === "router");
  return workloads.map((workload) => {
    const own = servicesOf.get(workload.id) ?? [];
    const leading = new Set([
      ...(routersOf.get(workload.id) ?? []),
      ...own.flatMap((name) => usersOf(name).map((user) => user.name)),
    ]);
    const inForce = [...leading].filter(
      (name) => routers.get(name)?.status !== "disabled" && routers.has(name),
    );
    return {
      workload,
      routed: inForce.length > 0,
      reason: unrouted?.get(workload.id) ?? reasonOf(workload, [...leading], inForce, own, services),
      routers: [...leading],
      services: own,
      problems: problemsOf.get(workload.name) ?? [],
    };
  });
}

function namesByWorkload(
  reports: ReadonlyMap<string, ObjectReport<unknown>>,
  provider: string,
): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const { name, provider: from, workloads } of reports.values()) {
    if (from !== provider) continue;
    for (const id of workloads) {
      const list = names.get(id);
      if (list === undefined) names.set(id, [name]);
      else list.push(name);
    }
  }
  return names;
}

function reasonOf(
  { id, name }: Workload,
  routers: readonly string[],
  inForce: readonly string[],
  own: readonly string[],
  services: ReadonlyMap<string, ServiceReport>,
): string {
  if (routers.length === 0) return "no router leads to it";
  if (inForce.length === 0) return `its routers have problems: ${routers.join(", ")}`;
  const reasons = own.flatMap((service) => services.get(service)!.unavailable);
  const unavailable = reasons.find(({ workload }) => workload === name || workload === id);
  if (unavailable !== undefined) return `it gets no requests now: ${unavailable.detail}`;
  return `routed by ${inForce.join(", ")}`;
}

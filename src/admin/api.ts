import type { Report } from "../model/report.ts";
import { settingsOptions } from "../model/settings.ts";
import { redact } from "../schema/option.ts";
import { describeProblem } from "../schema/problem.ts";
import { type Listing, listPage, Refusal } from "./listing.ts";
import type { AdminSource } from "./source.ts";
import {
  certificateView,
  entryPointView,
  type Json,
  middlewareView,
  routerViews,
  serviceView,
} from "./views.ts";

export interface ApiReply {
  readonly status: number;
  readonly headers: { readonly [name: string]: string };
  readonly body: string;
}

/** Answers Traefik's read-only API and ours beside it. `path` begins with `/api/` and is still escaped. */
export function answerApi(
  source: AdminSource,
  method: string,
  path: string,
  query: URLSearchParams,
): ApiReply {
  try {
    if (method !== "GET" && method !== "HEAD") throw new Refusal(405, "only GET is answered here");
    return answer(source, path, query);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return {
      status: error.status,
      headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" },
      body: `${JSON.stringify({ message: error.message })}\n`,
    };
  }
}

function answer(source: AdminSource, path: string, query: URLSearchParams): ApiReply {
  const [, , ...parts] = path.split("/");
  const [area, collection, id] = parts.map(decodePart);
  const report = source.report();
  switch (area) {
    case "overview":
      return json(overview(report, source));
    case "rawdata":
      return json(rawData(report, source));
    case "version":
      return json(version(source));
    case "entrypoints":
      return entryPoints(source, collection);
    case "http":
      return objects(httpObjects(report, source, collection), query, id);
    case "tcp":
    case "udp":
      return objects({ items: [], listing: NOTHING, noun: "object" }, query, id);
    case "certificates":
      return objects(certificates(source), query, collection);
    case "problems":
      return json(report.problems.map((problem) => ({ ...problem, text: describeProblem(problem) })));
    case "workloads":
      return json(workloads(report));
    case "settings":
      return json(redact(settingsOptions, source.settings));
    default:
      throw new Refusal(404, "there is nothing here");
  }
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new Refusal(400, `unable to decode ${part}`);
  }
}

interface Objects {
  readonly items: readonly Json[];
  readonly listing: Listing;
  readonly noun: string;
}

const text = (name: string) => (item: Json) => String(item[name] ?? "");
const lengthOf = (name: string) => (item: Json) => ((item[name] as unknown[] | undefined) ?? []).length;
const NOTHING: Listing = { searched: () => [], sortable: new Map() };
const ROUTERS: Listing = {
  searched: (item) => [text("name")(item), text("rule")(item)],
  sortable: new Map<string, (item: Json) => string | number>([
    ["provider", text("provider")],
    ["priority", (item) => Number(item["priority"])],
    ["status", text("status")],
    ["rule", text("rule")],
    ["service", text("service")],
    ["entryPoints", lengthOf("entryPoints")],
  ]),
};
const SERVICES: Listing = {
  searched: (item) => [text("name")(item)],
  sortable: new Map<string, (item: Json) => string | number>([
    ["type", text("type")],
    ["servers", (item) => lengthOf("servers")((item["loadBalancer"] ?? {}) as Json)],
    ["provider", text("provider")],
    ["status", text("status")],
  ]),
};
const MIDDLEWARES: Listing = {
  searched: (item) => [text("name")(item)],
  sortable: new Map([
    ["type", text("type")],
    ["provider", text("provider")],
    ["status", text("status")],
  ]),
};
const CERTIFICATES: Listing = {
  searched: (item) => [
    text("commonName")(item),
    text("issuerCN")(item),
    text("issuerOrg")(item),
    ...(item["sans"] as string[]),
  ],
  sortable: new Map([
    ["name", text("commonName")],
    ["cn", text("commonName")],
    ["status", text("status")],
    ["issuer", text("issuerCN")],
    ["validUntil", text("notAfter")],
  ]),
};

function httpObjects(report: Report, source: AdminSource, collection: string | undefined): Objects {
  switch (collection) {
    case "routers":
      return { items: [...report.routers.values()].flatMap(routerViews), listing: ROUTERS, noun: "router" };
    case "services": {
      const states = source.servers();
      const items = [...report.services.values()].map((service) => serviceView(service, states));
      return { items, listing: SERVICES, noun: "service" };
    }
    case "middlewares": {
      const items = [...report.middlewares.values()].map((one) => middlewareView(one, source.registry));
      return { items, listing: MIDDLEWARES, noun: "middleware" };
    }
    default:
      throw new Refusal(404, "there is nothing here");
  }
}

function certificates(source: AdminSource): Objects {
  const nowMs = Date.now();
  const items = source.certificates().map((certificate) => certificateView(certificate, nowMs));
  return { items, listing: CERTIFICATES, noun: "certificate" };
}

function objects(
  { items, listing, noun }: Objects,
  query: URLSearchParams,
  id: string | undefined,
): ApiReply {
  if (id !== undefined) {
    const item = items.find((one) => one["name"] === id);
    if (item === undefined) throw new Refusal(404, `${noun} not found: ${id}`);
    return json(item);
  }
  const page = listPage(items, query, listing);
  return json(page.items, { "x-next-page": String(page.nextPage) });
}

function entryPoints(source: AdminSource, name: string | undefined): ApiReply {
  const names = [...source.settings.entryPoints.keys()].sort();
  if (name === undefined) return json(names.map((one) => entryPointView(one, source.settings)));
  if (!names.includes(name)) throw new Refusal(404, `entry point not found: ${name}`);
  return json(entryPointView(name, source.settings));
}

function overview(report: Report, source: AdminSource): Json {
  const { settings } = source;
  const none = { total: 0, warnings: 0, errors: 0 };
  const known = certificates(source).items;
  const certificateCounts = {
    total: known.length,
    warnings: known.filter(({ status }) => status === "warning").length,
    errors: known.filter(({ status }) => status === "expired").length,
  };
  return {
    http: {
      routers: counts(report.routers),
      services: counts(report.services),
      middlewares: counts(report.middlewares),
    },
    tcp: { routers: none, services: none, middlewares: none },
    udp: { routers: none, services: none },
    certificates: certificateCounts,
    features: {
      tracing: settings.tracing ? "OTLP" : "",
      metrics: settings.metrics?.prometheus ? "Prometheus" : settings.metrics?.otlp ? "OTLP" : "",
      accessLog: settings.accessLog !== undefined,
    },
    providers: report.providers.filter((name) => name !== "internal").map(providerName),
  };
}

const PROVIDER_NAMES = new Map([["http", "HTTP"]]);
const providerName = (name: string) =>
  PROVIDER_NAMES.get(name) ?? name.charAt(0).toUpperCase() + name.slice(1);

function counts(objectsByName: ReadonlyMap<string, { readonly status: string }>): Json {
  const statuses = [...objectsByName.values()].map(({ status }) => status);
  return {
    total: statuses.length,
    warnings: statuses.filter((status) => status === "warning").length,
    errors: statuses.filter((status) => status === "disabled").length,
  };
}

function rawData(report: Report, source: AdminSource): Json {
  const states = source.servers();
  const byName = (items: readonly Json[]) =>
    Object.fromEntries(items.map(({ name, priorityStr: _text, type: _type, ...rest }) => [name, rest]));
  return {
    routers: byName([...report.routers.values()].flatMap(routerViews)),
    middlewares: byName([...report.middlewares.values()].map((one) => middlewareView(one, source.registry))),
    services: byName([...report.services.values()].map((service) => serviceView(service, states))),
  };
}

function version({ version: number, startedAtMs, settings }: AdminSource): Json {
  return {
    Version: number,
    Codename: "waybill",
    startDate: new Date(startedAtMs).toISOString(),
    ...(settings.api?.dashboardName && { dashboardName: settings.api.dashboardName }),
  };
}

function workloads(report: Report): Json[] {
  return report.workloads.map(({ workload, ...rest }) => ({
    ...rest,
    problems: rest.problems.map(describeProblem),
    id: workload.id,
    name: workload.name,
    image: workload.image,
    state: workload.state,
    health: workload.health,
    stopping: workload.stopping,
    networks: workload.networks,
    ports: workload.ports,
    created: new Date(workload.createdAtMs).toISOString(),
  }));
}

function json(value: unknown, headers: { readonly [name: string]: string } = {}): ApiReply {
  return {
    status: 200,
    headers: { "content-type": "application/json", ...headers },
    body: `${JSON.stringify(value, (_name, item) => (typeof item === "bigint" ? Number(item) : item))}\n`,
  };
}

import { gzipSync } from "node:zlib";
import { tar } from "../lib/tar.ts";
import type { Report } from "../model/report.ts";
import type { Runtime } from "../model/runtime.ts";
import { describePlace, describeProblem, type Problem } from "../schema/problem.ts";
import { catalogue, docsOfSettings } from "./catalogue.ts";
import { explain } from "./explain.ts";
import { type Listing, listPage, Refusal } from "./listing.ts";
import { openApi } from "./openapi.ts";
import type { ProblemShape, SettingShape, WorkloadShape } from "./shapes.ts";
import type { TrafficHistory } from "./traffic.ts";
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
  readonly body: string | Buffer;
}

/** Answers Traefik's read-only API and ours beside it. `path` begins with `/api/` and is still escaped. */
export function answerApi(
  source: Runtime,
  history: TrafficHistory,
  method: string,
  path: string,
  query: URLSearchParams,
): ApiReply {
  try {
    if (method !== "GET" && method !== "HEAD") throw new Refusal(405, "only GET is answered here");
    return answer(source, history, path, query);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return refusalReply(error);
  }
}

export function refusalReply({ status, message }: Refusal): ApiReply {
  return {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" },
    body: `${JSON.stringify({ message })}\n`,
  };
}

function answer(source: Runtime, history: TrafficHistory, path: string, query: URLSearchParams): ApiReply {
  const [, , ...parts] = path.split("/");
  const [area, collection, id, ...more] = parts.map(decodePart);
  if (more.length > 0) throw new Refusal(404, "there is nothing here");
  const report = source.report();
  switch (area) {
    case "overview":
      return json(overview(report, source));
    case "rawdata":
      return json(rawData(report, source));
    case "version":
      return json(version(source));
    case "support-dump":
      return supportDump(report, source);
    case "entrypoints":
      return objects(entryPoints(source), query, collection);
    case "http":
      return objects(httpObjects(report, source, collection), query, id);
    case "tcp":
    case "udp":
      return objects(nothingOf(area, collection), query, id);
    case "certificates":
      return objects(certificates(source), query, collection);
    case "issuance":
      return json(source.issuance());
    case "problems":
      return json(report.problems.map(problemShape));
    case "workloads":
      return json(workloads(report));
    case "settings":
      return json(settingShapes(source));
    case "catalogue":
      return json(catalogue(source.registry));
    case "traffic":
      return json({ totals: history.totals(), points: history.points(Number(query.get("since")) || 0) });
    case "explain":
      return explanation(source, query);
    case "openapi.json":
      return json(openApi(source.version, source.settings.api?.basePath ?? "/"));
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

function httpObjects(report: Report, source: Runtime, collection: string | undefined): Objects {
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

function certificates(source: Runtime): Objects {
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

function entryPoints({ settings }: Runtime): Objects {
  const items = [...settings.entryPoints.keys()].map((name) => entryPointView(name, settings));
  return { items, listing: NOTHING, noun: "entry point" };
}

/** There are no routers and services of TCP and UDP, and tools that ask for them are told so. */
function nothingOf(area: string, collection = ""): Objects {
  const known = area === "tcp" ? ["routers", "services", "middlewares"] : ["routers", "services"];
  if (!known.includes(collection)) throw new Refusal(404, "there is nothing here");
  return { items: [], listing: NOTHING, noun: collection.slice(0, -1) };
}

function overview(report: Report, source: Runtime): Json {
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

function rawData(report: Report, source: Runtime): Json {
  const states = source.servers();
  const byName = (items: readonly Json[]) =>
    Object.fromEntries(
      items.map(({ name, provider: _from, priorityStr: _text, type: _type, ...rest }) => [name, rest]),
    );
  return {
    routers: byName([...report.routers.values()].flatMap(routerViews)),
    middlewares: byName([...report.middlewares.values()].map((one) => middlewareView(one, source.registry))),
    services: byName([...report.services.values()].map((service) => serviceView(service, states))),
  };
}

/** What somebody who helps wants to see, in one file; without secrets. */
function supportDump(report: Report, source: Runtime): ApiReply {
  const files = new Map([
    ["version.json", write(version(source))],
    ["static-config.json", write(settingShapes(source))],
    ["runtime-config.json", write(rawData(report, source))],
  ]);
  return {
    status: 200,
    headers: {
      "content-type": "application/gzip",
      "content-disposition": 'attachment; filename="support-dump.tar.gz"',
    },
    body: gzipSync(tar(files, Date.now())),
  };
}

function version({ version: number, startedAtMs, settings }: Runtime): Json {
  return {
    Version: number,
    Codename: "waybill",
    startDate: new Date(startedAtMs).toISOString(),
    ...(settings.api?.dashboardName && { dashboardName: settings.api.dashboardName }),
  };
}

function explanation(source: Runtime, query: URLSearchParams): ApiReply {
  const headers = query.getAll("header").flatMap((line) => {
    const colon = line.indexOf(":");
    return colon < 1 ? [] : [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
  });
  const known = {
    settings: source.settings,
    report: source.report(),
    registry: source.registry,
    servers: source.servers(),
    certificates: source.certificates(),
    ports: source.ports(),
  };
  const found = explain(known, {
    url: query.get("url") ?? "",
    method: query.get("method") || "GET",
    headers,
    from: query.get("from") || "127.0.0.1",
    entryPoint: query.get("entryPoint") ?? "",
  });
  if (typeof found === "string") throw new Refusal(400, found);
  return json(found);
}

function problemShape(problem: Problem): ProblemShape {
  const { code, severity, message, suggestion, subject } = problem;
  return {
    code,
    severity,
    place: describePlace(problem.place),
    message,
    ...(suggestion !== undefined && { suggestion }),
    ...(subject !== undefined && { subject }),
  };
}

function settingShapes({ inForce }: Runtime): SettingShape[] {
  const docOf = docsOfSettings();
  return inForce.map(({ option, value, source }) => ({
    option,
    value,
    source: source.source,
    place: source.file === undefined ? source.key : describePlace(source),
    doc: docOf(option),
  }));
}

function workloads(report: Report): WorkloadShape[] {
  return report.workloads.map(({ workload, ...rest }) => ({
    id: workload.id,
    name: workload.name,
    image: workload.image,
    state: workload.state,
    health: workload.health,
    stopping: workload.stopping,
    routed: rest.routed,
    reason: rest.reason,
    routers: rest.routers,
    services: rest.services,
    problems: rest.problems.map(describeProblem),
    networks: workload.networks,
    ports: workload.ports,
    created: new Date(workload.createdAtMs).toISOString(),
  }));
}

function json(value: unknown, headers: { readonly [name: string]: string } = {}): ApiReply {
  return {
    status: 200,
    headers: { "content-type": "application/json", ...headers },
    body: write(value),
  };
}

// TypeScript does not know it yet.
const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => unknown };

/** Priorities have more digits than a number of JavaScript's. */
const write = (value: unknown) =>
  `${JSON.stringify(value, (_name, item) => (typeof item === "bigint" ? rawJSON(String(item)) : item))}\n`;

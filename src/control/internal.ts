import type {
  Declaration,
  Declared,
  DeclaredMiddleware,
  DeclaredRouter,
  DeclaredService,
} from "../model/declared.ts";
import { fileServiceOptions, routerOptions } from "../model/dynamic.ts";
import { type EntryPointSettings, parseAddress } from "../model/entry-point.ts";
import type { Middleware } from "../model/middleware.ts";
import { OWN_PATHS, OWN_ROUTE_HEADER } from "../model/own-pages.ts";
import type { Settings } from "../model/settings.ts";
import type { ServerSpec } from "../model/snapshot.ts";
import { leaf, Node, type Place } from "../schema/node.ts";
import type { Options } from "../schema/option.ts";
import { readOptions } from "../schema/read-options.ts";
import { ACME_ROUTER } from "./routers.ts";
import { DEFAULT_TRANSPORT } from "./transports.ts";

const PROVIDER = "internal";
const PRIORITY_HIGHEST = 2n ** 63n - 1n;
const CHALLENGE_PATH = "/.well-known/acme-challenge/";

/**
 * Services that the main thread answers, behind a socket of its own: workers send requests there as to any server. By
 * name, what is put before the path, so that it can tell them apart.
 */
const SERVED_BY_MAIN = new Map([
  ["api", ""],
  ["dashboard", OWN_PATHS.dashboard],
  ["prometheus", OWN_PATHS.metrics],
  ["ready", OWN_PATHS.ready],
]);
/** Marks requests that came by a router of our own, which nothing of the user's guards. */
const OWN_ROUTE = "own-route";
/** Services that a worker answers by itself. */
const SERVED_BY_WORKERS = ["ping", "noop", "acme-http"];

/** What the settings ask for in the proxy's own name: pages, redirections of entry points, challenges. */
export function declareInternals(
  settings: Settings,
  registry: ReadonlyMap<string, Middleware>,
  {
    adminSocket,
    challengeEntryPoints,
    challengeTokens,
  }: {
    adminSocket: string | undefined;
    challengeEntryPoints: readonly string[];
    challengeTokens: readonly string[];
  },
): Declaration {
  const routers = new Map<string, Declared<DeclaredRouter>>();
  const middlewares = new Map<string, Declared<DeclaredMiddleware>>();
  const add = (name: string, from: RouterDraft) => routers.set(name, declared(routerFrom(from)));

  addPages(settings, add);
  if (settings.api?.insecure) middlewares.set(OWN_ROUTE, declared(markOwn(registry)));
  for (const [name, entryPoint] of settings.entryPoints) {
    const redirection = entryPoint.http.redirections?.entryPoint;
    if (redirection === undefined) continue;
    const title = `${name}-to-${redirection.to.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "")}`;
    middlewares.set(`redirect-${title}`, declared(redirectFrom(redirection, settings.entryPoints, registry)));
    add(title, {
      rule: entryPoint.allowACMEByPass
        ? `HostRegexp(\`^.+$\`) && !PathPrefix(\`${CHALLENGE_PATH}\`)`
        : "HostRegexp(`^.+$`)",
      entryPoints: [name],
      service: "noop",
      priority: redirection.priority,
      middlewares: [`redirect-${title}`],
    });
  }
  if (challengeTokens.length > 0) {
    const mayBeTaken = challengeEntryPoints.every((name) => settings.entryPoints.get(name)?.allowACMEByPass);
    add(ACME_ROUTER.replace(`@${PROVIDER}`, ""), {
      // Only our own: the application may have certificates of its own (PR-17).
      rule: challengeTokens.map((token) => `Path(\`${CHALLENGE_PATH}${token}\`)`).join(" || "),
      entryPoints: challengeEntryPoints,
      service: "acme-http",
      priority: mayBeTaken ? 0n : PRIORITY_HIGHEST,
    });
  }
  return {
    provider: PROVIDER,
    routers,
    services: servicesWith(adminSocket, settings),
    middlewares,
    transports: new Map([
      [DEFAULT_TRANSPORT.replace(`@${PROVIDER}`, ""), declared(settings.serversTransport)],
    ]),
    tlsOptions: new Map(),
    tlsStores: new Map(),
    tlsCertificates: [],
    problems: [],
    workloads: [],
  };
}

function addPages({ api, ping, metrics }: Settings, add: (name: string, from: RouterDraft) => void): void {
  const base = api === undefined || api.basePath === "/" ? "" : api.basePath.replace(/\/$/, "");
  if (api?.insecure) {
    const entryPoints = ["traefik"];
    add("api", {
      rule: `PathPrefix(\`${base}/api\`)`,
      entryPoints,
      service: "api",
      priority: PRIORITY_HIGHEST - 1n,
      middlewares: [OWN_ROUTE],
    });
    if (api.dashboard) {
      const rule = `PathPrefix(\`${base === "" ? "/" : base}\`)`;
      const priority = PRIORITY_HIGHEST - 2n;
      add("dashboard", { rule, entryPoints, service: "dashboard", priority, middlewares: [OWN_ROUTE] });
    }
  }
  if (ping !== undefined && !ping.manualRouting) {
    add("ping", {
      rule: "PathPrefix(`/ping`)",
      entryPoints: [ping.entryPoint],
      service: "ping",
      priority: PRIORITY_HIGHEST,
    });
    // Elsewhere a path of that name may be an application's: it is not Traefik's, so nobody reckons with it.
    if (ping.entryPoint === "traefik")
      add("ready", {
        rule: "Path(`/ready`)",
        entryPoints: ["traefik"],
        service: "ready",
        priority: PRIORITY_HIGHEST,
      });
  }
  const prometheus = metrics?.prometheus;
  if (prometheus !== undefined && !prometheus.manualRouting) {
    const entryPoints = [prometheus.entryPoint];
    add("prometheus", {
      rule: "PathPrefix(`/metrics`)",
      entryPoints,
      service: "prometheus",
      priority: PRIORITY_HIGHEST,
    });
  }
}

interface RouterDraft {
  readonly rule: string;
  readonly entryPoints: readonly string[];
  readonly service: string;
  readonly priority: bigint;
  readonly middlewares?: readonly string[];
}

const SETTINGS_PLACE: Place = { source: "default", key: "" };
const READER = { report() {}, secret: () => "" };

function routerFrom({ rule, entryPoints, service, priority, middlewares = [] }: RouterDraft): DeclaredRouter {
  const defaults = readOptions(routerOptions, new Node("", SETTINGS_PLACE), READER);
  const written = { rule, service, priority, entryPoints, middlewares };
  return { ...defaults, ...written, ruleSyntax: "v3", byDefaultRule: false, createdAtMs: 0 };
}

function redirectFrom(
  { to, scheme, permanent }: { to: string; scheme: string; permanent: boolean },
  entryPoints: ReadonlyMap<string, EntryPointSettings>,
  registry: ReadonlyMap<string, Middleware>,
): DeclaredMiddleware {
  const address = to.startsWith(":") ? to : (entryPoints.get(to)?.address ?? "");
  const port = String(parseAddress(address)?.port ?? "");
  const isUsual = port === (scheme === "https" ? "443" : "80");
  const written = { scheme, permanent: String(permanent), ...(!isUsual && { port }) };
  return { type: "redirectScheme", options: optionsFrom(registry.get("redirectScheme")!.options, written) };
}

function markOwn(registry: ReadonlyMap<string, Middleware>): DeclaredMiddleware {
  const { options } = registry.get("headers")!;
  const node = new Node("", SETTINGS_PLACE);
  const headers = node.child("customRequestHeaders", SETTINGS_PLACE);
  headers.child(OWN_ROUTE_HEADER, SETTINGS_PLACE).value = "true";
  return { type: "headers", options: readOptions(options, node, READER) };
}

function optionsFrom(options: Options, written: Readonly<Record<string, string>>): Record<string, unknown> {
  const node = new Node("", SETTINGS_PLACE);
  node.children = new Map(
    Object.entries(written).map(([name, value]) => [name.toLowerCase(), leaf(name, SETTINGS_PLACE, value)]),
  );
  return readOptions(options, node, READER);
}

function servicesWith(
  adminSocket: string | undefined,
  { ping }: Settings,
): Map<string, Declared<DeclaredService>> {
  const empty = {
    ...readOptions(fileServiceOptions, new Node("", SETTINGS_PLACE), READER),
    loadBalancer: undefined,
  };
  const services = new Map<string, Declared<DeclaredService>>();
  for (const name of SERVED_BY_WORKERS) services.set(name, declared(empty));
  const { servers: _, ...balancing } = readOptions(
    { loadBalancer: fileServiceOptions.loadBalancer },
    nodeWith("loadBalancer"),
    READER,
  ).loadBalancer!;
  for (const [name, path] of SERVED_BY_MAIN) {
    // What only we have is no noise in a list that is Traefik's, unless somebody asked for it.
    if (name === "ready" && ping === undefined) continue;
    const servers = adminSocket === undefined ? [] : [ownServer(adminSocket, path)];
    const loadBalancer = { ...balancing, servers, unavailable: [] };
    services.set(name, declared({ ...empty, loadBalancer }));
  }
  return services;
}

function nodeWith(child: string): Node {
  const node = new Node("", SETTINGS_PLACE);
  node.child(child, SETTINGS_PLACE).value = "";
  node.child(child, SETTINGS_PLACE).children = new Map();
  return node;
}

function ownServer(socket: string, path: string): ServerSpec {
  return {
    id: "main-thread",
    scheme: "http",
    host: socket,
    port: 0,
    path,
    weight: 1,
    url: "http://main-thread",
    workload: undefined,
  };
}

function declared<T>(value: T): Declared<T> {
  return { value, place: SETTINGS_PLACE, broken: false, workloads: [] };
}

import type { CertificateView } from "../model/certificate-view.ts";
import { fileServiceOptions, routerOptions } from "../model/dynamic.ts";
import { entryPointOptions } from "../model/entry-point.ts";
import type { Middleware } from "../model/middleware.ts";
import type {
  MiddlewareReport,
  ObjectReport,
  RouterReport,
  ServerState,
  ServiceReport,
} from "../model/report.ts";
import type { Settings } from "../model/settings.ts";
import type { RouterSpec } from "../model/snapshot.ts";
import type { Options } from "../schema/option.ts";
import { describeProblem } from "../schema/problem.ts";
import { redact } from "../schema/redact.ts";

/**
 * Objects of the report as Traefik's API shows them: the words of the configuration, empty values left out, durations
 * as text. Unlike Traefik's, they never show a secret.
 */
export type Json = { readonly [name: string]: unknown };

/** One entry for every copy that is in force: an entry point's defaults make one of their own. */
export function routerViews(router: RouterReport): Json[] {
  if (router.effective.length === 0) return [routerView(router, undefined)];
  return router.effective.map((spec) => routerView(router, spec));
}

function routerView(router: RouterReport, spec: RouterSpec | undefined): Json {
  const { declared } = router;
  const tls = spec?.tls ?? declared.tls;
  const priority = spec?.priority ?? declared.priority;
  return {
    entryPoints: some(spec?.entryPoints ?? declared.entryPoints),
    middlewares: some(spec?.middlewares ?? declared.middlewares),
    service: some(declared.service),
    rule: some(declared.rule),
    ruleSyntax: some(declared.ruleSyntax),
    parentRefs: some(declared.parentRefs),
    priority,
    tls:
      tls === undefined
        ? undefined
        : withoutEmpty(redact(group(routerOptions.tls), { ...tls, options: tls.options || "default" })),
    observability: {
      accessLogs: spec?.accessLog ?? declared.observability?.accessLogs ?? true,
      metrics: spec?.metrics ?? declared.observability?.metrics ?? true,
      tracing: spec?.tracing ?? declared.observability?.tracing ?? true,
      traceVerbosity:
        (spec?.detailedTraces ?? declared.observability?.traceVerbosity === "detailed")
          ? "detailed"
          : "minimal",
    },
    ...common(router),
    using: some([...(spec?.entryPoints ?? router.using)].sort()),
    name: spec?.name ?? router.name,
    priorityStr: String(priority),
  };
}

export function serviceView(service: ServiceReport, states: readonly ServerState[]): Json {
  const { loadBalancer, ...others } = service.declared;
  const own = redact(without(fileServiceOptions, "loadBalancer"), others as Record<string, unknown>);
  // Those that the proxy answers itself have no configuration to show.
  const isOurs = service.provider === "internal";
  const mine = states.filter((state) => state.service === service.name);
  return {
    ...withoutEmpty(own),
    loadBalancer: isOurs ? undefined : loadBalancer && loadBalancerView(loadBalancer, service),
    ...common(service),
    usedBy: some(usersOf(service)),
    serverStatus: isOurs
      ? undefined
      : some(
          Object.fromEntries(
            mine.map(({ server, healthy, ejected }) => [server.url, healthy && !ejected ? "UP" : "DOWN"]),
          ),
        ),
    name: service.name,
    type: isOurs ? undefined : service.kind.toLowerCase(),
  };
}

function loadBalancerView(
  options: NonNullable<ServiceReport["declared"]["loadBalancer"]>,
  service: ServiceReport,
): Json {
  const { servers: _servers, unavailable: _unavailable, hashBy, ...others } = options;
  const rest = others.strategy === "hash" ? { ...others, hashBy } : others;
  const members = without(group(fileServiceOptions.loadBalancer), "servers");
  return {
    servers: service.servers.map(({ url, weight, path }) =>
      withoutEmpty({ url, weight: weight === 1 ? undefined : weight, preservePath: path !== "" }),
    ),
    ...withoutEmpty(redact(members, rest as Record<string, unknown>)),
    passHostHeader: options.passHostHeader,
    responseForwarding: { flushInterval: "100ms" },
  };
}

export function middlewareView(
  middleware: MiddlewareReport,
  registry: ReadonlyMap<string, Middleware>,
): Json {
  const { type, declared } = middleware;
  const options = registry.get(type)?.options ?? {};
  return {
    [type]: withoutEmpty(redact(options, declared.options)),
    ...common(middleware),
    usedBy: some(usersOf(middleware)),
    name: middleware.name,
    type: type.toLowerCase(),
  };
}

export function entryPointView(name: string, settings: Settings): Json {
  const options = settings.entryPoints.get(name);
  return { ...(options && withoutEmpty(redact(entryPointOptions, options))), name };
}

const MONTH_MS = 30 * 24 * 3600 * 1000;

export function certificateView(certificate: CertificateView, nowMs: number): Json {
  const { id, notAfterMs, notBeforeMs } = certificate;
  const status = notAfterMs < nowMs ? "expired" : notAfterMs < nowMs + MONTH_MS ? "warning" : "enabled";
  return {
    name: id,
    sans: [...certificate.names].sort(),
    notAfter: new Date(notAfterMs).toISOString().replace(".000Z", "Z"),
    notBefore: new Date(notBeforeMs).toISOString().replace(".000Z", "Z"),
    serialNumber: certificate.serialNumber,
    commonName: certificate.commonName,
    issuerOrg: some(certificate.issuerOrganization),
    issuerCN: some(certificate.issuerCommonName),
    issuerCountry: some(certificate.issuerCountry),
    organization: some(certificate.organization),
    country: some(certificate.country),
    version: certificate.version,
    keyType: certificate.keyType,
    keySize: certificate.keyBits || undefined,
    signatureAlgorithm: certificate.signatureAlgorithm,
    certFingerprint: id,
    publicKeyFingerprint: certificate.publicKeyFingerprint,
    status,
  };
}

function common({ status, problems, provider }: ObjectReport<unknown>): Json {
  return { status, error: some(problems.map(describeProblem)), provider };
}

function usersOf({ usedBy }: ObjectReport<unknown>): string[] {
  return usedBy
    .filter(({ kind }) => kind === "router")
    .map(({ name }) => name)
    .sort();
}

function group(option: { readonly kind: { readonly options?: Options } }): Options {
  return option.kind.options ?? {};
}

function without(options: Options, name: string): Options {
  return Object.fromEntries(Object.entries(options).filter(([key]) => key !== name));
}

/** The value, or undefined when it says nothing. */
function some<T>(value: T): T | undefined {
  if (value === "" || value === undefined) return undefined;
  if (Array.isArray(value)) return value.length === 0 ? undefined : value;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0 ? undefined : value;
}

/** Without members that say nothing, as Traefik leaves them out: empty text, zero, false, empty lists and groups. */
export function withoutEmpty(values: Json): Json {
  const kept = Object.entries(values).flatMap(([name, value]) => {
    const inner = withoutEmptyInside(value);
    const nothing = inner === false || inner === 0 || inner === "0s" || some(inner) === undefined;
    return nothing && !(value !== undefined && SAYS_SOMETHING.has(name)) ? [] : [[name, inner] as const];
  });
  return Object.fromEntries(kept);
}

/** Groups that mean something by being there, and a weight, of which none is not nothing. */
const SAYS_SOMETHING = new Set(["healthCheck", "tls", "forwardedHeaders", "http", "weight"]);

function withoutEmptyInside(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmptyInside);
  return typeof value === "object" && value !== null ? withoutEmpty(value as Json) : value;
}

import { isIP } from "node:net";
import { NO_BODY } from "../model/body.ts";
import type { CertificateView } from "../model/certificate-view.ts";
import type { Client } from "../model/client.ts";
import { parseAddress } from "../model/entry-point.ts";
import { Exchange } from "../model/exchange.ts";
import type { Middleware } from "../model/middleware.ts";
import type { Report, RouterReport, ServerState, ServiceReport } from "../model/report.ts";
import type { Settings } from "../model/settings.ts";
import type { RouterSpec, ServiceSpec } from "../model/snapshot.ts";
import { type Consideration, explainMatch } from "../routing/explain.ts";
import { compareRouters } from "../routing/priority.ts";
import { describeProblem, type Problem } from "../schema/problem.ts";
import { redact } from "../schema/redact.ts";
import { parseTarget, refusedEscapes } from "../wire/target.ts";
import { diagnoseMissed, type Missed, whatIsNear, wouldTake } from "./near-miss.ts";
import { isOwnElsewhere } from "./own-elsewhere.ts";
import type { Explanation } from "./shapes.ts";
import { withoutEmpty } from "./views.ts";

/** A request that nobody makes, to see what would become of it. */
export interface Question {
  readonly url: string;
  readonly method?: string;
  /** Name and value by turns. */
  readonly headers?: readonly string[];
  /** Address of the client. */
  readonly from?: string;
  readonly entryPoint?: string;
}

/** What an answer is made from: a running Waybill, or files. */
export interface Known {
  readonly settings: Settings;
  readonly report: Report;
  readonly registry: ReadonlyMap<string, Middleware>;
  readonly servers: readonly ServerState[];
  readonly certificates: readonly CertificateView[];
  /** Nothing runs: the files alone are asked, and so many of the certificates they name cannot be read. */
  readonly certificatesUnread?: number;
  /** Ports that entry points really have, where the system chose them. */
  readonly ports: ReadonlyMap<string, number>;
}

const CONSIDERED_MAX = 200;
const NOTHING_MISSED: Missed = { nearRules: [], nearest: [], leftOut: [] };

/** The walk of one request, from its entry point to its servers. A text says why there is none. */
export function explain(known: Known, question: Question): Explanation | string {
  const asked = parseUrl(question);
  if (typeof asked === "string") return asked;
  const entryPoint = chooseEntryPoint(known, asked, question.entryPoint);
  if (entryPoint === undefined) return `there is no entry point ${question.entryPoint ?? ""}`.trimEnd();
  const exchange = makeExchange(known, asked, entryPoint);
  if (typeof exchange === "string") return exchange;

  const specs = [...known.report.routers.values()].flatMap(inTable).sort(compareRouters);
  const considered = explainMatch(specs, exchange);
  const chain = considered
    .filter(({ matched }) => matched)
    .map((one) => specs.find(({ name }) => name === one.router)!);
  const winner = chain.at(-1);
  const isEnd = winner !== undefined && winner.service !== "";
  const middlewares = chain.flatMap((spec) => spec.middlewares).map((name) => middlewareOf(known, name));
  const elsewhere = redirection(middlewares, asked);
  const found = isEnd ? walkServices(known, winner.service) : NOTHING;
  const missed = isEnd ? NOTHING_MISSED : whatIsNear(known.report, specs, exchange);
  const certificate =
    asked.scheme === "https" ? certificateFor(known, exchange.host, winner?.tls?.certResolver) : undefined;
  return {
    request: {
      method: exchange.method,
      url: `${asked.scheme}://${asked.authority}${asked.target}`,
      scheme: asked.scheme,
      host: exchange.host,
      path: exchange.path,
      ...(exchange.query !== undefined && { query: exchange.query }),
      from: exchange.connection.peerIp,
    },
    routed: isEnd,
    diagnosis: isEnd
      ? elsewhere === undefined
        ? diagnoseRouted(winner, found, [
            ...doubtsAbout(known.report, winner),
            ...passedOver(known.report, chain[0]!, exchange),
          ])
        : `${winner.name} redirects it; explain ${elsewhere} to follow it`
      : winner?.closed !== undefined
        ? `it is refused with 503 (misconfigured): ${winner.closed}`
        : diagnoseMissed(exchange, missed, known.report),
    entryPoint: { name: entryPoint, address: known.settings.entryPoints.get(entryPoint)!.address },
    ...mostTelling(considered),
    ...(isEnd && {
      router: { name: winner.name, rule: winner.rule, why: whyItWon(winner, considered, specs) },
    }),
    middlewares,
    ...(isEnd && {
      service: { name: winner.service, kind: known.report.services.get(winner.service)?.kind ?? "" },
    }),
    servers: found.servers,
    unavailable: found.unavailable,
    ...(certificate && { certificate }),
    ...missed,
  };
}

/** What a router comes to in the table: one that is not in force may keep its place there, and refuse. */
function inTable({ status, effective, closed }: RouterReport): readonly RouterSpec[] {
  if (status !== "disabled") return effective;
  if (closed === undefined) return [];
  const placed = effective.filter(({ entryPoints, parents }) => entryPoints.length + parents.length > 0);
  return placed.map((spec) => ({ ...spec, service: "", middlewares: [], closed }));
}

// --- The request.

interface Asked {
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly target: string;
  readonly method: string;
  readonly headers: readonly string[];
  readonly from: string;
}

/** By hand, because a parser of URLs would change the path before we look at it. */
function parseUrl({ url, method = "GET", headers = [], from = "127.0.0.1" }: Question): Asked | string {
  const parts = /^(?:(https?):\/\/)?([^/?#\s]+)([^#\s]*)/i.exec(url.trim());
  if (parts === null || url.length > 8192) return "expected a URL such as https://app.example.com/path";
  if (!/^[A-Za-z]{1,32}$/.test(method)) return "expected a method such as GET";
  if (isIP(from) === 0) return "expected the client as an address such as 192.0.2.7";
  const [, scheme = "http", authority = "", rest = ""] = parts;
  return {
    scheme: scheme.toLowerCase() === "https" ? "https" : "http",
    authority: authority.replace(/^.*@/, ""),
    target: rest.startsWith("/") ? rest : `/${rest}`,
    method: method.toUpperCase(),
    headers,
    from,
  };
}

function chooseEntryPoint({ settings, ports }: Known, asked: Asked, named = ""): string | undefined {
  const names = [...settings.entryPoints.keys()];
  if (named !== "") return names.find((name) => name === named);
  const written = /:(\d+)$/.exec(asked.authority)?.[1];
  const port = written === undefined ? (asked.scheme === "https" ? 443 : 80) : Number(written);
  const portOf = (name: string) =>
    ports.get(name) ?? parseAddress(settings.entryPoints.get(name)!.address)?.port;
  const atPort = names.find((name) => portOf(name) === port);
  if (atPort !== undefined) return atPort;
  // Published ports differ from ours more often than not: the most likely one is looked at.
  const users = names.filter((name) => name !== "traefik");
  const isSecure = (name: string) =>
    settings.entryPoints.get(name)!.http.tls !== undefined || /secure|https|tls|443/i.test(name);
  const likely = users.filter((name) => isSecure(name) === (asked.scheme === "https"));
  return likely[0] ?? users[0] ?? names[0];
}

function makeExchange({ settings }: Known, asked: Asked, entryPoint: string): Exchange | string {
  const { http } = settings.entryPoints.get(entryPoint)!;
  const target = parseTarget(asked.method, asked.target, asked.authority, {
    sanitizePath: http.sanitizePath,
    encodeQuerySemicolons: http.encodeQuerySemicolons,
    refusedEscapes: refusedEscapes(http.encodedCharacters),
  });
  if (target.fault !== undefined) {
    return `the entry point ${entryPoint} refuses such a request (${target.fault}: ${target.detail})`;
  }
  const isTls = asked.scheme === "https";
  const tls = {
    serverName: target.host,
    options: "default",
    version: "1.3",
    cipher: "",
    peerCertificates: () => [],
  };
  const connection = {
    entryPoint,
    peerIp: asked.from,
    peerPort: 0,
    localPort: 0,
    tls: isTls ? tls : undefined,
  };
  return new Exchange(
    NOBODY,
    connection,
    performance.now(),
    11,
    asked.method,
    asked.scheme,
    target.authority,
    target.host,
    target.path,
    target.query,
    [...asked.headers],
    NO_BODY,
    undefined,
    false,
  );
}

/** Matching sends nothing. */
const NOBODY: Client = {
  inform() {},
  send() {},
  takeOver() {
    throw new Error("nothing is sent while explaining");
  },
  abort() {},
};

// --- What matched.

function whyItWon(
  winner: RouterSpec,
  considered: readonly Consideration[],
  specs: readonly RouterSpec[],
): string {
  const tried = considered.filter((one) => !one.matched && !isOwnElsewhere(one)).length;
  const others = specs.length - considered.length;
  const before =
    tried === 0
      ? "it is tried first"
      : `${tried === 1 ? "the one" : `the ${tried}`} tried before it ${tried === 1 ? "does" : "do"} not match`;
  const after = others === 0 ? "" : `; ${others} of lower rank ${others === 1 ? "was" : "were"} not tried`;
  return `its rule matches, and with priority ${winner.priority} ${before}${after}`;
}

function middlewareOf({ report, registry }: Known, name: string): Explanation["middlewares"][number] {
  const found = report.middlewares.get(name);
  const options = found && redact(registry.get(found.type)?.options ?? {}, found.declared.options);
  return { name, type: found?.type ?? "", options: withoutEmpty(options ?? {}) };
}

/** Where a middleware sends the client before any server is asked, if it is to another scheme. */
function redirection(middlewares: Explanation["middlewares"], { scheme, authority, target }: Asked) {
  const found = middlewares.find(
    ({ type, options }) => type === "redirectScheme" && options["scheme"] !== scheme,
  );
  if (found === undefined) return undefined;
  const { scheme: other, port } = found.options;
  return `${other}://${authority.replace(/:\d+$/, "")}${port === undefined ? "" : `:${port}`}${target}`;
}

interface Walk {
  readonly servers: Explanation["servers"];
  readonly unavailable: readonly string[];
}

const NOTHING: Walk = { servers: [], unavailable: [] };

function walkServices(known: Known, name: string): Walk {
  const names = new Set<string>();
  gatherServices(known.report, name, names);
  const leaves = [...names].map((one) => known.report.services.get(one)).filter((one) => one !== undefined);
  const servers = known.servers.filter(({ service }) => names.has(service));
  return {
    servers: servers.map(({ service, server, healthy, ejected, inFlight }) => ({
      service,
      url: server.url,
      state: !healthy ? "unhealthy" : ejected ? "resting" : "up",
      inFlight,
      ...(server.workload && { workload: server.workload }),
    })),
    unavailable: leaves.flatMap(({ unavailable }) => unavailable.map(({ detail }) => detail)),
  };
}

function gatherServices(report: Report, name: string, names: Set<string>): void {
  if (names.has(name)) return;
  names.add(name);
  for (const child of childrenOf(report.services.get(name))) gatherServices(report, child, names);
}

/** Services that a composite one chooses among. */
export function childrenOf(service: ServiceReport | undefined): readonly string[] {
  const spec: ServiceSpec | undefined = service?.effective;
  switch (spec?.kind) {
    case "weighted":
    case "highestRandomWeight":
      return spec.options.services.map(({ name }) => name);
    case "mirroring":
      return [spec.options.service, ...spec.options.mirrors.map(({ name }) => name)];
    case "failover":
      return [spec.options.service, spec.options.fallback];
    default:
      return [];
  }
}

/** What is wrong with the router and its service, although they are in force. */
function doubtsAbout(report: Report, { name, service }: RouterSpec): readonly Problem[] {
  const router = [...report.routers.values()].find(({ effective }) =>
    effective.some((spec) => spec.name === name),
  );
  return [...(router?.problems ?? []), ...(report.services.get(service)?.problems ?? [])];
}

/** What is wrong with routers that left the table, and would have been tried first: they may have been meant to guard. */
function passedOver(report: Report, winner: RouterSpec, exchange: Exchange): readonly Problem[] {
  const isTls = exchange.connection.tls !== undefined;
  return [...report.routers.values()]
    .filter((router) => router.status === "disabled" && inTable(router).length === 0)
    .filter(({ effective: [spec] }) => spec !== undefined && compareRouters(spec, winner) < 0)
    .filter((router) => (router.effective[0]!.tls !== undefined) === isTls && wouldTake(router, exchange))
    .flatMap(({ problems: [worst] }) => (worst === undefined || worst.code === "owned-host" ? [] : [worst]));
}

function diagnoseRouted(
  { name, service }: RouterSpec,
  { servers, unavailable }: Walk,
  [doubt]: readonly Problem[],
): string {
  const isInternal = service.endsWith("@internal");
  if (isInternal || servers.some(({ state }) => state === "up")) {
    const hint = doubt === undefined ? "" : `, with a doubt: ${describeProblem(doubt)}`;
    return `routed by ${name} to ${service}${hint}`;
  }
  const reason =
    servers.length > 0 ? `all its servers are ${servers[0]!.state}` : (unavailable[0] ?? "it has no servers");
  return `routed by ${name} to ${service}, where nobody answers: ${reason}`;
}

type Shown = NonNullable<Explanation["certificate"]>;

/** In the order of the handshake: what is valid before what is not, the name itself before a wildcard. */
function certificateFor(known: Known, host: string, resolver = ""): Shown {
  const wildcard = `*.${host.slice(host.indexOf(".") + 1)}`;
  const nowMs = Date.now();
  const rank = ({ names, notBeforeMs, notAfterMs }: CertificateView) =>
    (notBeforeMs <= nowMs && nowMs < notAfterMs ? 2 : 0) + (names.includes(host) ? 1 : 0);
  const [best] = known.certificates
    .filter(({ names }) => names.includes(host) || names.includes(wildcard))
    .sort((a, b) => rank(b) - rank(a) || b.notAfterMs - a.notAfterMs);
  if (best === undefined) return noCertificate(known, host, resolver);
  const { names, issuerOrganization, issuerCommonName, notAfterMs } = best;
  const notAfter = new Date(notAfterMs).toISOString();
  return { names, issuer: issuerOrganization || issuerCommonName, notAfter, fits: true };
}

function noCertificate({ certificatesUnread, report }: Known, host: string, resolver: string): Shown {
  if (certificatesUnread !== undefined && resolver !== "") {
    const note = `the certificate for ${host} is got by the resolver ${resolver} once Waybill runs`;
    return { names: [host], issuer: `the resolver ${resolver}`, notAfter: "", fits: true, note };
  }
  const hasDefault = report.tlsStores
    .values()
    .some(({ declared }) => declared.defaultCertificate !== undefined);
  const instead = hasDefault
    ? "the one of the default store is shown"
    : "one of Waybill's own is shown, which browsers do not trust";
  const why =
    resolver !== ""
      ? `the resolver ${resolver} has no certificate for ${host} yet`
      : `no certificate for ${host} is known`;
  const one = certificatesUnread === 1;
  const more = certificatesUnread
    ? `; ${one ? "a certificate" : `${certificatesUnread} certificates`} of the files cannot be read here, and may be for it`
    : "";
  return {
    names: [],
    issuer: hasDefault ? "the default store" : "Waybill itself: browsers will not trust it",
    notAfter: "",
    fits: false,
    note: `${why}, so ${instead}${more}`,
  };
}

/** All when they are few. Of many, first those that failed by something else than their host. */
function mostTelling(all: readonly Consideration[]): Pick<Explanation, "considered" | "consideredMore"> {
  const isFar = ({ matched, reasons }: Consideration) =>
    !matched && /: the host is |it listens on /.test(reasons[0] ?? "");
  const chosen = new Set(
    [...all.filter((one) => !isFar(one)), ...all.filter(isFar)].slice(0, CONSIDERED_MAX),
  );
  const shown = all.filter((one) => chosen.has(one));
  return {
    considered: shown.map(({ priority, ...rest }) => ({ ...rest, priority: String(priority) })),
    consideredMore: all.length - shown.length,
  };
}

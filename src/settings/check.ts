import { nearest } from "../lib/nearest.ts";
import { readUsers } from "../lib/user-list.ts";
import { type EntryPointSettings, parseAddress } from "../model/entry-point.ts";
import { PRECEDENCE } from "../model/provider-settings.ts";
import type { AcmeOptions } from "../model/resolver-settings.ts";
import type { Settings } from "../model/settings.ts";
import { below, type Node, type Place } from "../schema/node.ts";
import { type Problem, quote } from "../schema/problem.ts";
import { OWN_ENTRY_POINT } from "./complete.ts";

type Api = NonNullable<Settings["api"]>;

interface Checking {
  readonly settings: Settings;
  /** Reports at the option of that path, which ends where the tree ends. */
  readonly wrong: (path: readonly string[], message: string, suggestion?: string) => void;
  readonly doubt: (path: readonly string[], message: string) => void;
}

/** What no single option can know: whether they fit together. */
export function checkSettings(settings: Settings, tree: Node, report: (problem: Problem) => void): void {
  const at =
    (severity: Problem["severity"], code: string) =>
    (path: readonly string[], message: string, suggestion?: string) =>
      report({ code, severity, place: placeOf(tree, path), message, ...(suggestion && { suggestion }) });
  const checking = { settings, wrong: at("error", "bad-value"), doubt: at("warning", "doubtful-value") };
  checkEntryPoints(checking);
  checkPages(checking);
  checkProviders(checking);
  checkResolvers(checking);
  checkTelemetry(checking);
  if (settings.threads > 64) checking.wrong(["threads"], "expected at most 64 threads");
}

function placeOf(tree: Node, path: readonly string[]): Place {
  let node: Node | undefined = tree;
  let place = tree.place;
  for (const name of path) {
    node = node?.get(name);
    place = node?.place ?? below(place, name);
  }
  return place;
}

function checkEntryPoints(checking: Checking): void {
  const { settings, wrong } = checking;
  const byAddress = new Map<string, string>();
  for (const [name, entryPoint] of settings.entryPoints) {
    const path = ["entryPoints", name];
    if (entryPoint.address === undefined) continue;
    checkAddress(checking, [...path, "address"], entryPoint.address);
    const other = byAddress.get(entryPoint.address);
    if (other !== undefined && !entryPoint.address.endsWith(":0")) {
      wrong([...path, "address"], `expected an address of its own, found that of ${quote(other)}`);
    }
    byAddress.set(entryPoint.address, name);
    checkTrust(checking, path, entryPoint);
    checkHttp(checking, path, entryPoint);
  }
}

function checkAddress({ wrong }: Checking, path: readonly string[], text: string): void {
  const address = parseAddress(text);
  if (address === undefined) {
    const port = /^\d{1,5}$/.test(text) ? `:${text}` : undefined;
    wrong(path, `expected [host]:port such as :443, found ${quote(text)}`, port);
  }
}

function checkTrust(
  { wrong }: Checking,
  path: readonly string[],
  { proxyProtocol }: EntryPointSettings,
): void {
  if (proxyProtocol && !proxyProtocol.insecure && proxyProtocol.trustedIPs.length === 0) {
    wrong(
      [...path, "proxyProtocol"],
      "expected trustedIPs: nobody's PROXY protocol header would be believed",
    );
  }
}

function checkHttp(checking: Checking, path: readonly string[], { http, http2 }: EntryPointSettings): void {
  const { settings, wrong } = checking;
  const to = http.redirections?.entryPoint?.to;
  if (to !== undefined && !/^:\d{1,5}$/.test(to)) {
    checkEntryPointName(checking, [...path, "http", "redirections", "entryPoint", "to"], to);
  }
  if (to === path[1]) wrong([...path, "http", "redirections"], "expected another entry point than itself");
  const resolver = http.tls?.certResolver ?? "";
  if (resolver !== "" && resolver !== "internal" && !settings.certificatesResolvers.has(resolver)) {
    const names = [...settings.certificatesResolvers.keys()];
    const message = `expected the name of a certificates resolver, found ${quote(resolver)}`;
    wrong([...path, "http", "tls", "certResolver"], message, nearest(resolver, names));
  }
  for (const name of http.middlewares) {
    if (!name.includes("@")) {
      const message = `expected a name with its provider, such as ${name}@file, found ${quote(name)}`;
      wrong([...path, "http", "middlewares"], message);
    }
  }
  if (http2.maxConcurrentStreams < 1)
    wrong([...path, "http2", "maxConcurrentStreams"], "expected at least 1");
}

function checkEntryPointName({ settings, wrong }: Checking, path: readonly string[], name: string): void {
  if (settings.entryPoints.has(name)) return;
  const names = [...settings.entryPoints.keys()];
  const message = `expected the name of an entry point (${names.join(", ")}), found ${quote(name)}`;
  wrong(path, message, nearest(name, names));
}

function checkPages(checking: Checking): void {
  const { api, ping, metrics } = checking.settings;
  if (ping && !ping.manualRouting) checkEntryPointName(checking, ["ping", "entryPoint"], ping.entryPoint);
  const prometheus = metrics?.prometheus;
  if (prometheus && !prometheus.manualRouting) {
    checkEntryPointName(checking, ["metrics", "prometheus", "entryPoint"], prometheus.entryPoint);
  }
  if (api) checkLogin(checking, api);
  if (api && !/^\/[a-zA-Z0-9/_.:~-]*$/.test(api.basePath)) {
    checking.wrong(["api", "basePath"], `expected a path such as /waybill, found ${quote(api.basePath)}`);
  }
}

function checkLogin({ settings, wrong, doubt }: Checking, { auth, insecure }: Api): void {
  const users = readUsers(auth?.users ?? []);
  if (typeof users === "string") return wrong(["api", "auth", "users"], `each entry ${users}`);
  const token = auth?.token ?? "";
  if (token !== "" && token.length < 16) {
    doubt(["api", "auth", "token"], "is short enough to be guessed; openssl rand -hex 16 makes a good one");
  }
  const address = settings.entryPoints.get(OWN_ENTRY_POINT)?.address ?? "";
  const isOpen = users.size === 0 && token === "";
  if (insecure && isOpen && !/^(?:127\.|localhost:|\[::1\])/.test(address)) {
    const what = "shows routes, containers and requests, without a login";
    doubt(["api", "insecure"], `${what}, to everyone who reaches ${address}; api.auth.token asks for one`);
  }
}

function checkProviders({ settings, wrong }: Checking): void {
  const { precedence, file, docker, swarm } = settings.providers;
  // Names of providers that we refuse may stand in a list that was copied whole.
  const known = /^(?:kubernetes\w*|knative|consul\w*|nomad|etcd|ecs|zookeeper)$/;
  const names = PRECEDENCE.split(",");
  for (const name of precedence) {
    if (names.includes(name) || known.test(name)) continue;
    const message = `expected names of providers (${names.join(", ")}), found ${quote(name)}`;
    wrong(["providers", "precedence"], message, nearest(name, names));
  }
  if (file && file.filename === "" && file.directory === "") {
    wrong(["providers", "file"], "expected filename or directory");
  }
  for (const [name, engine] of Object.entries({ docker, swarm })) {
    if (engine && !/^(?:unix|tcp|https?|ssh):\/\/./.test(engine.endpoint)) {
      const message = `expected an address such as unix:///var/run/docker.sock, found ${quote(engine.endpoint)}`;
      wrong(["providers", name, "endpoint"], message);
    }
  }
}

function checkResolvers(checking: Checking): void {
  for (const [name, { acme }] of checking.settings.certificatesResolvers) {
    const path = ["certificatesResolvers", name];
    if (acme === undefined) checking.doubt(path, "has no acme and gets no certificates");
    else checkAcme(checking, [...path, "acme"], acme);
  }
}

function checkAcme(checking: Checking, path: readonly string[], acme: AcmeOptions): void {
  const { wrong, doubt } = checking;
  const { httpChallenge, tlsChallenge, dnsChallenge } = acme;
  if (acme.storage === "") wrong([...path, "storage"], "expected a directory to keep certificates in");
  if (acme.certificatesDuration < 1) wrong([...path, "certificatesDuration"], "expected at least 1 hour");
  if (acme.clientTimeout < acme.clientResponseHeaderTimeout) {
    wrong([...path, "clientTimeout"], "expected at least clientResponseHeaderTimeout");
  }
  for (const server of [acme.caServer, ...acme.fallbackServers]) {
    if (!/^https?:\/\/./.test(server)) {
      wrong([...path, "caServer"], `expected an https:// address, found ${quote(server)}`);
    }
  }
  if (!httpChallenge && !tlsChallenge && !dnsChallenge) {
    doubt(path, "has no challenge: add httpChallenge, tlsChallenge or dnsChallenge");
  }
  if (httpChallenge) {
    checkEntryPointName(checking, [...path, "httpChallenge", "entryPoint"], httpChallenge.entryPoint);
  }
  if (dnsChallenge?.provider === "") wrong([...path, "dnsChallenge", "provider"], "expected a DNS provider");
}

function checkTelemetry({ settings, wrong }: Checking): void {
  const { log, accessLog, metrics, tracing } = settings;
  const telemetry = { log, accessLog, metrics, tracing };
  for (const [name, section] of Object.entries(telemetry)) {
    const grpc = section?.otlp?.grpc;
    if (grpc?.insecure && grpc.tls) {
      wrong([name, "otlp", "grpc"], "expected either insecure or tls, found both");
    }
  }
  if (tracing && (tracing.sampleRate < 0 || tracing.sampleRate > 1)) {
    wrong(["tracing", "sampleRate"], `expected a share from 0 to 1, found ${tracing.sampleRate}`);
  }
}

import { type EntryPointSettings, entryPointOptions, parseAddress } from "../model/entry-point.ts";
import { dockerOptions } from "../model/provider-settings.ts";
import type { AcmeOptions } from "../model/resolver-settings.ts";
import type { Settings } from "../model/settings.ts";
import { leaf, Node } from "../schema/node.ts";
import type { Options, Values } from "../schema/option.ts";
import { readOptions } from "../schema/read-options.ts";
import { complain, type Reader } from "../schema/reader.ts";

/** The name of the entry point that is ours: API, ping and metrics are on it unless they are told otherwise. */
export const OWN_ENTRY_POINT = "traefik";

/** What goes without saying: entry points and provider when none is named, and old names of options. */
export function completeSettings(settings: Settings, tree: Node, reader: Reader): Settings {
  const tracing = settings.tracing;
  return {
    ...settings,
    entryPoints: completeEntryPoints(settings, tree.get("entryPoints"), reader),
    providers: completeProviders(settings.providers, tree.get("providers"), reader),
    certificatesResolvers: new Map(
      [...settings.certificatesResolvers].map(([name, { acme, tailscale }]) => [
        name,
        { acme: acme && completeAcme(acme), tailscale },
      ]),
    ),
    tracing: tracing && {
      ...tracing,
      resourceAttributes: new Map([...tracing.globalAttributes, ...tracing.resourceAttributes]),
    },
  };
}

function completeEntryPoints(
  settings: Settings,
  written: Node | undefined,
  reader: Reader,
): Settings["entryPoints"] {
  const entryPoints = new Map(settings.entryPoints);
  const users = [...entryPoints.keys()].filter((name) => name !== OWN_ENTRY_POINT);
  if (users.length === 0) entryPoints.set("http", entryPointAt(":80", reader));
  leaveOutUdp(entryPoints, written, reader);
  if (!entryPoints.has(OWN_ENTRY_POINT) && needsOwnEntryPoint(settings)) {
    entryPoints.set(OWN_ENTRY_POINT, entryPointAt(":8080", reader));
  }
  if (!settings.global.notAppendXForwardedFor) return entryPoints;
  return new Map([...entryPoints].map(([name, entryPoint]) => [name, withoutAppending(entryPoint)]));
}

/** Nothing that HTTP carries comes in there: whoever needs the others must not lose them with it. */
function leaveOutUdp(
  entryPoints: Map<string, EntryPointSettings>,
  written: Node | undefined,
  reader: Reader,
): void {
  for (const [name, { address }] of entryPoints) {
    if (address === undefined || parseAddress(address)?.protocol !== "udp") continue;
    entryPoints.delete(name);
    const place = written?.get(name)?.get("address")?.place ?? { source: "default", key: name };
    const message = `the entry point ${name} is left out: UDP is not served, HTTP comes over TCP`;
    complain(reader, place, "udp-entry-point", message, undefined, "warning");
  }
}

function withoutAppending(entryPoint: EntryPointSettings): EntryPointSettings {
  return {
    ...entryPoint,
    forwardedHeaders: { ...entryPoint.forwardedHeaders, notAppendXForwardedFor: true },
  };
}

function needsOwnEntryPoint({ api, ping, metrics }: Settings): boolean {
  const pages = [ping, metrics?.prometheus];
  return (
    api?.insecure === true ||
    pages.some((page) => page !== undefined && page.entryPoint === OWN_ENTRY_POINT && !page.manualRouting)
  );
}

function entryPointAt(address: string, reader: Reader): EntryPointSettings {
  const place = { source: "default", key: "entryPoints" } as const;
  const node = new Node("", place);
  node.children = new Map([["address", leaf("address", place, address)]]);
  return readOptions(entryPointOptions, node, reader);
}

function completeProviders(
  providers: Settings["providers"],
  written: Node | undefined,
  reader: Reader,
): Settings["providers"] {
  const { docker, swarm, file, http, redis } = providers;
  const isNone = [docker, swarm, file, http, redis].every((provider) => provider === undefined);
  // Whoever switches it off has no provider on purpose.
  const isDocker = isNone && written?.get("docker") === undefined;
  return {
    ...providers,
    precedence: providers.precedence.map((name) => name.toLowerCase()),
    docker: isDocker ? defaultsOf(dockerOptions, reader) : docker,
    swarm: swarm && { ...swarm, refreshSeconds: swarm.refreshSeconds > 0 ? swarm.refreshSeconds : 15_000 },
  };
}

function defaultsOf<O extends Options>(options: O, reader: Reader): Values<O> {
  return readOptions(options, new Node("", { source: "default", key: "" }), reader);
}

const OLD_SERVERS = new Map([
  ["https://acme-v01.api.letsencrypt.org/directory", "https://acme-v02.api.letsencrypt.org/directory"],
  [
    "https://acme-staging.api.letsencrypt.org/directory",
    "https://acme-staging-v02.api.letsencrypt.org/directory",
  ],
]);

function completeAcme(acme: AcmeOptions): AcmeOptions {
  const dns = acme.dnsChallenge;
  return {
    ...acme,
    caServer: OLD_SERVERS.get(acme.caServer) ?? acme.caServer,
    dnsChallenge: dns && {
      ...dns,
      propagation: {
        ...dns.propagation,
        delayBeforeChecks: dns.delayBeforeCheck ?? dns.propagation.delayBeforeChecks,
        disableChecks: dns.disablePropagationCheck ?? dns.propagation.disableChecks,
      },
    },
  };
}

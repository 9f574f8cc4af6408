import { declare } from "../../src/labels/declare.ts";
import type { LabelOptions } from "../../src/labels/options.ts";
import type { Declaration } from "../../src/model/declared.ts";
import { type Middleware, middleware } from "../../src/model/middleware.ts";
import { dockerOptions } from "../../src/model/provider-settings.ts";
import type { Self, Workload } from "../../src/model/workload.ts";
import { list, mapOf } from "../../src/schema/composites.ts";
import { bool, text } from "../../src/schema/kinds.ts";
import { describeProblem, type Problem } from "../../src/schema/problem.ts";
import { written } from "../gateway/plane.ts";

const hooks = () => ({});

/** Enough kinds of middleware to read labels by. */
export const REGISTRY: ReadonlyMap<string, Middleware> = new Map(
  [
    middleware({
      name: "headers",
      summary: "Changes headers.",
      options: {
        customRequestHeaders: mapOf(text)({ doc: "Set on requests." }),
        frameDeny: bool({ doc: "No frames.", default: "false" }),
      },
      create: hooks,
    }),
    middleware({
      name: "compress",
      summary: "Compresses.",
      options: { encodings: list(text)({ doc: "Encodings." }) },
      enabler: true,
      create: hooks,
    }),
    middleware({
      name: "redirectScheme",
      summary: "Redirects.",
      options: {
        scheme: text({ doc: "Scheme.", required: true }),
        permanent: bool({ doc: "For ever.", default: "false" }),
      },
      aliases: ["redirectsheme"],
      check({ scheme }, problem) {
        if (scheme === "ftp") problem("scheme", "must not be ftp");
      },
      create: hooks,
    }),
    middleware({
      name: "basicAuth",
      summary: "Asks for a password.",
      options: { users: list(text)({ doc: "Users.", secret: true }) },
      create: hooks,
    }),
  ].map((one) => [one.name, one as unknown as Middleware]),
);

export const OPTIONS: LabelOptions = {
  ...written(dockerOptions, {}),
  provider: "docker",
  settingsPlace: (option) => ({ source: "flag", key: `providers.docker.${option}` }),
  shortForm: { plain: ["web"], secure: undefined },
  template: { environment: new Map(), nowMs: () => 0 },
  secret: (reference) => `secret of ${reference}`,
};

let made = 0;

/** A running container on one network with port 80, except where told otherwise. Later ones are younger. */
export function container(
  name: string,
  labels: Readonly<Record<string, string>> = {},
  rest: Partial<Workload> = {},
): Workload {
  made++;
  return {
    id: `${name}-id`,
    name,
    image: "demo",
    createdAtMs: made * 1000,
    state: "running",
    health: "none",
    stopping: false,
    labels: new Map(Object.entries(labels)),
    networkMode: "default",
    networks: [network("net", "10.0.0.2")],
    ports: [{ privatePort: 80, protocol: "tcp" }],
    ...rest,
  };
}

export const network = (name: string, ipv4: string, ipv6 = "") => ({ name, id: `${name}-id`, ipv4, ipv6 });

/** Waybill in a container on these networks. */
export const selfOn = (...names: string[]): Self => ({
  workloadId: "waybill-id",
  networkIds: new Set(names.map((name) => `${name}-id`)),
  networkNames: new Set(names),
  hostAddress: "172.17.0.1",
});

export function read(
  workloads: readonly Workload[],
  options: Partial<LabelOptions> = {},
  self?: Self,
  registry = REGISTRY,
): Declaration {
  return declare(workloads, self, { ...OPTIONS, ...options, ...reread(options) }, registry);
}

/** The provider's own options come as somebody wrote them: what is not read has no effect here either. */
function reread(options: Partial<LabelOptions>): Partial<LabelOptions> {
  const own = Object.entries(options).filter(([name]) => name in dockerOptions);
  return written(dockerOptions, Object.fromEntries(own.map(([name, value]) => [name, String(value)])));
}

export const lines = (problems: readonly Problem[]) => problems.map(describeProblem);

/** The addresses of a service's servers. */
export function urls(declaration: Declaration, service: string): string[] {
  return (declaration.services.get(service)?.value.loadBalancer?.servers ?? []).map(({ url }) => url);
}

/** Names of the faults for which a service lacks servers. */
export function faults(declaration: Declaration, service: string): string[] {
  return (declaration.services.get(service)?.value.loadBalancer?.unavailable ?? []).map(({ fault }) => fault);
}

import { Labels } from "../labels/declare.ts";
import type { LabelOptions, ShortForm } from "../labels/options.ts";
import { tickMs } from "../lib/tick.ts";
import type { Declaration } from "../model/declared.ts";
import { parseAddress } from "../model/entry-point.ts";
import type { Logger } from "../model/host.ts";
import type { Middleware } from "../model/middleware.ts";
import type { Settings } from "../model/settings.ts";
import { endpointName } from "../providers/docker/endpoint.ts";
import { DockerWatch } from "../providers/docker/watch.ts";
import type { Place } from "../schema/node.ts";
import { describePlace } from "../schema/problem.ts";

export interface ProviderHost {
  readonly settings: Settings;
  readonly registry: ReadonlyMap<string, Middleware>;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
  /** Where an option of the settings was written. */
  readonly placeOf: (option: string) => Place;
  /** Resolves what labels and dynamic files may name as secrets. */
  readonly secret: (reference: string) => string;
  readonly publish: (declaration: Declaration) => void;
}

export interface RunningProvider {
  /** Reads everything again: SIGHUP. */
  reload(): void;
  close(): Promise<void>;
}

export function startDocker(host: ProviderHost): RunningProvider | undefined {
  const { settings, registry, log, env } = host;
  const { docker } = settings.providers;
  if (docker === undefined) return undefined;
  const settingsPlace = (option: string) => host.placeOf(`providers.docker.${option}`);
  const options: LabelOptions = {
    ...docker,
    provider: "docker",
    settingsPlace,
    shortForm: shortFormIn(settings),
    template: { environment: new Map(), nowMs: Date.now },
    secret: host.secret,
  };
  const labels = new Labels(options, registry);
  const place: Place = env["DOCKER_HOST"]
    ? { source: "environment", key: "DOCKER_HOST" }
    : settingsPlace("endpoint");
  const watch = new DockerWatch(docker, { log, env, tickMs, place }, (state) => {
    const declaration = labels.declare(state.workloads, state.self);
    host.publish({ ...declaration, problems: [...state.problems, ...declaration.problems] });
  });
  const by = place.source === "default" ? {} : { by: describePlace(place) };
  log.info({ provider: "docker", endpoint: endpointName(docker, env), ...by }, "watching");
  return { reload() {}, close: () => watch.close() };
}

/** HTTPS with a redirect where a resolver gets certificates and an entry point can serve them; else plain HTTP. */
export function shortFormIn({ entryPoints, certificatesResolvers }: Settings): ShortForm {
  const isSecure = ([, { address, http }]: [
    string,
    Settings["entryPoints"] extends ReadonlyMap<string, infer E> ? E : never,
  ]) => http.tls !== undefined || parseAddress(address)?.port === 443;
  const all = [...entryPoints].filter(([name]) => name !== "traefik");
  const secure = all.filter(isSecure);
  const plain = all.filter((one) => !isSecure(one)).map(([name]) => name);
  const [first] = certificatesResolvers.keys();
  const certResolver = secure.map(([, { http }]) => http.tls?.certResolver).find((name) => name) ?? first;
  if (secure.length === 0 || certResolver === undefined) return { plain, secure: undefined };
  return { plain, secure: { entryPoints: secure.map(([name]) => name), certResolver } };
}

import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { parse } from "yaml";
import type { DemoSpec } from "../../src/demo/engine.ts";
import { parseAddress } from "../../src/model/entry-point.ts";
import { describeProblem } from "../../src/schema/problem.ts";
import { loadSettings } from "../../src/settings/load.ts";

/** What a compose file of Traefik's is expected to do here; written in the file itself, below `x-expect`. */
export interface Expectations {
  /** Warnings of the start, in this order: no other one, and no error at all. */
  readonly warnings?: readonly string[];
  /** Problems with labels, in any order: no other one. */
  readonly problems?: readonly string[];
  readonly asks: readonly Ask[];
}

export interface Ask {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** `name:password` */
  readonly user?: string;
  /** The service that must answer, with 200. */
  readonly from?: string;
  /** A line that it must be sent. */
  readonly sends?: string;
  /** The target that it must be sent. */
  readonly target?: string;
  readonly status?: number;
  /** Nobody gets in, with whatever status. */
  readonly refused?: true;
  readonly location?: string;
  /** Headers of the reply. */
  readonly header?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Setup extends Disposable {
  readonly expected: Expectations;
  readonly flags: readonly string[];
  readonly variables: ReadonlyMap<string, string>;
  readonly cwd: string;
  readonly containers: readonly DemoSpec[];
  /** The short id of the proxy's own container. */
  readonly hostname: string;
}

interface Compose {
  readonly name?: string;
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly networks?: Readonly<Record<string, { name?: string; external?: boolean } | null>>;
  readonly "x-files"?: Readonly<Record<string, string>>;
  readonly "x-expect": Expectations;
}

interface ComposeService {
  readonly image: string;
  readonly container_name?: string;
  readonly command?: string | readonly string[];
  readonly environment?: Pairs;
  readonly labels?: Pairs;
  readonly networks?: readonly string[];
  readonly expose?: readonly string[];
}

/** `key: value`, or `- key=value`. */
type Pairs = Readonly<Record<string, unknown>> | readonly string[];

/** Reads a compose file as `docker compose up` would, with the files it mounts in a folder of its own. */
export function readSetup(file: string): Setup {
  const cwd = mkdtempSync(join(tmpdir(), "waybill-migration-"));
  const compose = parse(readFileSync(file, "utf8")) as Compose;
  const { services, "x-files": files = {}, "x-expect": expected } = compose;
  const moved = writeFiles(cwd, files);
  const [proxyName, proxy] = Object.entries(services).find(([, { image }]) => /\btraefik:/.test(image))!;
  const { command = [] } = proxy;
  const words = (typeof command === "string" ? command.split(" ") : command).map(undoubled).map(moved);
  const variables = [...pairsOf(proxy.environment)].map(([name, value]) => [name, moved(value)] as const);
  return {
    expected,
    flags: words.filter((word) => word.startsWith("-")),
    variables: new Map(variables),
    cwd,
    containers: Object.keys(services).map((name, i) => specOf(compose, basename(file, ".yml"), name, i)),
    hostname: idOf(proxyName).slice(0, 12),
    [Symbol.dispose]: () => rmSync(cwd, { recursive: true, force: true }),
  };
}

/** Gives what moves paths inside the container to where its files are here, wherever they are written. */
function writeFiles(cwd: string, files: Readonly<Record<string, string>>): (text: string) => string {
  const paths = Object.keys(files).flatMap((path) => [path, dirname(path)]);
  const isOurs = (path: string) => path !== "/" && paths.includes(path);
  const moved = (text: string) =>
    text.replace(/(?<=^|[=\s"'])\/[\w./-]+/g, (path) => (isOurs(path) ? join(cwd, path) : path));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(cwd, path)), { recursive: true });
    writeFileSync(join(cwd, path), moved(text));
  }
  return moved;
}

const undoubled = (text: string) => text.replaceAll("$$", "$");
const idOf = (service: string) => createHash("sha256").update(service).digest("hex");

function pairsOf(pairs: Pairs = {}): Map<string, string> {
  const entries = Array.isArray(pairs)
    ? pairs.map((line: string): [string, string] => [line.split("=", 1)[0]!, line.replace(/^[^=]*=?/, "")])
    : Object.entries(pairs);
  return new Map(entries.map(([key, value]) => [key, undoubled(String(value))]));
}

function specOf(compose: Compose, project: string, name: string, age: number): DemoSpec {
  const { image, container_name, labels, networks = ["default"], expose } = compose.services[name]!;
  const ours = compose.name ?? project;
  const networkName = (network: string) => {
    const declared = compose.networks?.[network];
    return declared?.name ?? (declared?.external ? network : `${ours}_${network}`);
  };
  const composed = { "com.docker.compose.project": ours, "com.docker.compose.service": name };
  return {
    name: container_name ?? `${ours}-${name}-1`,
    id: idOf(name),
    image,
    labels: { ...composed, ...Object.fromEntries(pairsOf(labels)) },
    networks: Object.fromEntries(networks.map((network) => [networkName(network), "own"])),
    ...(expose && { ports: expose.map(Number) }),
    created: 1_700_000_000 + age,
  };
}

/** Loads the settings as they are written, and says under which flags they can run beside other tests. */
export function movedAside({ flags, variables, cwd }: Setup) {
  const readFile = (path: string) => readFileSync(path, "utf8");
  const { settings, problems, words } = loadSettings({ argv: flags, env: variables, cwd, readFile });
  const ports = new Map<number, string>();
  for (const [name, { address }] of settings.entryPoints) {
    const { port } = parseAddress(address) ?? {};
    if (port !== undefined && !ports.has(port)) ports.set(port, name);
  }
  const aside = [
    ...(settings.accessLog === undefined ? [] : [`--accessLog.filePath=${join(cwd, "access.log")}`]),
    ...[...settings.entryPoints.keys()].map((name) => `--entryPoints.${name}.address=127.0.0.1:0`),
    ...[...settings.certificatesResolvers.keys()].flatMap((name) => [
      `--certificatesResolvers.${name}.acme.caServer=https://127.0.0.1:9/directory`,
      `--certificatesResolvers.${name}.acme.storage=${join(cwd, "certificates")}`,
      `--certificatesResolvers.${name}.acme.preflight=false`,
    ]),
  ];
  return {
    said: problems.map((problem) => [problem.severity, describeProblem(problem)]),
    words,
    ports,
    aside,
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** Asks at the port that stands for the one in the URL. */
export function ask({ url, method = "GET", headers = {}, user }: Ask, port: number): Promise<Answer> {
  const { protocol, hostname, host } = new URL(url);
  const target = url.slice(url.indexOf(host) + host.length) || "/";
  const login = user === undefined ? {} : { authorization: `Basic ${Buffer.from(user).toString("base64")}` };
  const isSecure = protocol === "https:";
  const options = {
    host: "127.0.0.1",
    port,
    path: target,
    method,
    agent: false as const,
    headers: { host, ...login, ...headers },
    ...(isSecure && { servername: hostname, rejectUnauthorized: false }),
  };
  return new Promise((resolve, reject) => {
    const call = (isSecure ? tlsRequest : plainRequest)(options, (incoming) => {
      let body = "";
      incoming.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      incoming.on("end", () => resolve({ status: incoming.statusCode!, headers: incoming.headers, body }));
    });
    call.on("error", reject).end();
  });
}

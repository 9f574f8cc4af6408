import { dirname, resolve } from "node:path";
import { aggregate } from "../control/aggregate.ts";
import { CertificateViews } from "../control/certificate-views.ts";
import { CertificateFiles } from "../control/certificates.ts";
import { shortFormIn } from "../control/docker.ts";
import { declareInternals } from "../control/internal.ts";
import { Labels } from "../labels/declare.ts";
import type { CertificateView } from "../model/certificate-view.ts";
import type { Declaration } from "../model/declared.ts";
import type { Middleware } from "../model/middleware.ts";
import type { Report } from "../model/report.ts";
import type { Settings } from "../model/settings.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { Workload } from "../model/workload.ts";
import { type FoundFile, scanFiles } from "../providers/file/files.ts";
import { FileStore } from "../providers/file/store.ts";
import { checkRule } from "../routing/rule.ts";
import { parseFile } from "../schema/file-tree.ts";
import type { Node, Place } from "../schema/node.ts";
import type { Problem } from "../schema/problem.ts";
import { readSecret } from "../schema/secrets.ts";
import { loadSettings } from "../settings/load.ts";
import { assumedFlags } from "./assume.ts";
import { type ComposeService, readCompose, selfIn } from "./compose.ts";
import { ComposeFiles } from "./compose-files.ts";
import { Locator } from "./locate.ts";

export interface WorldHost {
  readonly cwd: string;
  readonly env: ReadonlyMap<string, string>;
  /** Throws as `fs.readFileSync` does. */
  readonly readFile: (path: string) => string;
  readonly registry: ReadonlyMap<string, Middleware>;
  /** The compose files are one project, wherever they lie. */
  readonly oneProject?: boolean;
  /** How a container does once it runs, which no file says: for tests. */
  readonly running?: (workload: Workload) => Workload;
}

/** What the files come to: the same report that a running Waybill makes. */
export interface World {
  readonly settings: Settings;
  readonly snapshot: Snapshot;
  readonly report: Report;
  /** Those of `tls.certificates` and of the default store that can be read here. */
  readonly certificates: readonly CertificateView[];
  /** How many of them cannot: what is mounted where Waybill runs is seldom all on the machine that checks. */
  readonly certificatesUnread: number;
  /** Every problem, at file, line and column wherever it was written in one of the files. */
  readonly problems: readonly Problem[];
  /** Files that could not be read at all. */
  readonly unreadable: number;
  /** Ports of the proxy that are published; undefined when the files do not say. */
  readonly published: ReadonlySet<number> | undefined;
  /** The files did not say with which settings Waybill runs. */
  readonly settingsAssumed: boolean;
  readonly locate: (place: Place) => Place;
}

type Kind = "compose" | "settings" | "dynamic";

/** Reads the files as a Waybill would that runs with them. Nothing is started and nobody is asked. */
export function readWorld(files: readonly string[], host: WorldHost): World {
  const gathered = new Gatherer(host);
  for (const file of files) gathered.take(file);
  return gathered.settle();
}

class Gatherer {
  readonly #host: WorldHost;
  readonly #compose: ComposeFiles;
  readonly #problems: Problem[] = [];
  readonly #services: ComposeService[] = [];
  readonly #dynamic: FoundFile[] = [];
  #settingsFile: string | undefined;
  #unreadable = 0;

  constructor(host: WorldHost) {
    this.#host = host;
    const { oneProject = false } = host;
    this.#compose = new ComposeFiles({ ...host, report: this.#report, oneProject });
  }

  readonly #report = (problem: Problem): void => void this.#problems.push(problem);

  take(file: string): void {
    let text: string;
    try {
      text = this.#host.readFile(resolve(this.#host.cwd, file));
    } catch (error) {
      return this.#cannotRead(file, (error as NodeJS.ErrnoException).code ?? String(error));
    }
    // A template is one of dynamic configuration; it need not be YAML before it has been rendered.
    if (text.includes("{{") && !/^services:/m.test(text)) {
      this.#dynamic.push({ path: file, text, fault: "" });
      return;
    }
    const before = this.#problems.length;
    const tree = parseFile(file, text, this.#report, { exactNames: /^services:/m.test(text) });
    if (tree === undefined) {
      if (this.#problems.length > before) this.#unreadable++;
      return;
    }
    const kind = kindOf(tree);
    if (kind === "compose") this.#compose.take(file, tree);
    else if (kind === "settings") this.#settingsFile = file;
    else this.#dynamic.push({ path: file, text, fault: "" });
  }

  #cannotRead(file: string, reason: string): void {
    this.#unreadable++;
    const message = reason === "ENOENT" ? "does not exist" : `cannot be read (${reason})`;
    this.#report({
      code: "unreadable-file",
      severity: "error",
      place: { source: "file", key: "", file },
      message,
    });
  }

  settle(): World {
    for (const project of this.#compose.projects())
      this.#services.push(
        ...readCompose(project, this.#services.length, { ...this.#host, report: this.#report }),
      );
    const proxy = this.#services.find(({ isProxy }) => isProxy);
    const settingsAssumed = proxy === undefined && this.#settingsFile === undefined;
    const locator = new Locator(this.#services, proxy);
    const readInside = (path: string) =>
      this.#host.readFile(locator.outside(path) ?? resolve(this.#host.cwd, path));
    const loaded = loadSettings({
      argv: this.#argvOf(proxy, settingsAssumed),
      env: new Map(proxy?.environment.map(({ key, value }) => [key, value])),
      cwd: proxy === undefined ? this.#host.cwd : "/",
      readFile: (path) => this.#readSetting(path, proxy, locator),
    });
    const { settings } = loaded;
    const files = this.#files(settings, locator);
    const secret = (reference: string) => this.#secret(reference, readInside);
    const declarations = [
      declareInternals(settings, this.#host.registry, {
        adminSocket: "main-thread",
        challengeEntryPoints: [],
        challengeTokens: [],
      }),
      ...this.#docker(settings, proxy, loaded.sources, secret),
      ...(files.length > 0 ? [this.#fileStore(secret).apply({ files })] : []),
    ];
    const read = new CertificateFiles(readInside, Date.now).read(declarations);
    const isElsewhere = ({ code }: Problem) => code === "unreadable-file";
    let slots = 0;
    const { snapshot, report } = aggregate({
      settings,
      declarations,
      registry: this.#host.registry,
      certificates: read.certificates,
      defaultCertificate: read.defaultCertificate ?? "",
      problems: read.problems.filter((problem) => !isElsewhere(problem)),
      challenges: new Map(),
      ticketSecret: undefined,
      checkRule,
      readFile: (path) => readOrStandIn(path, readInside),
      slotOf: () => slots++,
      sharedFor: (_name, bytes) => new SharedArrayBuffer(bytes),
      version: 1,
      nowMs: Date.now(),
    });
    const isKnown = providersKnown(declarations, files.length > 0 || !settingsAssumed);
    const locate = (place: Place) => locator.locate(place);
    const all = [...this.#problems, ...loaded.problems, ...report.problems].filter(isKnown);
    return {
      settings,
      snapshot,
      report,
      certificates: new CertificateViews().of(read.certificates, () => "file"),
      certificatesUnread: read.problems.filter(isElsewhere).length,
      problems: all.map((problem) => ({ ...problem, place: locate(problem.place) })),
      unreadable: this.#unreadable,
      published: proxy?.published,
      settingsAssumed,
      locate,
    };
  }

  #argvOf(proxy: ComposeService | undefined, assumed: boolean): string[] {
    if (assumed) return assumedFlags(this.#services, this.#dynamic);
    const words = proxy?.command.map(({ key }) => key) ?? [];
    const flags = words.slice(
      Math.max(
        0,
        words.findIndex((word) => word.startsWith("-")),
      ),
    );
    const named = flags.some((flag) => /^--?configfile/i.test(flag));
    if (this.#settingsFile === undefined || named)
      return flags.filter((flag) => flag.startsWith("-") || words.length > 1);
    return [...flags, `--configFile=${this.#settingsFile}`];
  }

  /** Settings as the proxy would see them: through its mounts, and only then as they lie here. */
  #readSetting(path: string, proxy: ComposeService | undefined, locator: Locator): string {
    const outside = locator.outside(path);
    if (outside !== undefined) return this.#host.readFile(outside);
    if (path === this.#settingsFile) return this.#host.readFile(resolve(this.#host.cwd, path));
    if (proxy !== undefined)
      throw Object.assign(new Error(`nothing is mounted at ${path}`), { code: "ENOENT" });
    throw Object.assign(new Error(`${path} was not named`), { code: "ENOENT" });
  }

  /** Files of routes: those named on the command line, and those that the settings lead to. */
  #files({ providers: { file } }: Settings, locator: Locator): FoundFile[] {
    if (file === undefined) return this.#dynamic;
    const here = (path: string) =>
      path === "" ? "" : (locator.outside(path) ?? resolve(dirname(this.#settingsFile ?? "."), path));
    const scan = scanFiles({ directory: here(file.directory), filename: here(file.filename) });
    const found = "files" in scan ? scan.files.filter(({ text }) => text !== undefined) : [];
    const named = new Set(this.#dynamic.map(({ path }) => resolve(this.#host.cwd, path)));
    return [...this.#dynamic, ...found.filter(({ path }) => !named.has(resolve(path)))];
  }

  #fileStore(secret: (reference: string) => string): FileStore {
    const template = { environment: this.#host.env, nowMs: Date.now };
    return new FileStore({ registry: this.#host.registry, secret, template });
  }

  #docker(
    settings: Settings,
    proxy: ComposeService | undefined,
    sources: ReturnType<typeof loadSettings>["sources"],
    secret: (reference: string) => string,
  ): Declaration[] {
    const { docker } = settings.providers;
    if (docker === undefined || this.#services.length === 0) return [];
    const places = new Map(sources.map(({ option, source }) => [option.toLowerCase(), source]));
    const options = {
      ...docker,
      provider: "docker",
      settingsPlace: (option: string): Place =>
        places.get(`providers.docker.${option}`.toLowerCase()) ?? { source: "default", key: option },
      shortForm: shortFormIn(settings),
      template: { environment: new Map<string, string>(), nowMs: Date.now },
      secret,
    };
    const { running = (same: Workload) => same } = this.#host;
    const workloads = this.#services.map(({ workload }) => running(workload));
    return [new Labels(options, this.#host.registry).declare(workloads, proxy && selfIn(proxy))];
  }

  // What a secret really is matters to nobody here, and it is seldom on the machine that checks.
  #secret(reference: string, readFile: (path: string) => string): string {
    try {
      return readSecret(reference, { env: this.#host.env, readFile });
    } catch {
      return STAND_IN;
    }
  }
}

/** A user with a password that nobody knows: good wherever a secret may stand. */
const STAND_IN = "user:$2b$10$abcdefghijklmnopqrstuuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

const PEM = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";

function readOrStandIn(path: string, readFile: (path: string) => string): string {
  try {
    return readFile(path);
  } catch {
    return PEM;
  }
}

/** A compose file has services, a file of routes has http or tls, and anything else is settings. */
function kindOf(tree: Node): Kind {
  const names = new Set(tree.children?.keys());
  if (names.has("services")) return "compose";
  return ["http", "tls", "tcp", "udp"].some((name) => names.has(name)) ? "dynamic" : "settings";
}

/** Names of a provider whose files were not shown may well be there: nothing is said of them. */
function providersKnown(declarations: readonly Declaration[], filesShown: boolean) {
  const shown = new Set(declarations.map(({ provider }) => provider));
  if (filesShown) shown.add("file");
  return ({ code, message }: Problem): boolean => {
    if (!code.startsWith("unknown-")) return true;
    const [, provider] = /^there is no .* \S+@(\w+)$/.exec(message) ?? [];
    return provider === undefined || provider === "internal" || shown.has(provider);
  };
}

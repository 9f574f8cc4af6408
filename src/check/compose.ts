import { dirname, join, resolve } from "node:path";
import { nearest } from "../lib/nearest.ts";
import type { Self, Workload, WorkloadNetwork, WorkloadPort } from "../model/workload.ts";
import type { Node, Place } from "../schema/node.ts";
import { type Problem, quote } from "../schema/problem.ts";
import { complain } from "../schema/reader.ts";
import type { ComposeProject } from "./compose-files.ts";
import { interpolate, readEnvFile, standInFor } from "./interpolate.ts";

/** One service of a compose file, as the container that the engine would make of it. */
export interface ComposeService {
  readonly name: string;
  readonly workload: Workload;
  readonly place: Place;
  /** Labels as they were written, with their places. */
  readonly labels: readonly Written[];
  /** Words of the command, and variables, with their places. */
  readonly command: readonly Written[];
  readonly environment: readonly Written[];
  /** What the container sees where, by its path inside. */
  readonly mounts: ReadonlyMap<string, string>;
  /** Ports of the container that can be reached from outside; undefined when the file does not say. */
  readonly published: ReadonlySet<number> | undefined;
  /** It is Waybill or Traefik itself. */
  readonly isProxy: boolean;
}

export interface Written {
  readonly key: string;
  readonly value: string;
  readonly place: Place;
}

export interface ComposeHost {
  readonly report: (problem: Problem) => void;
  readonly cwd: string;
  /** Throws as `fs.readFileSync` does. */
  readonly readFile: (path: string) => string;
}

/** Of an image nothing is known but what labels say of it: the file cannot show what its makers exposed. */
function portsAssumed(labels: readonly Written[]): WorkloadPort[] {
  const told = labels.filter(({ key }) => /\.loadbalancer\.server\.port$/i.test(key));
  const ports = told.flatMap(({ value }) => portsIn(value.trim()));
  return ports.length > 0 ? ports : [{ privatePort: 80, protocol: "tcp" }];
}

/** The containers of a project. `first` numbers them, so that several projects together have no address twice. */
export function readCompose(project: ComposeProject, first: number, host: ComposeHost): ComposeService[] {
  const read = new ComposeReader(project, host);
  return [...project.services].map(([name, layers], i) => read.service(name, layers, first + i));
}

class ComposeReader {
  readonly #host: ComposeHost;
  readonly #project: ComposeProject;
  readonly #unset = new Set<string>();
  #quiet = false;

  constructor(project: ComposeProject, host: ComposeHost) {
    this.#project = project;
    this.#host = host;
  }

  service(key: string, layers: readonly Node[], number: number): ComposeService {
    const top = layers.at(-1)!;
    const all = (name: string) => partsOf(layers, name);
    const pick = (name: string) => all(name).at(-1);
    const labels = lastOfEach(all("labels").flatMap((node) => this.#labels(node)));
    const image = textOf(pick("image"), this.#expand);
    const command = this.#words(pick("command"));
    const published = all("ports").flatMap((node) => this.#published(node));
    const ports = [...all("expose").flatMap((node) => this.#exposed(node)), ...published];
    this.#refuseDeployLabels(all("deploy"));
    const containerName = textOf(pick("container_name"), this.#expand);
    const name = containerName === "" ? `${this.#project.name}-${key}-1` : containerName;
    const mode = textOf(pick("network_mode"), this.#expand);
    const isOurs = isProxy(image, key, command);
    return {
      name: key,
      place: top.place,
      labels,
      command,
      environment: isOurs ? this.#environment(all("env_file"), all("environment")) : [],
      mounts: this.#mounts(all("volumes"), all("configs"), all("secrets")),
      published:
        published.length > 0 && mode === ""
          ? new Set(published.map(({ privatePort }) => privatePort))
          : undefined,
      isProxy: isOurs,
      workload: {
        id: `${top.place.file} ${key}`,
        name,
        image,
        createdAtMs: number + 1,
        state: "running",
        health: "none",
        stopping: false,
        labels: new Map([
          ["com.docker.compose.project", this.#project.name],
          ["com.docker.compose.service", key],
          ...labels.map(({ key: label, value }) => [label, value] as const),
        ]),
        networkMode: this.#networkMode(mode, top.place),
        networks: mode === "" ? this.#networks(all("networks"), number) : [],
        ports: ports.length > 0 ? ports : portsAssumed(labels),
      },
    };
  }

  #networkMode(mode: string, { file }: Place): string {
    if (!mode.startsWith("service:")) return mode === "" ? "default" : mode;
    return `container:${file} ${mode.slice("service:".length)}`;
  }

  #networks(lists: readonly Node[], number: number): WorkloadNetwork[] {
    const places = new Map<string, Place>();
    for (const node of lists) {
      for (const item of node.items ?? []) places.set(this.#text(item), item.place);
      for (const child of node.children?.values() ?? []) places.set(child.name, child.place);
    }
    for (const [key, place] of places) this.#expectNetwork(key, place);
    const keys = places.size > 0 ? [...places.keys()] : ["default"];
    return keys.map((key, i) => {
      const name = this.#networkName(key);
      // Addresses of 10/8 that no two containers have: the third byte is the network's within the container.
      const ipv4 = `10.${(number >> 8) & 255}.${i & 255}.${(number & 255) + 1}`;
      return { name, id: name, ipv4, ipv6: "" };
    });
  }

  #expectNetwork(key: string, place: Place): void {
    const known = this.#project.trees.flatMap((tree) => [
      ...(tree.get("networks")?.children?.values() ?? []),
    ]);
    if (key === "default" || known.some(({ name }) => name === key)) return;
    const names = known.map(({ name }) => name);
    const suggestion = nearest(key, names);
    complain(this.#host, place, "unknown-network", `there is no network ${key} in networks`, suggestion);
  }

  /** What the top of the files says of a network, a config or a secret: the last that says anything. */
  #declared(section: string, key: string): Node | undefined {
    const all = this.#project.trees.map((tree) => tree.get(section)?.get(key));
    return all.findLast((node) => node?.children !== undefined);
  }

  #networkName(key: string): string {
    const declared = this.#declared("networks", key);
    const named = textOf(declared?.get("name"), this.#expand);
    if (named !== "") return named;
    const external = declared?.get("external");
    if (external === undefined || /^false$/i.test(String(external.value)))
      return `${this.#project.name}_${key}`;
    return textOf(external.get("name"), this.#expand) || key;
  }

  #exposed(node: Node | undefined): WorkloadPort[] {
    return (node?.items ?? []).flatMap((item) => portsIn(this.#text(item)));
  }

  #published(node: Node | undefined): WorkloadPort[] {
    return (node?.items ?? []).flatMap((item) => {
      const target = item.get("target");
      if (target === undefined) return portsIn(withoutHost(this.#text(item)));
      return portsIn(`${this.#text(target)}/${textOf(item.get("protocol"), this.#expand) || "tcp"}`);
    });
  }

  /** Paths inside the container to paths here: bind mounts, configs and secrets that are files. */
  #mounts(volumes: readonly Node[], configs: readonly Node[], secrets: readonly Node[]): Map<string, string> {
    const mounts = new Map<string, string>();
    for (const item of volumes.flatMap(({ items }) => items ?? [])) {
      const [source = "", target = ""] =
        item.children === undefined
          ? this.#text(item).split(":")
          : [textOf(item.get("source"), this.#expand), textOf(item.get("target"), this.#expand)];
      if (/^[./~]/.test(source)) mounts.set(target, this.#beside(item.place, source));
    }
    for (const [section, used, folder] of [
      ["configs", configs, "/"],
      ["secrets", secrets, "/run/secrets/"],
    ] as const) {
      for (const item of used.flatMap(({ items }) => items ?? [])) {
        const name =
          item.children === undefined ? this.#text(item) : textOf(item.get("source"), this.#expand);
        const file = this.#declared(section, name)?.get("file");
        const path = textOf(file, this.#expand);
        const target = textOf(item.get("target"), this.#expand) || name;
        if (path !== "")
          mounts.set(target.startsWith("/") ? target : folder + target, this.#beside(file!.place, path));
      }
    }
    return mounts;
  }

  /** A path of ours, for one that is written in some file of the project. */
  #beside({ file = "" }: Place, path: string): string {
    const plain = path.startsWith("~") ? `/nonexistent/${path.slice(1)}` : path;
    return plain.startsWith("/") ? plain : join(dirname(resolve(this.#host.cwd, file)), plain);
  }

  /** Those of `env_file` first, then those written here, which go before them. */
  #environment(files: readonly Node[], written: readonly Node[]): Written[] {
    const own = this.#quietly(() => written.flatMap((node) => this.#pairs(node)));
    // A variable without a value is handed on from where compose runs.
    const given = own.map((one) =>
      one.value === "" ? { ...one, value: this.#project.env.get(one.key) ?? "" } : one,
    );
    const read = files
      .flatMap((node) => node.items ?? [node])
      .flatMap((item) => this.#envFile(item.get("path") ?? item));
    return lastOfEach([...read, ...given]);
  }

  #envFile(item: Node): Written[] {
    const file = this.#beside(item.place, this.#text(item));
    try {
      const variables = readEnvFile(this.#host.readFile(file));
      return [...variables].map(([key, value]) => ({ key, value, place: item.place }));
    } catch {
      const message = `${this.#text(item)} cannot be read here, so settings in it are not looked at`;
      this.#warn("unread-variables", item.place, message);
      return [];
    }
  }

  /** Compose fills in the values of a map and not its names, which looks as if it would. */
  #labels(node: Node): Written[] {
    for (const { name, place } of node.children?.values() ?? []) {
      if (!/\$(?:\{|[A-Za-z_])/.test(name)) continue;
      const message =
        "variables in the names of a map are not filled in; write labels as a list: - name=value";
      this.#warn("variable-in-name", place, message);
    }
    return this.#pairs(node);
  }

  /** `key: value` and `- key=value` alike. */
  #pairs(node: Node | undefined): Written[] {
    if (node?.items !== undefined) {
      return node.items.map((item) => {
        const text = this.#text(item);
        const at = text.indexOf("=");
        return {
          key: at < 0 ? text : text.slice(0, at),
          value: at < 0 ? "" : text.slice(at + 1),
          place: item.place,
        };
      });
    }
    return [...(node?.children?.values() ?? [])].map((child) => ({
      key: this.#expand(child.name, child.place),
      value: this.#text(child),
      place: child.place,
    }));
  }

  #words(node: Node | undefined): Written[] {
    if (node === undefined) return [];
    const word = (text: string, place: Place) => ({ key: text, value: "", place });
    if (node.items !== undefined) return node.items.map((item) => word(this.#text(item), item.place));
    return splitWords(this.#text(node)).map((text) => word(text, node.place));
  }

  #refuseDeployLabels(deploys: readonly Node[]): void {
    const labels = deploys.flatMap((deploy) => this.#pairs(deploy.get("labels")));
    const ours = labels.find(({ key }) => /^(?:traefik|waybill)(?:\.|$)/i.test(key));
    if (ours === undefined) return;
    const message =
      "labels below deploy are those of a Swarm service and are on no container; move them to labels of the service itself";
    this.#warn("deploy-labels", ours.place, message);
  }

  /** Values of variables are secrets more often than not, and come from where the containers run. */
  #quietly<T>(read: () => T): T {
    this.#quiet = true;
    const result = read();
    this.#quiet = false;
    return result;
  }

  readonly #text = (node: Node): string => textOf(node, this.#expand);

  readonly #expand = (text: string, place: Place): string =>
    interpolate(text, this.#project.env, {
      unset: (variable, demand) => this.#sayUnset(variable, demand, text, place),
      malformed: () => {
        const message =
          "compose refuses a dollar that begins no variable; one that stands for itself is written $$";
        complain(this.#host, place, "bad-variable", message);
      },
    });

  #sayUnset(variable: string, demand: string | undefined, text: string, place: Place): void {
    if (this.#quiet || this.#unset.has(variable)) return;
    this.#unset.add(variable);
    const isHash = /\$(?:apr1|2[abxy]?|[156])\$/.test(text);
    const meaning = isHash
      ? "; the dollars of a hash are written $$"
      : demand === undefined || demand === ""
        ? ""
        : ` and the file demands it: ${quote(demand)}`;
    const message = `the variable ${variable} is not set here, so ${standInFor(variable)} stands for it${meaning}`;
    this.#warn("unset-variable", place, message);
  }

  #warn(code: string, place: Place, message: string, suggestion?: string): void {
    complain(this.#host, place, code, message, suggestion, "warning");
  }
}

/** What the layers say of one option, lowest first, down to the one that says nothing below it counts. */
function partsOf(layers: readonly Node[], option: string): Node[] {
  const nodes = layers.map((layer) => layer.get(option)).filter((node) => node !== undefined);
  const from = nodes.findLastIndex(({ tag }) => tag === "!override" || tag === "!reset");
  return from < 0 ? nodes : nodes.slice(nodes[from]!.tag === "!reset" ? from + 1 : from);
}

/** Of those with one name the last one counts. */
function lastOfEach(written: readonly Written[]): Written[] {
  return [...new Map(written.map((one) => [one.key, one])).values()];
}

function textOf(node: Node | undefined, expand: (text: string, place: Place) => string): string {
  const { value } = node ?? {};
  return value === undefined || value === null ? "" : expand(String(value), node!.place);
}

function isProxy(image: string, name: string, command: readonly Written[]): boolean {
  if (/^(?:.*\/)?(?:waybill|traefik)(?:[:@].*)?$/i.test(image)) return true;
  if (command.some(({ key }) => /^--(?:providers|entrypoints)\./i.test(key))) return true;
  return image === "" && /^(?:waybill|traefik)$/i.test(name);
}

/** `8080`, `8000-8002/udp`: at most as many as anyone would write. */
function portsIn(text: string): WorkloadPort[] {
  const [, first, last, protocol = "tcp"] =
    /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  if (first === undefined) return [];
  const end = Math.min(Number(last ?? first), Number(first) + 100);
  const ports: WorkloadPort[] = [];
  for (let port = Number(first); port <= end; port++) {
    ports.push({ privatePort: port, protocol: protocol as WorkloadPort["protocol"] });
  }
  return ports;
}

// `127.0.0.1:8080:80/tcp`: what comes last is the container's.
const withoutHost = (text: string) => text.slice(text.lastIndexOf(":") + 1);

/** As a shell would split a line, quotes included. */
function splitWords(text: string): string[] {
  const words = text.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, (_, double, single) => double ?? single));
}

/** Who the proxy is among the containers of the files. */
export function selfIn({ workload }: ComposeService): Self {
  const isHost = workload.networkMode === "host";
  return {
    workloadId: workload.id,
    networkIds: new Set(workload.networks.map(({ id }) => id)),
    networkNames: new Set([...workload.networks.map(({ name }) => name), ...(isHost ? ["host"] : [])]),
  };
}

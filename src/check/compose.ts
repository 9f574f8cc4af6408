import { basename, dirname, join, resolve } from "node:path";
import type { Self, Workload, WorkloadNetwork, WorkloadPort } from "../model/workload.ts";
import type { Node, Place } from "../schema/node.ts";
import type { Problem } from "../schema/problem.ts";
import { interpolate } from "./interpolate.ts";

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
  /** The file names ports of the container: then these are all that are known. */
  readonly showsPorts: boolean;
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
  readonly env: ReadonlyMap<string, string>;
  readonly cwd: string;
}

/** A port of images that the file says nothing of: the file cannot show what their makers exposed. */
const SOME_PORT: WorkloadPort = { privatePort: 80, protocol: "tcp" };

/** The containers of a compose file. `first` numbers them, so that several files together have no address twice. */
export function readCompose(tree: Node, file: string, first: number, host: ComposeHost): ComposeService[] {
  const read = new ComposeReader(tree, file, host);
  return [...(tree.get("services")?.children?.values() ?? [])].map((node, i) =>
    read.service(node, first + i),
  );
}

class ComposeReader {
  readonly #tree: Node;
  readonly #file: string;
  readonly #host: ComposeHost;
  readonly #project: string;
  readonly #unset = new Set<string>();
  #quiet = false;

  constructor(tree: Node, file: string, host: ComposeHost) {
    this.#tree = tree;
    this.#file = file;
    this.#host = host;
    const named = tree.get("name");
    const folder = basename(dirname(resolve(host.cwd, file)));
    this.#project = (
      named === undefined ? (host.env.get("COMPOSE_PROJECT_NAME") ?? folder) : this.#text(named)
    )
      .toLowerCase()
      .replace(/[^a-z0-9_-]/g, "");
  }

  service(node: Node, number: number): ComposeService {
    const base = this.#tree.get("services")?.get(this.#baseOf(node));
    const pick = (name: string) => node.get(name) ?? base?.get(name);
    const labels = [...this.#pairs(base?.get("labels")), ...this.#pairs(node.get("labels"))];
    const image = textOf(pick("image"), this.#expand);
    const command = this.#words(pick("command"));
    const ports = [...this.#exposed(pick("expose")), ...this.#published(pick("ports"))];
    this.#refuseDeployLabels(node);
    const containerName = textOf(pick("container_name"), this.#expand);
    const name = containerName === "" ? `${this.#project}-${node.name}-1` : containerName;
    const mode = textOf(pick("network_mode"), this.#expand);
    return {
      name: node.name,
      place: node.place,
      labels,
      command,
      environment: this.#quietly(() => this.#pairs(pick("environment"))),
      mounts: this.#mounts(pick("volumes"), pick("configs"), pick("secrets")),
      showsPorts: ports.length > 0,
      isProxy: isProxy(image, node.name, command),
      workload: {
        id: `${this.#file} ${node.name}`,
        name,
        image,
        createdAtMs: number + 1,
        state: "running",
        health: "none",
        stopping: false,
        labels: new Map([
          ["com.docker.compose.project", this.#project],
          ["com.docker.compose.service", node.name],
          ...labels.map(({ key, value }) => [key, value] as const),
        ]),
        networkMode: this.#networkMode(mode),
        networks: mode === "" ? this.#networks(pick("networks"), number) : [],
        ports: ports.length > 0 ? ports : [SOME_PORT],
      },
    };
  }

  #baseOf(node: Node): string {
    const { value, children } = node.get("extends") ?? {};
    const isElsewhere = children?.get("file") !== undefined;
    return isElsewhere ? "" : String(value ?? children?.get("service")?.value ?? "");
  }

  #networkMode(mode: string): string {
    if (!mode.startsWith("service:")) return mode === "" ? "default" : mode;
    const other = mode.slice("service:".length);
    return `container:${this.#file} ${other}`;
  }

  #networks(node: Node | undefined, number: number): WorkloadNetwork[] {
    const written = (node?.items ?? [...(node?.children?.values() ?? [])]).map((item) =>
      item.value === undefined || item.value === null || node?.children ? item.name : this.#text(item),
    );
    const keys = written.length > 0 ? written : ["default"];
    return keys.map((key, i) => {
      const name = this.#networkName(key);
      // Addresses of 10/8 that no two containers have: the third byte is the network's within the container.
      const ipv4 = `10.${(number >> 8) & 255}.${i & 255}.${(number & 255) + 1}`;
      return { name, id: name, ipv4, ipv6: "" };
    });
  }

  #networkName(key: string): string {
    const declared = this.#tree.get("networks")?.get(key);
    const named = textOf(declared?.get("name"), this.#expand);
    if (named !== "") return named;
    const external = declared?.get("external");
    if (external === undefined || /^false$/i.test(String(external.value))) return `${this.#project}_${key}`;
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
  #mounts(...lists: (Node | undefined)[]): Map<string, string> {
    const mounts = new Map<string, string>();
    const add = (source: string, target: string) => {
      if (/^[./~]/.test(source))
        mounts.set(target, join(dirname(resolve(this.#host.cwd, this.#file)), relative(source)));
    };
    const [volumes, configs, secrets] = lists;
    for (const item of volumes?.items ?? []) {
      const [source = "", target = ""] =
        item.children === undefined
          ? this.#text(item).split(":")
          : [textOf(item.get("source"), this.#expand), textOf(item.get("target"), this.#expand)];
      add(source, target);
    }
    for (const [section, used, folder] of [
      ["configs", configs, "/"],
      ["secrets", secrets, "/run/secrets/"],
    ] as const) {
      for (const item of used?.items ?? []) {
        const name =
          item.children === undefined ? this.#text(item) : textOf(item.get("source"), this.#expand);
        const path = textOf(this.#tree.get(section)?.get(name)?.get("file"), this.#expand);
        const target = textOf(item.get("target"), this.#expand) || name;
        if (path !== "")
          add(/^[./~]/.test(path) ? path : `./${path}`, target.startsWith("/") ? target : folder + target);
      }
    }
    return mounts;
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

  #refuseDeployLabels(node: Node): void {
    const labels = this.#pairs(node.get("deploy")?.get("labels"));
    const ours = labels.find(({ key }) => /^(?:traefik|waybill)(?:\.|$)/i.test(key));
    if (ours === undefined) return;
    this.#host.report({
      code: "deploy-labels",
      severity: "warning",
      place: ours.place,
      message:
        "labels below deploy are those of a Swarm service and are on no container; move them to labels of the service itself",
    });
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
    interpolate(text, this.#host.env, (variable) => {
      if (this.#quiet || this.#unset.has(variable)) return;
      this.#unset.add(variable);
      this.#host.report({
        code: "unset-variable",
        severity: "warning",
        place,
        message: `the variable ${variable} is not set here, so ${variable.toLowerCase()}.invalid stands for it`,
      });
    });
}

function textOf(node: Node | undefined, expand: (text: string, place: Place) => string): string {
  const { value } = node ?? {};
  return value === undefined || value === null ? "" : expand(String(value), node!.place);
}

const relative = (path: string) => (path.startsWith("~") ? `/nonexistent/${path.slice(1)}` : path);

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

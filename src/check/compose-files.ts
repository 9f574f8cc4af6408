import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { nearest } from "../lib/nearest.ts";
import { parseFile } from "../schema/file-tree.ts";
import type { Node, Place } from "../schema/node.ts";
import type { Problem } from "../schema/problem.ts";
import { complain } from "../schema/reader.ts";
import { interpolate, readEnvFile } from "./interpolate.ts";

export interface ComposeFilesHost {
  readonly report: (problem: Problem) => void;
  readonly env: ReadonlyMap<string, string>;
  readonly cwd: string;
  /** Throws as `fs.readFileSync` does. */
  readonly readFile: (path: string) => string;
  /** All files named are one project, wherever they lie. */
  readonly oneProject: boolean;
}

/** What compose makes of files that belong together. */
export interface ComposeProject {
  readonly name: string;
  /** Lowest first: those included, then those named, each of which goes before the ones before it. */
  readonly trees: readonly Node[];
  /** By name: what is said of a service, lowest first; what it extends comes before it. */
  readonly services: ReadonlyMap<string, readonly Node[]>;
  readonly env: ReadonlyMap<string, string>;
}

interface Member {
  readonly file: string;
  readonly tree: Node;
}

const FILES_MAX = 200;

/** Puts files together as `docker compose -f a -f b` does: overrides, `include` and `extends`. */
export class ComposeFiles {
  readonly #host: ComposeFilesHost;
  readonly #projects = new Map<string, Member[]>();
  readonly #read = new Map<string, Node | undefined>();

  constructor(host: ComposeFilesHost) {
    this.#host = host;
  }

  take(file: string, tree: Node): void {
    const folder = dirname(resolve(this.#host.cwd, file));
    const named = String(tree.get("name")?.value ?? "");
    // Files that lie together are one project unless they say that they are two.
    const others = [...this.#projects.keys()].find((key) => this.#host.oneProject || key === folder);
    const first = others === undefined ? undefined : this.#projects.get(others)![0]!.tree.get("name")?.value;
    const isOther = named !== "" && first !== undefined && first !== null && String(first) !== named;
    const key = others === undefined || isOther ? `${folder}${isOther ? `\n${named}` : ""}` : others;
    this.#projects.set(key, [...(this.#projects.get(key) ?? []), { file, tree }]);
    this.#read.set(resolve(this.#host.cwd, file), tree);
  }

  projects(): ComposeProject[] {
    return [...this.#projects.values()].map((members) => this.#project(members));
  }

  #project(named: readonly Member[]): ComposeProject {
    const env = new Map([...this.#envBeside(named[0]!.file), ...this.#host.env]);
    const members: Member[] = [];
    const seen = new Set<Node>();
    for (const member of named) this.#withIncluded(member, env, members, seen);
    const services = new Map<string, Node[]>();
    for (const { file, tree } of members) {
      for (const node of tree.get("services")?.children?.values() ?? []) {
        const layers = this.#layers(node, { file, tree }, env, new Set());
        services.set(node.name, [...(services.get(node.name) ?? []), ...layers]);
      }
    }
    const trees = members.map(({ tree }) => tree);
    return { name: this.#nameOf(named, trees, env), trees, services: active(services, env), env };
  }

  #nameOf(named: readonly Member[], trees: readonly Node[], env: ReadonlyMap<string, string>): string {
    const told = trees.findLast((tree) => tree.get("name") !== undefined)?.get("name")?.value;
    const folder = basename(dirname(resolve(this.#host.cwd, named[0]!.file)));
    const name = told === undefined ? (env.get("COMPOSE_PROJECT_NAME") ?? folder) : fill(String(told), env);
    return name.toLowerCase().replace(/[^a-z0-9_-]/g, "");
  }

  // --- include

  #withIncluded(member: Member, env: ReadonlyMap<string, string>, members: Member[], seen: Set<Node>): void {
    if (seen.size >= FILES_MAX || seen.has(member.tree)) return;
    seen.add(member.tree);
    for (const item of member.tree.get("include")?.items ?? []) {
      const paths = item.children === undefined ? [item] : listIn(item.get("path"));
      for (const path of paths) {
        const other = this.#open(fill(String(path.value ?? ""), env), member.file, path.place);
        if (other !== undefined) this.#withIncluded(other, env, members, seen);
      }
    }
    members.push(member);
  }

  // --- extends

  #layers(node: Node, member: Member, env: ReadonlyMap<string, string>, seen: Set<string>): Node[] {
    const base = node.get("extends");
    if (base === undefined) return [node];
    const wanted = fill(String(base.value ?? base.get("service")?.value ?? ""), env);
    const path = fill(String(base.get("file")?.value ?? ""), env);
    const other = path === "" ? member : this.#open(path, member.file, base.get("file")?.place ?? base.place);
    if (other === undefined) return [node];
    const key = `${other.file} ${wanted}`;
    const found = other.tree.get("services")?.get(wanted);
    if (found === undefined || seen.has(key)) {
      const names = [...(other.tree.get("services")?.children?.values() ?? [])].map(({ name }) => name);
      const isRound = found !== undefined;
      const message = isRound ? "extends itself" : `there is no service ${wanted} in ${other.file} to extend`;
      complain(
        this.#host,
        base.place,
        "unknown-service",
        message,
        isRound ? undefined : nearest(wanted, names),
      );
      return [node];
    }
    return [...this.#layers(found, other, env, seen.add(key)), node];
  }

  // --- Files.

  /** A file that another names, by its path from there. What is wrong with it has been said. */
  #open(path: string, from: string, place: Place): Member | undefined {
    if (path.startsWith("oci://") || path.startsWith("https://") || path.startsWith("git@")) return undefined;
    const file = isAbsolute(path) ? path : join(dirname(from), path);
    const absolute = resolve(this.#host.cwd, file);
    if (!this.#read.has(absolute)) this.#read.set(absolute, this.#parse(file, absolute, place));
    const tree = this.#read.get(absolute);
    return tree && { file, tree };
  }

  #parse(file: string, absolute: string, place: Place): Node | undefined {
    try {
      return parseFile(file, this.#host.readFile(absolute), this.#host.report, { exactNames: true });
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code === "ENOENT" ? "does not exist" : "cannot be read";
      complain(this.#host, place, "unreadable-file", `${file} ${reason}`);
      return undefined;
    }
  }

  #envBeside(file: string): ReadonlyMap<string, string> {
    try {
      return readEnvFile(this.#host.readFile(join(dirname(resolve(this.#host.cwd, file)), ".env")));
    } catch {
      return new Map();
    }
  }
}

/** Services of a profile are looked at unless COMPOSE_PROFILES says which ones are started. */
function active(
  services: ReadonlyMap<string, readonly Node[]>,
  env: ReadonlyMap<string, string>,
): ReadonlyMap<string, readonly Node[]> {
  const told = env.get("COMPOSE_PROFILES");
  if (told === undefined) return services;
  const profiles = new Set(told.split(",").map((name) => name.trim()));
  const isActive = ([, layers]: readonly [string, readonly Node[]]) => {
    const own = layers.flatMap((node) => listIn(node.get("profiles"))).map(({ value }) => String(value));
    return own.length === 0 || profiles.has("*") || own.some((name) => profiles.has(name));
  };
  return new Map([...services].filter(isActive));
}

const listIn = (node: Node | undefined): readonly Node[] =>
  node?.items ?? (node?.value === undefined || node.value === null ? [] : [node]);

const fill = (text: string, env: ReadonlyMap<string, string>) =>
  interpolate(text, env, { unset() {}, malformed() {} });

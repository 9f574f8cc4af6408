import { dirname, join } from "node:path";
import { nearest } from "../lib/nearest.ts";
import { parseFile } from "../schema/file-tree.ts";
import { Node } from "../schema/node.ts";
import type { Options } from "../schema/option.ts";
import { type Problem, quote } from "../schema/problem.ts";

export interface FileAccess {
  readonly cwd: string;
  readonly env: ReadonlyMap<string, string>;
  /** The text of a file. Throws as `fs.readFileSync` does. */
  readonly readFile: (path: string) => string;
}

export interface SettingsFile {
  readonly path: string | undefined;
  readonly tree: Node;
}

/** Reads the file that was named, or the first of the usual ones that is there. */
export function readSettingsFile(
  named: string | undefined,
  access: FileAccess,
  options: Options,
  report: (problem: Problem) => void,
): SettingsFile {
  for (const path of named === undefined ? usualPaths(access) : [named]) {
    const text = textOf(path, access, named !== undefined, report);
    if (text === undefined) continue;
    const tree = parseFile(path, text, report);
    if (tree !== undefined) dropUnknownRoots(path, tree, options, report);
    return { path, tree: tree ?? nothing() };
  }
  return { path: undefined, tree: nothing() };
}

const nothing = () => new Node("", { source: "file", key: "" });

function usualPaths({ cwd, env }: FileAccess): string[] {
  const home = env.get("HOME");
  const homes = [env.get("XDG_CONFIG_HOME"), home && join(home, ".config"), cwd].filter((path) => path);
  const stems = [
    "/etc/waybill/waybill",
    "/etc/traefik/traefik",
    ...homes.flatMap((path) => [join(path!, "waybill"), join(path!, "traefik")]),
  ];
  return stems.flatMap((stem) => [`${stem}.yml`, `${stem}.yaml`, `${stem}.toml`]);
}

function textOf(
  path: string,
  access: FileAccess,
  mustExist: boolean,
  report: (problem: Problem) => void,
): string | undefined {
  try {
    return access.readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isMissing = code === "ENOENT" || code === "ENOTDIR";
    if (mustExist || !(isMissing || isClosed(dirname(path), access))) {
      const message = isMissing ? "expected a settings file, but there is none" : `cannot be read (${code})`;
      report({
        code: "unreadable-file",
        severity: "error",
        place: { source: "file", key: "", file: path },
        message,
      });
    }
    return undefined;
  }
}

/** Whether the folder may not be looked into, as a home that is not ours: then nothing in it is meant for us. */
function isClosed(folder: string, access: FileAccess): boolean {
  try {
    access.readFile(folder);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES";
  }
}

const DYNAMIC_ROOTS = ["http", "tcp", "udp", "tls"];

/** Traefik ignores names that it does not know at the top of the file, where people keep their anchors. */
function dropUnknownRoots(
  file: string,
  tree: Node,
  options: Options,
  report: (problem: Problem) => void,
): void {
  const known = new Map(Object.keys(options).map((name) => [name.toLowerCase(), name]));
  const warn = (node: Node, message: string, suggestion?: string) =>
    report({
      code: "unknown-option",
      severity: "warning",
      place: node.place,
      message,
      ...(suggestion !== undefined && { suggestion }),
    });
  for (const [key, child] of tree.children ?? []) {
    if (known.has(key)) continue;
    tree.children!.delete(key);
    if (DYNAMIC_ROOTS.includes(key)) {
      warn(
        child,
        `${child.name} belongs in a file of providers.file, not in the settings file ${quote(file)}`,
      );
    } else if (!key.startsWith("x-")) {
      warn(
        child,
        `${quote(child.name)} is not an option and has no effect`,
        nearest(child.name, known.values()),
      );
    }
  }
  if (!tree.children?.size) warn(tree, "holds no settings");
}

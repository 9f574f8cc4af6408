import { describeProblem } from "../../src/schema/problem.ts";
import { type LoadedSettings, loadSettings } from "../../src/settings/load.ts";

export interface Given {
  readonly argv?: readonly string[];
  readonly env?: { readonly [name: string]: string };
  /** Path to text; an error code for a file that cannot be read. */
  readonly files?: { readonly [path: string]: string | { readonly code: string } };
}

export interface Loaded extends LoadedSettings {
  /** Problems as a person reads them. */
  readonly said: readonly string[];
}

/** Settings as they come of flags, variables and files that exist only here. */
export function load({ argv = [], env = {}, files = {} }: Given): Loaded {
  const loaded = loadSettings({
    argv,
    env: new Map(Object.entries(env)),
    cwd: "/work",
    readFile(path) {
      const found = files[path];
      if (typeof found === "string") return found;
      throw Object.assign(new Error(path), { code: found?.code ?? "ENOENT" });
    },
  });
  return { ...loaded, said: loaded.problems.map(describeProblem) };
}

/** Where a value came from: `flag --log.level`. */
export function sourceOf({ sources }: LoadedSettings, option: string): string | undefined {
  const found = sources.find((each) => each.option === option);
  return found && `${found.source.source} ${found.source.key}`;
}

import { describeProblem } from "../schema/problem.ts";
import type { LoadedSettings } from "../settings/load.ts";
import { loadSettings } from "../settings/load.ts";
import type { Shell } from "./command.ts";

/** The settings that these arguments, the environment and the files make. Undefined after saying what is wrong. */
export function settingsOrComplaint(argv: readonly string[], shell: Shell): LoadedSettings | undefined {
  const loaded = loadSettings({ argv, env: shell.env, cwd: shell.cwd, readFile: shell.readFile });
  const errors = loaded.problems.filter(({ severity }) => severity === "error");
  for (const problem of errors) shell.err(`error: ${describeProblem(problem)}\n`);
  const [word] = loaded.words;
  if (word !== undefined) {
    const before = argv[argv.indexOf(word) - 1] ?? "";
    const hint = /^--?[^=]+$/.test(before) ? ` (did you mean ${before}=${word}?)` : "";
    shell.err(`error: ${JSON.stringify(word)} is neither an option nor a command in this place${hint}\n`);
  }
  if (errors.length === 0 && word === undefined) return loaded;
  shell.err("Nothing was started. `waybill help` names the options.\n");
  return undefined;
}

/** A command in a container has no flags of its own: they are on the command line of what runs there. */
export function flagsOfProcess1(shell: Shell): string[] {
  try {
    const words = shell.readFile("/proc/1/cmdline").replace(/\0$/, "").split("\0");
    const program = words.findIndex((word) => /(?:^|\/)(?:waybill|traefik)(?:\.js)?$/.test(word));
    const first = words.findIndex((word, index) => index > program && word.startsWith("-"));
    return program < 0 || first < 0 ? [] : words.slice(first);
  } catch {
    return [];
  }
}

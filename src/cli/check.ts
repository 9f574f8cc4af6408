import type { Problem } from "../schema/problem.ts";
import type { Command, Shell } from "./command.ts";

const FORMATS = ["human", "json", "github"];
const USUAL = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

export default {
  name: "check",
  usage: "[files] [--format human|json|github] [--errors-only]",
  summary: "Finds mistakes in compose files, settings and files of routes before they are deployed.",
  details:
    "Without files it takes the compose file of this directory. Files that belong together are named together: the\n" +
    "settings are those of the Waybill (or Traefik) service among them, its command, variables and mounted files\n" +
    "included. Nothing is started. The exit code is 0 if all is well, 1 if there are problems, and 2 if a file could\n" +
    "not be read. With --errors-only warnings are neither shown nor counted.",
  async run(args, shell) {
    const asked = parseArgs(args, shell);
    if (typeof asked === "string") {
      shell.err(`${asked}\nusage: waybill check ${this.usage}\n`);
      return 2;
    }
    const [{ readWorld }, { lint }, present, { loadCatalogue }] = await Promise.all([
      import("../check/world.ts"),
      import("../check/lints.ts"),
      import("../check/present.ts"),
      import("../compile/catalogue.ts"),
    ]);
    const { middlewares: registry } = await loadCatalogue();
    const world = readWorld(asked.files, { ...shell, registry });
    const lints = lint(world.report, world.settings).map((one) => ({
      ...one,
      place: world.locate(one.place),
    }));
    const problems = present.inOrder([...world.problems, ...lints]).filter(counts(asked.errorsOnly));
    if (asked.format === "json") shell.out(present.json(problems));
    else if (asked.format === "github") shell.out(present.github(problems));
    else shell.out(`${present.human(problems)}${verdict(asked.files, problems, world.settingsAssumed)}\n`);
    if (world.unreadable > 0) return 2;
    return problems.length > 0 ? 1 : 0;
  },
} satisfies Command;

interface Asked {
  readonly files: readonly string[];
  readonly format: string;
  readonly errorsOnly: boolean;
}

function parseArgs(args: readonly string[], shell: Shell): Asked | string {
  const files: string[] = [];
  let format = "human";
  let errorsOnly = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--errors-only") errorsOnly = true;
    else if (arg === "--format") format = args[++i] ?? "";
    else if (arg.startsWith("--format=")) format = arg.slice("--format=".length);
    else if (arg.startsWith("-")) return `${JSON.stringify(arg)} is not an option of check`;
    else files.push(arg);
  }
  if (!FORMATS.includes(format))
    return `expected a format of ${FORMATS.join(", ")}, found ${JSON.stringify(format)}`;
  if (files.length > 0) return { files, format, errorsOnly };
  const found = USUAL.find((name) => isThere(name, shell));
  if (found === undefined) return `there is none of ${USUAL.join(", ")} here; name the files to check`;
  return { files: [found], format, errorsOnly };
}

function isThere(name: string, { cwd, readFile }: Shell): boolean {
  try {
    readFile(`${cwd}/${name}`);
    return true;
  } catch {
    return false;
  }
}

const counts = (errorsOnly: boolean) => (problem: Problem) => !errorsOnly || problem.severity === "error";

function verdict(files: readonly string[], problems: readonly Problem[], assumed: boolean): string {
  const errors = problems.filter(({ severity }) => severity === "error").length;
  const what = files.length === 1 ? files[0] : `${files.length} files`;
  const note = assumed
    ? "\nThe files show no Waybill service and no settings: entry points and resolvers they name were taken to be there."
    : "";
  if (problems.length === 0) return `${what}: no problems found.${note}`;
  return `${what}: ${count(errors, "error")}, ${count(problems.length - errors, "warning")}.${note}`;
}

const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? "" : "s"}`;

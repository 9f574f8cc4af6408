import type { ProblemShape } from "../admin/shapes.ts";
import type { Problem } from "../schema/problem.ts";
import { getFromApi } from "./api-client.ts";
import type { Command, Shell } from "./command.ts";

const FORMATS = ["human", "json", "github"];
const USUAL = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
const OVERRIDES = USUAL.map((name) => name.replace(/\.(ya?ml)$/, ".override.$1"));

export default {
  name: "check",
  usage: "[files] [-f FILE] [--api URL] [--format human|json|github] [--errors-only]",
  summary: "Finds mistakes in compose files, settings and files of routes before they are deployed.",
  details:
    "Without files it takes the compose file of this directory, and the override beside it if there is one. Files that\n" +
    "belong together are named together: the settings are those of the Waybill (or Traefik) service among them, its\n" +
    "command, variables and mounted files included. Compose files of one directory are laid over each other as compose\n" +
    "does it, and so are those named with -f, wherever they lie; what they include and extend is read too. Services of a\n" +
    "profile are looked at unless COMPOSE_PROFILES says which ones are started. Nothing is started. The exit code is 0 if all is well, 1 if there are problems, and 2 if a file could\n" +
    "not be read. With --errors-only warnings are neither shown nor counted. With --api the problems of the Waybill\n" +
    "that runs there are shown instead: how containers do is in no file.",
  async run(args, shell) {
    const asked = parseArgs(args, shell);
    if (typeof asked === "string") {
      shell.err(`${asked}\nusage: waybill check ${this.usage}\n`);
      return 2;
    }
    const found = asked.api === undefined ? await fromFiles(asked, shell) : await fromApi(asked.api, shell);
    if (typeof found === "string") {
      shell.err(`${found}\n`);
      return 2;
    }
    const { inOrder, json, github, human } = await import("../check/present.ts");
    const problems = inOrder(found.problems).filter(counts(asked.errorsOnly));
    if (asked.format === "json") shell.out(json(problems));
    else if (asked.format === "github") shell.out(github(problems));
    else shell.out(`${human(problems)}${verdict(found, problems)}\n`);
    if (found.unreadable > 0) return 2;
    return problems.length > 0 ? 1 : 0;
  },
} satisfies Command;

interface Found {
  /** What was looked at. */
  readonly what: string;
  readonly problems: readonly Problem[];
  readonly unreadable: number;
  readonly settingsAssumed: boolean;
}

async function fromFiles({ files, oneProject }: Asked, shell: Shell): Promise<Found> {
  const [{ readWorld }, { lint }, { loadCatalogue }] = await Promise.all([
    import("../check/world.ts"),
    import("../check/lints.ts"),
    import("../compile/catalogue.ts"),
  ]);
  const { middlewares: registry } = await loadCatalogue();
  const world = readWorld(files, { ...shell, registry, oneProject });
  const lints = lint(world.report, world.settings, world.published).map((one) => ({
    ...one,
    place: world.locate(one.place),
  }));
  return {
    ...world,
    what: files.length === 1 ? files[0]! : `${files.length} files`,
    problems: [...world.problems, ...lints],
  };
}

async function fromApi(api: string, shell: Shell): Promise<Found | string> {
  const reply = await getFromApi(api, "problems", new URLSearchParams(), shell);
  if (typeof reply === "string") return reply;
  if (!Array.isArray(reply.body)) return `What answers at ${api} is not the API of Waybill.`;
  // The API has told the place in words already.
  const problems = (reply.body as ProblemShape[]).map(
    ({ place, ...rest }): Problem => ({
      ...(rest as Omit<Problem, "place">),
      place: { source: "http", key: "", file: place },
    }),
  );
  return { what: api, problems, unreadable: 0, settingsAssumed: false };
}

interface Asked {
  /** A running Waybill, rather than files. */
  readonly api: string | undefined;
  readonly files: readonly string[];
  /** Named with -f, as for compose. */
  readonly oneProject: boolean;
  readonly format: string;
  readonly errorsOnly: boolean;
}

function parseArgs(args: readonly string[], shell: Shell): Asked | string {
  const files: string[] = [];
  let format = "human";
  let errorsOnly = false;
  let oneProject = false;
  let api: string | undefined;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--errors-only") errorsOnly = true;
    else if (arg === "-f" || arg === "--file") {
      const file = args[++i];
      if (file === undefined) return `expected a file after ${arg}`;
      files.push(file);
      oneProject = true;
    } else if (arg === "--api") api = args[++i] ?? "";
    else if (arg.startsWith("--api=")) api = arg.slice("--api=".length);
    else if (arg === "--format") format = args[++i] ?? "";
    else if (arg.startsWith("--format=")) format = arg.slice("--format=".length);
    else if (arg.startsWith("-")) return `${JSON.stringify(arg)} is not an option of check`;
    else files.push(arg);
  }
  if (!FORMATS.includes(format))
    return `expected a format of ${FORMATS.join(", ")}, found ${JSON.stringify(format)}`;
  if (api !== undefined && files.length > 0) return "expected either --api or files, found both";
  if (api !== undefined || files.length > 0) return { api, files, oneProject, format, errorsOnly };
  const found = USUAL.find((name) => isThere(name, shell));
  if (found === undefined) return `there is none of ${USUAL.join(", ")} here; name the files to check`;
  const override = OVERRIDES.find((name) => isThere(name, shell));
  const usual = override === undefined ? [found] : [found, override];
  return { api, files: usual, oneProject, format, errorsOnly };
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

function verdict({ what, settingsAssumed, unreadable }: Found, problems: readonly Problem[]): string {
  const errors = problems.filter(({ severity }) => severity === "error").length;
  const note =
    settingsAssumed && unreadable === 0
      ? "\nThe files show no Waybill service and no settings: entry points and resolvers they name were taken to be there."
      : "";
  if (problems.length === 0) return `${what}: no problems found.${note}`;
  return `${what}: ${count(errors, "error")}, ${count(problems.length - errors, "warning")}.${note}`;
}

const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? "" : "s"}`;

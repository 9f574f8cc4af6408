import { loadCatalogue } from "../../src/compile/catalogue.ts";
import { type Aggregate, aggregate } from "../../src/control/aggregate.ts";
import { declareInternals } from "../../src/control/internal.ts";
import type { Declaration } from "../../src/model/declared.ts";
import { readDynamic } from "../../src/model/read-dynamic.ts";
import { checkRule } from "../../src/routing/rule.ts";
import { parseFile } from "../../src/schema/file-tree.ts";
import { describeProblem, type Problem } from "../../src/schema/problem.ts";
import { loadSettings } from "../../src/settings/load.ts";

const { middlewares: registry } = await loadCatalogue();

/** What these providers, by name and in YAML, come to under these flags. */
export function gather(
  yamlByProvider: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): Aggregate {
  const argv = flags.length > 0 ? flags : ["--entryPoints.web.address=:80"];
  const loaded = loadSettings({ argv, env: new Map(), cwd: "/", readFile: () => "" });
  const wrong = loaded.problems.filter(({ severity }) => severity === "error");
  if (wrong.length > 0) throw new Error(wrong.map(describeProblem).join("\n"));
  const { settings } = loaded;
  const internals = declareInternals(settings, registry, {
    adminSocket: "/run/admin.sock",
    challengeEntryPoints: [],
    challengeTokens: [],
  });
  let slots = 0;
  return aggregate({
    settings,
    declarations: [
      internals,
      ...Object.entries(yamlByProvider).map(([provider, yaml]) => declare(provider, yaml)),
    ],
    registry,
    certificates: [],
    defaultCertificate: "",
    problems: [],
    challenges: new Map(),
    ticketSecret: undefined,
    checkRule,
    readFile: (path) => {
      throw new Error(`there is no file ${path}`);
    },
    slotOf: () => slots++,
    sharedFor: (_, bytes) => new SharedArrayBuffer(bytes),
    version: 1,
    nowMs: 0,
  });
}

function declare(provider: string, yaml: string): Declaration {
  const problems: Problem[] = [];
  const report = (problem: Problem) => void problems.push(problem);
  const tree = parseFile(`${provider}.yml`, yaml, report);
  if (tree === undefined) throw new Error(problems.map(describeProblem).join("\n"));
  const parts = readDynamic(tree, { provider, registry, report, secret: () => "" });
  return { provider, ...parts, problems, workloads: [] };
}

/** Routers in force, without the proxy's own. */
export const routersOf = ({ snapshot }: Aggregate) =>
  snapshot.routers.filter(({ provider, closed }) => provider !== "internal" && closed === undefined);

/** Routers that keep their place and refuse what they would have taken, with the reason. */
export const closedOf = ({ snapshot }: Aggregate) =>
  new Map(snapshot.routers.flatMap(({ name, closed }) => (closed === undefined ? [] : [[name, closed]])));

/** Names of routers in force, without the proxy's own. */
export const namesOf = (made: Aggregate) =>
  routersOf(made)
    .map(({ name }) => name)
    .sort();

/** Everything that is wrong, one line each: `error router app@file: ...`. */
export function complaintsOf({ report }: Aggregate): string[] {
  return report.problems.map(
    ({ severity, subject, message, suggestion }) =>
      `${severity} ${subject?.kind} ${subject?.name}: ${message}${suggestion === undefined ? "" : ` (${suggestion}?)`}`,
  );
}

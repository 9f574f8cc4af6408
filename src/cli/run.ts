import { createLog } from "../observe/log.ts";
import { describePlace, describeProblem } from "../schema/problem.ts";
import type { Command, Shell } from "./command.ts";
import { settingsOrComplaint } from "./settings.ts";
import { version } from "./version.ts";

export default {
  name: "run",
  usage: "[options]",
  summary: "Serves; the command when none is given.",
  details:
    "Options come from flags, then from the environment, then from a file. `waybill help all` lists them.",
  run: serve,
} satisfies Command;

/** Serves with the settings of these arguments until it is told to stop. */
export async function serve(args: readonly string[], shell: Shell): Promise<number> {
  const loaded = settingsOrComplaint(args, shell);
  if (loaded === undefined) return 1;
  const log = createLog(loaded.settings.log, undefined, version());
  for (const problem of loaded.problems) log.warn({ code: problem.code }, describeProblem(problem));
  for (const { option, by, over } of loaded.overrides) {
    log.debug({ option, by: describePlace(by), over: describePlace(over) }, "one setting replaces another");
  }
  // Loaded only here, because the other commands need none of it.
  const [{ run }, { loadCatalogue }, { makePages }] = await Promise.all([
    import("../control/run.ts"),
    import("../compile/catalogue.ts"),
    import("./pages.ts"),
  ]);
  try {
    const { middlewares } = await loadCatalogue();
    return await run(loaded, log, { registry: middlewares, makePages, version: version() });
  } catch (error) {
    log.error({ err: error }, "Waybill could not go on");
    return 1;
  } finally {
    log.flush();
    await log.close();
  }
}

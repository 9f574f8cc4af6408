import { createLog } from "../observe/log.ts";
import { describePlace, describeProblem } from "../schema/problem.ts";
import type { Command } from "./command.ts";
import { settingsOrComplaint } from "./settings.ts";

export default {
  name: "run",
  usage: "[options]",
  summary: "Serves; the command when none is given.",
  details:
    "Options come from flags, then from the environment, then from a file. `waybill help all` lists them.",
  async run(args, shell) {
    const loaded = settingsOrComplaint(args, shell);
    if (loaded === undefined) return 1;
    const log = createLog(loaded.settings.log);
    for (const problem of loaded.problems) log.warn({ code: problem.code }, describeProblem(problem));
    for (const { option, by, over } of loaded.overrides) {
      log.debug({ option, by: describePlace(by), over: describePlace(over) }, "one setting replaces another");
    }
    const { run } = await import("../control/run.ts");
    try {
      return await run(loaded, log);
    } catch (error) {
      log.error({ err: error }, "Waybill could not go on");
      return 1;
    } finally {
      log.flush();
    }
  },
} satisfies Command;

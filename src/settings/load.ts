import type { SettingInForce } from "../model/runtime.ts";
import { type Settings, settingsOptions } from "../model/settings.ts";
import type { Problem } from "../schema/problem.ts";
import { readOptions } from "../schema/read-options.ts";
import type { Reader } from "../schema/reader.ts";
import { readSecret } from "../schema/secrets.ts";
import { checkSettings } from "./check.ts";
import { completeSettings } from "./complete.ts";
import { readEnvironment } from "./environment.ts";
import { type FileAccess, readSettingsFile } from "./files.ts";
import { readFlags } from "./flags.ts";
import { listInForce } from "./in-force.ts";
import { mergeTrees, type Override } from "./merge.ts";

export interface SettingsInput extends FileAccess {
  /** Without the program's own name and command. */
  readonly argv: readonly string[];
}

export interface LoadedSettings {
  /** Complete even with errors among the problems; nobody should start with those. */
  readonly settings: Settings;
  readonly problems: readonly Problem[];
  /** Values that one source put out of force in another. */
  readonly overrides: readonly Override[];
  readonly sources: readonly SettingInForce[];
  readonly configFile: string | undefined;
  readonly help: boolean;
  /** Words among the arguments that are not options. */
  readonly words: readonly string[];
}

/** Reads the settings: flags over environment over file. Never throws for what is written in them. */
export function loadSettings(input: SettingsInput): LoadedSettings {
  const problems: Problem[] = [];
  const report = (problem: Problem) => void problems.push(problem);
  const reader: Reader = { report, secret: (reference) => readSecret(reference, input) };

  const flags = readFlags(input.argv, settingsOptions, report);
  const environment = readEnvironment(input.env, settingsOptions, report);
  const named = flags.configFile ?? environment.configFile;
  const file = readSettingsFile(named, input, settingsOptions, report);

  const overrides: Override[] = [];
  const tree = [...environment.trees, flags.tree].reduce(
    (under, over) => mergeTrees(under, over, overrides),
    file.tree,
  );
  const settings = completeSettings(readOptions(settingsOptions, tree, reader), tree, reader);
  checkSettings(settings, tree, report);
  return {
    settings,
    problems,
    overrides,
    sources: listInForce(settingsOptions, settings, tree),
    configFile: file.path,
    help: flags.help,
    words: flags.words,
  };
}

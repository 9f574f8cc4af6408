import { nearest } from "../lib/nearest.ts";
import certs from "./certs.ts";
import check from "./check.ts";
import { type Command, processShell, type Shell } from "./command.ts";
import demo from "./demo.ts";
import explain from "./explain.ts";
import hash from "./hash.ts";
import healthcheck from "./healthcheck.ts";
import { helpAbout, nearestTopic } from "./help.ts";
import run from "./run.ts";
import version from "./version.ts";

/** In the order in which `waybill help` names them. */
const COMMANDS: readonly Command[] = [run, demo, check, explain, certs, healthcheck, hash, version];

/** `waybill [command] [options]`. Gives the exit code. */
export async function main(argv: readonly string[], shell: Shell = processShell): Promise<number> {
  const [first = "", ...rest] = namesProgram(argv[0]) ? argv.slice(1) : argv;
  if (first === "help") return help(rest[0], shell);
  if (first === "--version" || first === "-v") return version.run([], shell);

  const command = COMMANDS.find(({ name }) => name === first);
  const isFlag = first === "" || first.startsWith("-");
  if (command === undefined && !isFlag) return unknownCommand(first, shell);
  const args = command === undefined && first !== "" ? [first, ...rest] : rest;
  if (asksHelp(args)) return help(command?.name, shell);
  return (command ?? run).run(args, shell);
}

// `docker run image traefik --api` is how many compose files start it.
const namesProgram = (word: string | undefined) => word === "waybill" || word === "traefik";

function asksHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  const options = end < 0 ? args : args.slice(0, end);
  return options.includes("--help") || options.includes("-h");
}

function help(topic: string | undefined, shell: Shell): number {
  const text = helpAbout(topic, COMMANDS);
  if (text !== undefined) {
    shell.out(text);
    return 0;
  }
  const near = nearestTopic(topic!, COMMANDS);
  const hint = near === undefined ? "" : ` Did you mean ${near}?`;
  shell.err(`There is no command or option called ${JSON.stringify(topic)}.${hint}\n`);
  return 1;
}

function unknownCommand(word: string, shell: Shell): number {
  const near = nearest(word, [...COMMANDS.map(({ name }) => name), "help"]);
  const hint = near === undefined ? "" : ` Did you mean ${near}?`;
  shell.err(`${JSON.stringify(word)} is not a command.${hint}\n\n${helpAbout(undefined, COMMANDS)}`);
  return 1;
}

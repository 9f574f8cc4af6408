import { nearest } from "../lib/nearest.ts";
import { settingsOptions } from "../model/settings.ts";
import { listOptions, type OptionRow } from "../schema/describe.ts";
import type { Command } from "./command.ts";

const WIDTH = 80;

/** `waybill help [command, section, option or "all"]`. Undefined when there is nothing of that name. */
export function helpAbout(topic: string | undefined, commands: readonly Command[]): string | undefined {
  if (topic === undefined) return overview(commands);
  const command = commands.find(({ name }) => name === topic);
  if (command !== undefined) return aboutCommand(command);
  const rows = listOptions(settingsOptions);
  if (topic === "all") return sections(rows);
  const wanted = topic.replace(/^--?/, "").toLowerCase();
  const found = rows.filter(({ path }) => `${path.toLowerCase()}.`.startsWith(`${wanted}.`));
  return found.length === 0 ? undefined : sections(found);
}

/** The nearest thing that help knows, for a topic that it does not. */
export function nearestTopic(topic: string, commands: readonly Command[]): string | undefined {
  return nearest(topic, [...commands.map(({ name }) => name), ...Object.keys(settingsOptions)]);
}

function aboutCommand({ name, usage, summary, details }: Command): string {
  const [first = "", ...more] = wrap(usage, WIDTH - name.length - 9);
  const indent = " ".repeat(name.length + 9);
  const call = [`waybill ${name} ${first}`.trimEnd(), ...more.map((line) => indent + line)].join("\n");
  const paragraphs = [summary, ...details.split("\n\n").filter((text) => text !== "")];
  return [call, ...paragraphs.map(paragraph)].join("\n\n").concat("\n");
}

// Lines that are indented are examples, and stay as they are; words with their meanings beside them are a table.
function paragraph(text: string): string {
  if (/^\w+ {2,}/.test(text)) {
    const rows = text.replace(/\n +/g, " ").split("\n");
    return columns(rows.map((row) => row.split(/ {2,}/, 2) as [string, string])).join("\n");
  }
  if (/^ {2}/m.test(text)) return text;
  return wrap(text.replaceAll("\n", " "), WIDTH).join("\n");
}

function overview(commands: readonly Command[]): string {
  const roots = Object.entries(settingsOptions).filter(
    ([, { about }]) => about.refused === undefined && about.obsolete === undefined,
  );
  return [
    "Waybill: label a container and it is routed, protected and served over HTTPS.",
    "",
    "usage: waybill [command] [options]",
    "",
    "Commands:",
    ...columns(commands.map(({ name, summary }) => [name, summary])),
    "",
    "Options, by section:",
    ...columns([
      ...roots.map(([name, { about }]): [string, string] => [`--${name}`, about.doc]),
      ["--configFile", "The settings file; otherwise the first of the usual ones."],
    ]),
    "",
    "An option may also be a variable (WAYBILL_LOG_LEVEL, or TRAEFIK_LOG_LEVEL) or",
    "stand in a file: /etc/waybill/waybill.yml, /etc/traefik/traefik.yml,",
    "./waybill.yml, or the same as .toml. Flags go before variables, and variables",
    "before the file.",
    "",
    "waybill help <command>   what it does, and how it is called",
    "waybill help <section>   its options, for example: waybill help api",
    "waybill help <option>    one of them: waybill help log.level",
    "waybill help all         every option",
    "",
  ].join("\n");
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length)) + 4;
  return rows.flatMap(([left, right]) =>
    wrap(right, WIDTH - width).map((line, i) => `${(i === 0 ? `  ${left}` : "").padEnd(width)}${line}`),
  );
}

function sections(rows: readonly OptionRow[]): string {
  const lines: string[] = [];
  let section = "";
  for (const row of rows) {
    const root = row.path.split(".", 1)[0]!;
    if (row.about.refused !== undefined) continue;
    if (root !== section)
      lines.push(...(section === "" ? [] : [""]), ...wrap(`${root}: ${sectionDoc(root)}`, WIDTH));
    section = root;
    lines.push(...aboutOption(row));
  }
  if (lines.length === 0)
    lines.push(...rows.map(({ path, about }) => `${path} is not supported: ${about.refused}`));
  return `${lines.join("\n")}\n`;
}

const sectionDoc = (root: string) =>
  (settingsOptions as Record<string, { about: { doc: string } }>)[root]?.about.doc ?? "";

function aboutOption({ path, kind, about }: OptionRow): string[] {
  const value = kind === "switch" ? "" : `<${kind}>`;
  const call = `  --${path}${value && `=${value}`}`;
  const isShort = call.length <= WIDTH;
  const text = [
    isShort ? "" : value,
    about.doc,
    about.obsolete ? `No effect: ${about.obsolete}.` : "",
    about.default ? `Default: ${about.default}` : "",
  ];
  const lines = wrap(text.filter(Boolean).join(" "), WIDTH - 8);
  return [isShort ? call : `  --${path}`, ...lines.map((line) => `        ${line}`)];
}

function wrap(text: string, width: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}

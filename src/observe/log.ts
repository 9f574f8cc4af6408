import { isatty } from "node:tty";
import { type Logger as Pino, pino, stdSerializers, stdTimeFunctions } from "pino";
import type { Logger } from "../model/host.ts";
import type { LogOptions } from "../model/log-settings.ts";
import { printable } from "../schema/problem.ts";
import { LineSink, letOutputNotBlock } from "./line-sink.ts";
import { LogExport } from "./log-export.ts";
import { Rotation } from "./rotation.ts";

/** The log of the process, and what only its owner may do with it. */
export interface Log extends Logger {
  /** Whether lines of this level are written, for lines that are dear to make. */
  isOn(level: keyof Logger): boolean;
  /** Lines that a collector did not take; undefined when none is told. */
  readonly notCollected: number | undefined;
  /** Opens the file again under its name, after somebody else rotated it. */
  reopen(): void;
  /** Writes out everything that is waiting: only before the process ends. */
  flush(): void;
  /** What waits for a collector has a moment to leave. */
  close(): Promise<void>;
}

/** Where lines go, for tests; a file or standard output otherwise. */
export interface Sink {
  write(line: string): void;
  /** Somebody reads along: colours help. */
  readonly isTerminal?: boolean;
}

/** Megabytes. */
const SIZE_MAX = 100;

/** `version` is what a collector is told. */
export function createLog(options: LogOptions, sink?: Sink, version = ""): Log {
  const onError = (error: Error) =>
    void process.stderr.write(`the log cannot be written: ${error.message}\n`);
  if (sink === undefined) letOutputNotBlock();
  const file = sink === undefined ? new LineSink(options.filePath, onError, true) : undefined;
  const out = sink ?? file!;
  const rotated = { ...options, maxSize: options.maxSize || SIZE_MAX };
  const rotation = file && Rotation.of(rotated, () => file.reopen(), onError);
  const isTerminal = sink === undefined ? options.filePath === "" && isatty(1) : sink.isTerminal === true;
  const isColored = isTerminal && !options.noColor;
  const stream =
    options.format === "json" ? out : { write: (line: string) => out.write(readable(line, isColored)) };
  const log = pino(
    {
      // Nothing of ours panics: at that level the log is for the fatal only.
      level: options.level === "PANIC" ? "fatal" : options.level.toLowerCase(),
      base: null,
      messageKey: "message",
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      serializers: { err: stdSerializers.err, error: stdSerializers.err },
      // A field that is very deep or wide is cut rather than followed.
      depthLimit: 5,
      edgeLimit: 100,
    },
    stream,
  );
  const own = methods(log);
  const sent = options.otlp && new LogExport(options.otlp, version, own);
  const isOn = (level: keyof Logger) => log.isLevelEnabled(level);
  return {
    ...(sent === undefined ? own : both(own, sent, isOn)),
    isOn,
    get notCollected() {
      return sent?.dropped;
    },
    reopen: () => file?.reopen(),
    flush: () => file?.flushSync(),
    close: async () => {
      rotation?.close();
      await sent?.close();
      file?.close();
    },
  };
}

function methods(log: Pino): Logger {
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
  };
}

/** Into the file or to standard output, and to the collector. */
function both(own: Logger, sent: LogExport, isOn: (level: keyof Logger) => boolean): Logger {
  const write = (level: keyof Logger) => (fields: Record<string, unknown>, message: string) => {
    own[level](fields, message);
    if (isOn(level)) sent.add(level, fields, message);
  };
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

const LEVELS: Record<string, readonly [letters: string, color: string]> = {
  trace: ["TRC", "35"],
  debug: ["DBG", "90"],
  info: ["INF", "32"],
  warn: ["WRN", "33"],
  error: ["ERR", "31"],
  fatal: ["FTL", "31;1"],
};

/**
 * `2026-01-31T12:00:00Z INF message key=value`: one line, whatever is in the values. What a message shows below its
 * first line, such as a rule with a caret, and an error's stack come indented, so that they pass for no other line.
 */
export function readable(json: string, isColored: boolean): string {
  const { level, time, message, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const [first = "", ...rest] = String(message ?? "").split("\n");
  const paint = (color: string, text: string) => (isColored ? `\x1b[${color}m${text}\x1b[0m` : text);
  const [letters, color] = LEVELS[String(level)] ?? ["???", "0"];
  const parts = [
    paint("90", `${String(time).slice(0, 19)}Z`),
    paint(color, letters),
    printable(first, FIELD_MAX),
  ];
  let below = indented(rest);
  for (const [name, value] of Object.entries(fields)) {
    parts.push(`${paint("36", `${printable(name)}=`)}${readableValue(value)}`);
    if (isError(value)) below += stackOf(value.stack);
  }
  return `${parts.join(" ")}\n${below}`;
}

const FIELD_MAX = 4000;

function readableValue(value: unknown): string {
  if (isError(value)) return readableValue(value.message);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const isPlain = typeof value !== "string" || /^[^\s"=]+$/.test(text);
  return printable(isPlain ? text : JSON.stringify(text), FIELD_MAX);
}

function isError(value: unknown): value is { message: string; stack: string } {
  return typeof value === "object" && value !== null && "stack" in value && "message" in value;
}

function stackOf(stack: unknown): string {
  const frames = String(stack).split("\n");
  return indented(frames.filter((line) => line.startsWith("    at ")).map((line) => line.trim()));
}

const indented = (lines: readonly string[]) =>
  lines.map((line) => `    ${printable(line, FIELD_MAX)}\n`).join("");

import { group, list, mapOf } from "../schema/composites.ts";
import { bool, choice, count, duration, float, statusRange, text } from "../schema/kinds.ts";
import type { Values } from "../schema/option.ts";
import { otlpLogs } from "./telemetry-settings.ts";

/** What is written down: the log about ourselves, the access log about requests. */

const LOG_LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "PANIC"] as const;

const filePath = text({ doc: "File to write to; standard output if empty.", default: "" });

/** The access log's are ours, the log's are Traefik's. */
function rotation<const Ours extends { added?: true }>(sizeDoc: string, ours: Ours) {
  return {
    maxSize: count({ doc: sizeDoc, default: "0", example: "100", ...ours }),
    rotateEvery: duration({
      doc: "Rotate at every multiple of this time, in UTC; 0 for never.",
      default: "0",
      added: true,
      example: "24h",
    }),
    maxAge: count({ doc: "Days that rotated files are kept; 0 for ever.", default: "0", ...ours }),
    maxBackups: count({ doc: "Rotated files that are kept; 0 for all.", default: "0", ...ours }),
    compress: bool({ doc: "Compress rotated files with gzip.", default: "false", ...ours }),
  };
}

export const logOptions = {
  level: choice(...LOG_LEVELS)({ doc: "The least that is logged.", default: "INFO", forgiving: true }),
  format: choice("common", "json")({ doc: "Readable text, or one JSON object a line.", default: "common" }),
  noColor: bool({ doc: "No colours in readable text.", default: "false" }),
  filePath,
  ...rotation("Megabytes after which the file is rotated; 0 for 100.", {}),
  otlp: otlpLogs({ doc: "Send the log to an OpenTelemetry collector too." }),
};
export type LogOptions = Values<typeof logOptions>;

const keepOrDrop = choice("keep", "drop");
const keepDropOrRedact = choice("keep", "drop", "redact");

export const accessLogOptions = {
  filePath,
  ...rotation("Megabytes after which the file is rotated; 0 for never.", { added: true }),
  format: choice(
    "common",
    "genericCLF",
    "json",
  )({ doc: "Form of the lines.", default: "common", forgiving: true }),
  sampleRate: float({
    doc: "Share of the requests that are logged, from 0 to 1. Those that end with 500 or more, or without a status, always are.",
    default: "1",
    added: true,
    example: "0.1",
  }),
  bufferingSize: count({
    doc: "Lines that may wait to be written.",
    default: "0",
    obsolete: "lines are always gathered for a moment, and never hold a request up",
  }),
  addInternals: bool({ doc: "Log requests for the proxy's own pages too.", default: "false" }),
  dualOutput: bool({
    doc: "Write to standard output or the file although OTLP is on.",
    default: "false",
  }),
  filters: group({
    statusCodes: list(statusRange)({ doc: "Only these statuses." }),
    retryAttempts: bool({ doc: "Requests that were retried as well.", default: "false" }),
    minDuration: duration({ doc: "Requests that took longer as well.", default: "0" }),
  })({ doc: "Which requests are logged; any one filter is enough." }),
  fields: group({
    defaultMode: keepOrDrop({ doc: "What happens to fields.", default: "keep" }),
    names: mapOf(keepOrDrop)({ doc: "What happens to one field." }),
    headers: group({
      defaultMode: keepDropOrRedact({ doc: "What happens to headers.", default: "drop" }),
      names: mapOf(keepDropOrRedact)({ doc: "What happens to one header." }),
    })({ doc: "Request and response headers.", always: true }),
    queryParameters: group({
      defaultMode: keepOrDrop({ doc: "What happens to query parameters.", default: "keep" }),
    })({ doc: "The query of the logged address.", always: true }),
  })({ doc: "What of a request is logged.", always: true }),
  otlp: otlpLogs({ doc: "Send the lines to an OpenTelemetry collector." }),
};
export type AccessLogOptions = Values<typeof accessLogOptions>;

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { type LogOptions, logOptions } from "../../src/model/settings.ts";
import { createLog, readable } from "../../src/observe/log.ts";
import { RotatingSink } from "../../src/observe/rotating-sink.ts";
import { read } from "../schema/harness.ts";

function logTo(written: Record<string, string>) {
  const lines: string[] = [];
  const { values } = read(logOptions, written);
  const log = createLog(values as LogOptions, { write: (line) => void lines.push(line) });
  return { log, lines };
}

test("JSON lines have the names that Traefik's have", () => {
  const { log, lines } = logTo({ format: "json" });
  log.info({ router: "app@docker" }, "a router came");
  const { time, ...rest } = JSON.parse(lines[0]!) as Record<string, unknown>;
  assert.deepEqual(rest, { level: "info", router: "app@docker", message: "a router came" });
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test("readable lines have time, level, message and fields, errors with their stack below", () => {
  const { log, lines } = logTo({ format: "common" });
  log.warn({ count: 3, rule: "Host(`a b`)", list: ["x"] }, "this is odd");
  log.error({ err: new Error("boom") }, "this failed");
  assert.match(
    lines[0]!,
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ WRN this is odd count=3 rule="Host\(`a b`\)" list=\["x"\]\n$/,
  );
  assert.match(lines[1]!, /^\S+ ERR this failed err=boom\n {4}at /);
});

test("noColor: what a terminal is shown has colours unless it says so", () => {
  const written = (options: Record<string, string>) => {
    const lines: string[] = [];
    const sink = { write: (line: string) => void lines.push(line), isTerminal: true };
    createLog(read(logOptions, options).values as LogOptions, sink).warn({}, "odd");
    return lines.join("");
  };
  assert.ok(written({}).includes("\x1b["));
  assert.ok(!written({ noColor: "true" }).includes("\x1b["));
});

test("a level lets itself and what is worse through", () => {
  const written = (level: string) => {
    const { log, lines } = logTo({ level });
    log.debug({}, "d");
    log.info({}, "i");
    log.warn({}, "w");
    log.error({}, "e");
    return lines.length;
  };
  assert.deepEqual(
    ["trace", "DEBUG", "info", "WARN", "error", "fatal", "PANIC"].map(written),
    [4, 4, 3, 2, 1, 0, 0],
  );
  assert.equal(logTo({ level: "WARN" }).log.isOn("info"), false);
});

test("a message of several lines shows them indented", () => {
  const { log, lines } = logTo({ format: "common" });
  log.error({ router: "app" }, "a rule is wrong\n  Host(\n      ^");
  assert.match(lines[0]!, /^\S+ ERR a rule is wrong router=app\n {6}Host\(\n {10}\^\n$/);
});

test("whatever is logged, nothing passes for another line and there are no control characters", () => {
  const foreign = fc.string({ unit: "binary" });
  fc.assert(
    fc.property(
      foreign,
      foreign,
      foreign,
      fc.constantFrom("common", "json"),
      (message, name, value, format) => {
        const { log, lines } = logTo({ format });
        log.info({ [`x${name}`]: value, deep: { [name]: [value] } }, message);
        assert.equal(lines.length, 1);
        assert.match(lines[0]!, /^[^\u0000-\u001f\u007f]*\n(?: {4}[^\u0000-\u001f\u007f]*\n)*$/);
        if (format === "json") assert.equal(lines[0]!.indexOf("\n"), lines[0]!.length - 1);
      },
    ),
  );
});

test("colours are only for a terminal", () => {
  const json = JSON.stringify({
    level: "info",
    time: "2026-01-31T12:00:00.000Z",
    message: "m",
    a: "\u001b[31m",
  });
  assert.equal(
    readable(json, false),
    '2026-01-31T12:00:00Z INF m a="\\\\u001b[31m"\n'
      .replace('"\\\\', '"\\')
      .replace('"\\u001b[31m"', "\\u001b[31m"),
  );
  assert.match(readable(json, true), /\u001b\[32mINF\u001b\[0m/);
});

test("a file that is large makes way, and only so many are kept", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "waybill-log-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const filePath = join(directory, "logs", "waybill.log");
  const errors: Error[] = [];
  const options = { filePath, maxSize: 1, maxAge: 1, maxBackups: 2, compress: false };
  const sink = new RotatingSink(options, (error) => void errors.push(error));
  const line = `${"x".repeat(1023)}\n`;
  for (let i = 0; i < 4500; i++) sink.write(line);
  sink.flushSync();
  sink.close();
  const names = readdirSync(join(directory, "logs")).sort();
  assert.deepEqual(errors, []);
  assert.equal(names.length, 3);
  assert.ok(names.slice(0, 2).every((name) => /^waybill-\d{4}-.*\.log$/.test(name)));
  assert.equal(readFileSync(filePath).length, 4500 * 1024 - 4 * 1024 * 1024);
});

test("rotated files are compressed on request", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "waybill-log-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const options = {
    filePath: join(directory, "a.log"),
    maxSize: 1,
    maxAge: 0,
    maxBackups: 0,
    compress: true,
  };
  const sink = new RotatingSink(options, (error) => assert.fail(error));
  const line = `${"x".repeat(1023)}\n`;
  for (let i = 0; i < 1025; i++) sink.write(line);
  const packed = () => readdirSync(directory).find((name) => name.endsWith(".gz"));
  const plain = () => readdirSync(directory).some((name) => /^a-.*\.log$/.test(name));
  while (packed() === undefined || plain()) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(gunzipSync(readFileSync(join(directory, packed()!))).length, 1024 * 1024);
  sink.close();
});

test("a file is opened again under its name after somebody else moved it", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "waybill-log-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const filePath = join(directory, "a.log");
  const { values } = read(logOptions, { filePath, format: "json" });
  const log = createLog(values as LogOptions);
  log.info({}, "before");
  log.flush();
  rmSync(filePath);
  log.reopen();
  while (!existsSync(filePath)) await new Promise((resolve) => setTimeout(resolve, 10));
  log.info({}, "after");
  // A write may be under way, which nobody can hurry.
  while (!readFileSync(filePath, "utf8").includes("after"))
    await new Promise((resolve) => setTimeout(resolve, 10));
  log.close();
});

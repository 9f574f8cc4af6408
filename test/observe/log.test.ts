import assert from "node:assert/strict";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { type LogOptions, logOptions } from "../../src/model/log-settings.ts";
import { LineSink } from "../../src/observe/line-sink.ts";
import { createLog, readable } from "../../src/observe/log.ts";
import { Rotation, type RotationOptions } from "../../src/observe/rotation.ts";
import { eventually } from "../e2e/harness.ts";
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

interface Rotated extends Disposable {
  readonly path: string;
  readonly errors: readonly Error[];
  readonly sink: LineSink;
  readonly rotation: Rotation;
  readonly names: () => string[];
}

function rotated(options: Partial<RotationOptions>): Rotated {
  const directory = mkdtempSync(join(tmpdir(), "waybill-log-"));
  const path = join(directory, "logs", "waybill.log");
  const errors: Error[] = [];
  const failed = (error: Error) => void errors.push(error);
  const sink = new LineSink(path, failed);
  const usual = { maxSize: 0, rotateEvery: 0, maxAge: 0, maxBackups: 0, compress: false };
  const rotation = Rotation.of({ ...usual, ...options, filePath: path }, () => sink.reopen(), failed)!;
  return {
    path,
    errors,
    sink,
    rotation,
    names: () => readdirSync(join(directory, "logs")).sort(),
    [Symbol.dispose]() {
      rotation.close();
      sink.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const HOUR_MS = 3_600_000;
const KILOBYTE_LINE = `${"x".repeat(1023)}\n`;

test("maxSize and maxBackups: a file that is large makes way, and only so many are kept", async () => {
  using log = rotated({ maxSize: 1, maxBackups: 2 });
  const startMs = Date.now();
  for (let round = 1; round <= 4; round++) {
    for (let i = 0; i < 1024; i++) log.sink.write(KILOBYTE_LINE);
    await log.sink.flush();
    log.rotation.look(startMs + round * 11_000);
    log.sink.write("next\n");
    await log.sink.flush();
  }
  assert.deepEqual(log.errors, []);
  assert.equal(log.names().length, 3);
  assert.ok(
    log
      .names()
      .slice(0, 2)
      .every((name) => /^waybill-\d{4}-.*\.log$/.test(name)),
  );
  assert.equal(readFileSync(log.path, "utf8"), "next\n");
});

test("rotateEvery and maxAge: a file ends with its hour, and is kept for so many days", async () => {
  using log = rotated({ rotateEvery: HOUR_MS, maxAge: 1 });
  log.sink.write("first\n");
  await log.sink.flush();
  const bornMs = Date.now();
  log.rotation.look(bornMs);
  assert.deepEqual(log.names(), ["waybill.log"]);
  const nextHourMs = (Math.floor(bornMs / HOUR_MS) + 1) * HOUR_MS;
  log.rotation.look(nextHourMs);
  assert.equal(log.names().length, 2);
  assert.equal(readFileSync(log.path, "utf8"), "");
  log.rotation.look(nextHourMs + 23 * HOUR_MS);
  assert.equal(log.names().length, 2);
  log.rotation.look(nextHourMs + 25 * HOUR_MS);
  assert.deepEqual(log.names(), ["waybill.log"]);
});

test("compress: rotated files are packed once nobody writes to them any more", async () => {
  using log = rotated({ rotateEvery: HOUR_MS, compress: true });
  log.sink.write(KILOBYTE_LINE);
  await log.sink.flush();
  const nowMs = Date.now() + HOUR_MS;
  log.rotation.look(nowMs);
  log.rotation.look(nowMs + 5000);
  assert.ok(!log.names().some((name) => name.endsWith(".gz")));
  log.rotation.look(nowMs + 11_000);
  await eventually(() => {
    const packed = log.names();
    assert.deepEqual([packed.length, packed[0]!.endsWith(".log.gz")], [2, true]);
    const bytes = gunzipSync(readFileSync(join(log.path, "..", packed[0]!)));
    assert.equal(bytes.toString(), KILOBYTE_LINE);
  });
});

test("the log's own rotation is told by log.maxSize, rotateEvery, maxAge, maxBackups and compress", async () => {
  const old = ["03", "02", "01"].map((day) => `a-2020-01-${day}T00-00-00.000Z.log`);
  for (const [option, value, kept] of [
    ["maxAge", "1", ["a.log"]],
    ["maxBackups", "1", ["a.log", old[0]]],
    ["compress", "true", ["a.log", ...old.map((name) => `${name}.gz`)]],
  ] as const) {
    const folder = mkdtempSync(join(tmpdir(), "waybill-log-"));
    for (const name of old) writeFileSync(join(folder, name), "old\n");
    const { values } = read(logOptions, { filePath: join(folder, "a.log"), [option]: value });
    const log = createLog(values as LogOptions);
    log.info({}, "one");
    await eventually(() => assert.deepEqual(readdirSync(folder).sort().reverse(), kept, option), 40);
    await log.close();
    rmSync(folder, { recursive: true, force: true });
  }
  for (const [option, value] of [
    ["maxSize", "1"],
    ["rotateEvery", "1s"],
  ] as const) {
    const folder = mkdtempSync(join(tmpdir(), "waybill-log-"));
    const { values } = read(logOptions, { filePath: join(folder, "a.log"), [option]: value });
    const log = createLog(values as LogOptions);
    for (let i = 0; i < 300; i++) log.info({ i, long: "x".repeat(4000) }, "many");
    await eventually(() => assert.ok(readdirSync(folder).length > 1, option));
    await log.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

test("RS-15 a full disk: what waits is bounded, and is written when there is room again", async () => {
  const directory = mkdtempSync(join(tmpdir(), "waybill-log-"));
  const path = join(directory, "a.log");
  symlinkSync("/dev/full", path);
  const errors: string[] = [];
  const sink = new LineSink(path, (error) => void errors.push(error.message));
  const line = `${"x".repeat(16_383)}\n`;
  for (let i = 0; i < 700; i++) sink.write(line);
  assert.ok(sink.dropped > 50 && sink.dropped < 70, `${sink.dropped} dropped`);
  await eventually(() => assert.match(errors.join(), /ENOSPC|lines are dropped/));
  assert.equal(errors.length, 1);
  const startMs = performance.now();
  sink.flushSync();
  assert.ok(performance.now() - startMs < 5000);
  rmSync(path);
  sink.reopen();
  await eventually(() => assert.equal(readFileSync(path).length, (700 - sink.dropped) * line.length));
  sink.close();
  rmSync(directory, { recursive: true, force: true });
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

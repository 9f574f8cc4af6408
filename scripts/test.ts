import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Readable } from "node:stream";
import { run } from "node:test";
import { dot, spec, tap } from "node:test/reporters";

/**
 * Runs the tests: `node scripts/test.ts [part of a path]...`. Those with a real engine, CA or browser come last and
 * one file at a time, because they share ports and machines. Both runs are told as one, with one summary at the end.
 */
const wanted = process.argv.slice(2);
const files = globSync("test/**/*.test.ts")
  .sort()
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part.replace(/^\.\//, ""))));

if (files.length === 0) {
  console.error(`no test file has ${wanted.join(" or ")} in its path`);
  process.exit(1);
}

const TIMEOUT_MS = 300_000;
const isAlone = (file: string) => file.startsWith("test/e2e/");
const groups = [
  { files: files.filter((file) => !isAlone(file)), concurrency: Math.min(8, availableParallelism()) },
  { files: files.filter(isAlone), concurrency: 1 },
].filter((group) => group.files.length > 0);

const totals = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];
const started = performance.now();

async function* events() {
  for (const group of groups) {
    const options = { ...group, timeout: TIMEOUT_MS, execArgv: [`--test-timeout=${TIMEOUT_MS}`] };
    for await (const event of run(options)) if (count(event)) yield event;
  }
}

/** False for what each run says at its own end. */
function count(event: { readonly type: string; readonly data: unknown }): boolean {
  const data = event.data as {
    readonly file?: string;
    readonly name?: string;
    readonly nesting?: number;
    readonly counts?: { passed: number; failed: number; cancelled: number; skipped: number; todo: number };
  };
  if (event.type === "test:summary" && data.file === undefined && data.counts !== undefined) {
    totals.passed += data.counts.passed;
    totals.failed += data.counts.failed + data.counts.cancelled;
    totals.skipped += data.counts.skipped + data.counts.todo;
  }
  if (event.type === "test:fail") failures.push(`${data.file ?? ""}: ${data.name ?? ""}`);
  return event.type !== "test:summary" && !(event.type === "test:diagnostic" && data.file === undefined);
}

const reporters = { dot, spec: new spec(), tap };
const reporter = reporters[(process.env.TEST_REPORTER as keyof typeof reporters | undefined) ?? "spec"];
for await (const text of Readable.from(events()).compose(reporter)) process.stdout.write(text);

const isGreen = totals.failed === 0 && failures.length === 0;
const counts = [
  `${totals.passed} passed`,
  ...(totals.failed > 0 ? [`${totals.failed} failed`] : []),
  ...(totals.skipped > 0 ? [`${totals.skipped} skipped`] : []),
];
const seconds = Math.round((performance.now() - started) / 1000);
console.log(`\n${"=".repeat(78)}`);
for (const failure of failures) console.log(`failed: ${failure.replace(`${process.cwd()}/`, "")}`);
console.log(`${isGreen ? "PASS" : "FAIL"}: ${counts.join(", ")}; ${files.length} files in ${seconds} s`);
process.exitCode = isGreen ? 0 : 1;

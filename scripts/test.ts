import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";

/**
 * Runs the tests: `node scripts/test.ts [part of a path]...`. Those with a real engine, CA or browser come last and
 * one file at a time, because they share ports and machines.
 */
const wanted = process.argv.slice(2);
const files = globSync("test/**/*.test.ts")
  .sort()
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part.replace(/^\.\//, ""))));

if (files.length === 0) {
  console.error(`no test file has ${wanted.join(" or ")} in its path`);
  process.exit(1);
}

const isAlone = (file: string) => file.startsWith("test/e2e/");
const groups = [
  { files: files.filter((file) => !isAlone(file)), concurrency: Math.min(8, availableParallelism()) },
  { files: files.filter(isAlone), concurrency: 1 },
];

let failed = false;
for (const { files, concurrency } of groups.filter(({ files }) => files.length > 0)) {
  const options = [`--test-concurrency=${concurrency}`, "--test-timeout=300000", ...reporter()];
  const { status } = spawnSync(process.execPath, ["--test", ...options, ...files], { stdio: "inherit" });
  failed ||= status !== 0;
}
process.exitCode = failed ? 1 : 0;

// What passes is counted and not listed; failures come with all they said.
function reporter(): string[] {
  return process.env.TEST_REPORTER ? [`--test-reporter=${process.env.TEST_REPORTER}`] : [];
}

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { everyOption, hasEffect } from "../test/options/declared.ts";
import { filesNaming, testsOf } from "../test/options/tests-of.ts";

/**
 * Asks of every option whether a test would notice if it did nothing: `node scripts/ignored-options.ts [path]...`
 * makes one after the other do nothing and runs the tests that name it, in working order first. Prints those that
 * nobody missed. It takes long and belongs to no suite; what belongs there is that every option has a test that names
 * it.
 */
const root = join(import.meta.dirname, "..");
const preload = join(root, "test/options/ignore-option.ts");
const wanted = process.argv.slice(2);
const rows = (await everyOption()).filter(
  (row) => hasEffect(row) && (wanted.length === 0 || wanted.some((path) => row.path.startsWith(path))),
);

const fits = new Map<string, boolean>();
let unnoticed = 0;
for (const { path } of rows) {
  const named = filesNaming(path, testsOf(path), (file) => readFileSync(join(root, file), "utf8"));
  const files = named.filter(isFit);
  if (files.some((file) => fails(file, path))) continue;
  unnoticed++;
  console.log(`${path}: nobody notices; ${files.join(", ") || "no test names it"}`);
}
console.log(`${rows.length - unnoticed} of ${rows.length} options are noticed when they do nothing`);
process.exitCode = unnoticed > 0 ? 1 : 0;

/** A test that fails with every option at work notices nothing. */
function isFit(file: string): boolean {
  let fit = fits.get(file);
  if (fit === undefined) {
    fit = !fails(file, "");
    fits.set(file, fit);
    if (!fit) console.log(`${file} fails by itself, and does not count`);
  }
  return fit;
}

function fails(file: string, path: string): boolean {
  const { status } = spawnSync(process.execPath, ["--import", preload, join(root, file)], {
    cwd: root,
    stdio: "ignore",
    timeout: 120_000,
    env: { ...process.env, IGNORED: path },
  });
  return status !== 0;
}

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { test } from "node:test";

const LAUNCHER = resolve(import.meta.dirname, "../../bin/waybill.js");

test("the launcher runs from anywhere, under any name, and gives the exit code on", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "waybill-bin-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const link = join(directory, "traefik");
  symlinkSync(LAUNCHER, link);
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [link, ...args], { cwd: directory, encoding: "utf8" });
  assert.match(run("version").stdout, /^Waybill /);
  const wrong = run("--nonsense=1");
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /flag --nonsense/);
});

test("a Node that is too old starts the project's own", (t) => {
  const old = oldNode();
  if (old === undefined) return t.skip("there is no Node older than 26 on this machine");
  const { stdout, status } = spawnSync(old, [LAUNCHER, "version"], { encoding: "utf8" });
  assert.equal(status, 0);
  assert.match(stdout, /\(Node 2[6-9]|[3-9]\d/);
  assert.equal(spawnSync(old, [LAUNCHER, "--nonsense"]).status, 1);
});

function oldNode(): string | undefined {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((directory) => join(directory, "node"))
    .find((node) => {
      try {
        const version = execFileSync(node, ["-p", "process.versions.node"], { encoding: "utf8" });
        return Number.parseInt(version, 10) < 26;
      } catch {
        return false;
      }
    });
}

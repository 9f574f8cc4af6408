import assert from "node:assert/strict";
import { chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { dropPrivileges } from "../../src/control/privileges.ts";
import type { Logger } from "../../src/model/host.ts";
import { loadSettings } from "../../src/settings/load.ts";

const lines: string[] = [];
const write = (_: Record<string, unknown>, message: string) => void lines.push(message);
const log: Logger = { debug: write, info: write, warn: write, error: write };

function drop(flags: readonly string[], uid = 0): string[] {
  const argv = ["--entryPoints.web.address=:8000", ...flags];
  const { settings } = loadSettings({ argv, env: new Map(), cwd: "/", readFile: () => "" });
  const calls: string[] = [];
  dropPrivileges(settings, log, {
    getuid: () => uid,
    setgroups: (groups) => void calls.push(`groups ${groups.join(" ")}`),
    setgid: (id) => void calls.push(`group ${id}`),
    setuid: (id) => void calls.push(`user ${id}`),
  });
  return calls;
}

const asRoot = {
  skip: process.getuid?.() !== 0 && process.env["CI"] !== "true" && "needs root",
};

test("root becomes the user that the settings name: groups first, the user last", () => {
  assert.deepEqual(drop(["--user=65532"]).slice(1), ["group 65532", "user 65532"]);
});

test("the group of the engine's socket is kept", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "waybill-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const socket = join(folder, "docker.sock");
  writeFileSync(socket, "");
  const [groups] = drop(["--user=65532", `--providers.docker.endpoint=unix://${socket}`]);
  assert.equal(groups, `groups ${statSync(socket).gid}`);
});

test("nobody is changed who is not root, or is to stay root", () => {
  assert.deepEqual(drop(["--user=65532"], 1000), []);
  assert.deepEqual(drop([]), []);
  assert.deepEqual(drop(["--user=0"]), []);
});

test("what we write is handed over, what somebody else owns is not", asRoot, (t) => {
  const folder = mkdtempSync(join(tmpdir(), "waybill-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [ours, theirs] = [join(folder, "ours"), join(folder, "theirs")];
  mkdirSync(join(ours, "inner"), { recursive: true });
  mkdirSync(theirs);
  chownSync(theirs, 1234, 1234);
  const resolver = (name: string, storage: string) => [
    `--certificatesResolvers.${name}.acme.storage=${storage}`,
    `--certificatesResolvers.${name}.acme.tlsChallenge=true`,
  ];
  drop(["--user=65532", ...resolver("a", ours), ...resolver("b", theirs)]);
  assert.equal(statSync(join(ours, "inner")).uid, 65532);
  assert.equal(statSync(theirs).uid, 1234);
});

// Even root may not give away what is in there, as in a container without the capability CHOWN.
const NOT_TO_BE_GIVEN = "/proc/sys/kernel/ostype";

test("a log file that cannot be handed over is said, and root is left all the same", asRoot, () => {
  lines.length = 0;
  const calls = drop(["--user=65532", `--log.filePath=${NOT_TO_BE_GIVEN}`]);
  assert.equal(calls.at(-1), "user 65532");
  assert.match(lines[0]!, /^this log file stays root's/);
});

test("where certificates could not be kept by the user, root stays", asRoot, () => {
  lines.length = 0;
  const storage = "--certificatesResolvers.a.acme.storage=/proc/sys/kernel/random";
  const calls = drop(["--user=65532", storage, "--certificatesResolvers.a.acme.tlsChallenge=true"]);
  assert.deepEqual(calls, []);
  assert.match(lines[0]!, /^staying root: certificates could not be kept/);
});

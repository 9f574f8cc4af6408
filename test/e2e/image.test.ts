import assert from "node:assert/strict";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { docker, eventually, sh, withoutEngine } from "./engine.ts";

const skip = withoutEngine();
const PROJECT = "waybill-e2e";

/** What an example cannot do without; names that nobody vouches for are asked for nowhere. */
const ENVIRONMENT = { STORAGE_KEY: "0123456789abcdef0123456789abcdef" };

function compose(folder: string, ...args: string[]): string {
  const where = ["-p", PROJECT, "--project-directory", folder, "-f", `${folder}/docker-compose.yml`];
  return sh("docker-compose", [...where, ...args], ENVIRONMENT);
}

const down = (folder: string) => compose(folder, "down", "-v", "--remove-orphans", "-t", "1");

before(() => {
  if (skip === false) docker("build", "--network", "host", "-t", "waybill", ".");
});

test("the project's compose file serves its whoami, from the image built here", { skip }, async (t) => {
  after(() => down("."));
  compose(".", "up", "-d", "--no-build");
  const body = await eventually(60, () =>
    sh("curl", ["-sf", "-H", "Host: whoami.localhost", "http://127.0.0.1/"]),
  );
  assert.match(body, /^Hostname: [0-9a-f]{12}$/m);
  assert.match(body, /^X-Forwarded-Host: whoami\.localhost$/m);

  const id = compose(".", "ps", "-q", "waybill");
  await eventually(60, () =>
    assert.equal(docker("inspect", "-f", "{{.State.Health.Status}}", id), "healthy"),
  );

  // Nothing of ours is left running as root, and nothing can be written.
  const [, ...users] = docker("top", id, "-eo", "pid,uid").split("\n");
  assert.deepEqual([...new Set(users.map((line) => line.trim().split(/\s+/)[1]))], ["65532"]);
  assert.throws(
    () => docker("exec", id, "node", "-e", "require('fs').writeFileSync('/app/x', '')"),
    /EROFS|EACCES/,
  );
  const megabytes = Number(docker("image", "inspect", "-f", "{{.Size}}", "waybill")) / 1e6;
  t.diagnostic(`image size: ${megabytes.toFixed(0)} MB`);

  docker("stop", "-t", "30", id);
  assert.equal(docker("inspect", "-f", "{{.State.ExitCode}}", id), "0", "stops within its grace time");
});

// The lines that a recipe tells people to try are run as they stand; those that bring it up come first.
for (const file of globSync("examples/*/docker-compose.yml").sort()) {
  const folder = dirname(file);
  test(`the example ${basename(folder)} does what its first lines promise`, { skip }, async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), "waybill-example-"));
    const env = { COMPOSE_PROJECT_NAME: PROJECT, COMPOSE_FILE: resolve(file) };
    const run = (command: string) =>
      sh("bash", ["-euo", "pipefail", "-c", `cd ${elsewhere} && ${command}`], env);
    try {
      const lines = readFileSync(file, "utf8").split("\n");
      const promised = lines.slice(
        0,
        lines.findIndex((line) => !line.startsWith("#")),
      );
      const commands = promised.flatMap((line) => /^# {3}(.*)$/.exec(line)?.[1] ?? []);
      const isUp = (command: string) => command.includes("docker-compose up");
      const ups = commands.filter(isUp);
      for (const up of ups.length > 0 ? ups : ["docker-compose up -d"])
        run(up.replace("docker-compose up", "docker-compose up --no-build"));
      for (const command of commands.filter((one) => !isUp(one)))
        await eventually(60, () => run(asScript(command)));
    } finally {
      down(folder);
      rmSync(elsewhere, { recursive: true });
    }
  });
}

/** Without a terminal. An answer that is an error fails, unless the line itself says which answer it wants. */
function asScript(command: string): string {
  const curl = command.includes("| grep") ? "curl -sS" : "curl -sSf";
  return command.replaceAll(/\bcurl\b/g, curl).replaceAll("docker-compose exec", "docker-compose exec -T");
}

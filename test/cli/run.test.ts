import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";

const LAUNCHER = resolve(import.meta.dirname, "../../bin/waybill.js");

interface Line {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

test("the start says at debug level which setting replaces which, without secrets, and which engine is asked", async (t) => {
  const cwd = mkdtempSync(join(tmpdir(), "waybill-run-"));
  writeFileSync(
    join(cwd, "waybill.yml"),
    "log: { level: ERROR }\nproviders: { docker: { endpoint: tcp://elsewhere:2375, username: u, password: from-the-file } }\n",
  );
  const env = {
    ...process.env,
    HOME: cwd,
    XDG_CONFIG_HOME: cwd,
    DOCKER_HOST: `unix://${cwd}/no.sock`,
    TRAEFIK_LOG_FORMAT: "common",
    WAYBILL_LOG_FORMAT: "json",
    WAYBILL_PROVIDERS_DOCKER_PASSWORD: "from-the-environment",
  };
  const flags = ["--log.level=debug", "--entrypoints.web.address=127.0.0.1:0", "--threads=1"];
  const child = spawn(process.execPath, [LAUNCHER, ...flags], {
    cwd,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => {
    child.kill("SIGKILL");
    rmSync(cwd, { recursive: true, force: true });
  });
  const lines: Line[] = [];
  for await (const text of createInterface({ input: child.stdout })) {
    lines.push(JSON.parse(text) as Line);
    // A provider that has not spoken in time does not hold the start up.
    const isReady = lines.some(({ message }) => message === "Waybill is ready");
    if (isReady && lines.some(({ code }) => code === "engine-unreachable")) break;
  }
  child.kill("SIGTERM");
  const [code] = await once(child, "exit");
  assert.equal(code, 0);

  const replaced = lines.filter(({ message }) => message === "one setting replaces another");
  assert.ok(replaced.every(({ level }) => level === "debug"));
  assert.deepEqual(
    replaced.map(({ option, by, over }) => [option, by, over]),
    [
      ["log.format", "environment WAYBILL_LOG_FORMAT", "environment TRAEFIK_LOG_FORMAT"],
      [
        "providers.docker.password",
        "environment WAYBILL_PROVIDERS_DOCKER_PASSWORD",
        `${cwd}/waybill.yml:2:69 providers.docker.password`,
      ],
      ["log.level", "flag --log.level", `${cwd}/waybill.yml:1:8 log.level`],
    ],
  );
  assert.doesNotMatch(JSON.stringify(lines), /from-the-(?:file|environment)/);
  const watching = lines.find(({ message }) => message === "watching");
  assert.deepEqual([watching?.["endpoint"], watching?.["by"]], [env.DOCKER_HOST, "environment DOCKER_HOST"]);
  const away = lines.find(({ code: about }) => about === "engine-unreachable");
  assert.match(
    away?.message ?? "",
    /^environment DOCKER_HOST: .*cannot be reached at unix:.*no\.sock: there is no such socket/,
  );
});

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Redis } from "ioredis";
import { freePort } from "../free-port.ts";
import { until } from "./pebble.ts";

/** A Redis of its own, and a directory for each machine's copy. */
export async function startRedis(t: TestContext) {
  if (spawnSync("which", ["redis-server"]).status !== 0) {
    if (process.env["CI"] === "true") throw new Error("redis-server is not installed");
    t.skip("redis-server is not installed");
    return undefined;
  }
  const folder = mkdtempSync(join(tmpdir(), "waybill-redis-"));
  const port = await freePort();
  const server = spawn("redis-server", ["--port", String(port), "--save", "", "--dir", folder], {
    stdio: "ignore",
  });
  const url = `redis://127.0.0.1:${port}/0`;
  const redis = new Redis(url, { retryStrategy: () => 50, protocol: 2 });
  redis.on("error", () => {});
  t.after(() => {
    redis.disconnect();
    server.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  await until(async () => (await redis.ping()) === "PONG");
  const environment = (machine: string) => ({
    WAYBILL_STORAGE_KEY: "secret",
    WAYBILL_STORAGE_COPY: join(folder, machine),
  });
  return { url, redis, server, environment };
}

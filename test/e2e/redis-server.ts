import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Redis } from "ioredis";
import { freePort } from "../free-port.ts";
import { eventually } from "./harness.ts";

/** Why tests with a real Redis cannot run here, or false when they can. In CI they always run, and fail without it. */
export function withoutRedis(): string | false {
  if (process.env["CI"] === "true") return false;
  const missing = ["redis-server", "redis-sentinel"].filter(
    (name) => spawnSync("which", [name]).status !== 0,
  );
  return missing.length > 0 && `needs ${missing.join(" and ")}`;
}

export interface RedisServer {
  readonly port: number;
  readonly endpoint: string;
  readonly folder: string;
  /** Our own way in. */
  readonly client: Redis;
  process: ChildProcess;
  start(): Promise<void>;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
}

export interface RedisServerOptions {
  readonly port?: number;
  readonly args?: readonly string[];
  readonly password?: string;
}

/** A Redis of the test's own, on loopback; killed when the test is over. */
export async function startRedis(t: TestContext, options: RedisServerOptions = {}): Promise<RedisServer> {
  const server = await makeRedis(t, options);
  await server.start();
  return server;
}

/** The same, not running yet. */
export async function makeRedis(t: TestContext, options: RedisServerOptions = {}): Promise<RedisServer> {
  const port = options.port ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), "waybill-redis-"));
  const given = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder];
  const client = new Redis({
    host: "127.0.0.1",
    port,
    protocol: 2,
    lazyConnect: true,
    commandTimeout: 3000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => 50,
    ...(options.password !== undefined && { password: options.password }),
  });
  client.on("error", () => {});
  const server: RedisServer = {
    port,
    endpoint: `127.0.0.1:${port}`,
    folder,
    client,
    process: undefined as unknown as ChildProcess,
    async start() {
      server.process = spawn("redis-server", [...given, ...(options.args ?? [])], { stdio: "ignore" });
      if (client.status === "wait") await client.connect().catch(() => {});
      await eventually(async () => {
        await client.ping();
      });
    },
    async kill() {
      const gone = new Promise((resolve) => server.process.once("exit", resolve));
      server.process.kill("SIGKILL");
      await gone;
    },
  };
  t.after(() => {
    client.disconnect();
    server.process?.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  return server;
}

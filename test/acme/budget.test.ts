import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { scratch } from "./helpers.ts";
import { startRedis } from "./redis-server.ts";

const SPENDER = new URL("./spender.ts", import.meta.url).pathname;
/** What Let's Encrypt gives one registered domain before it makes it wait. */
const DOMAIN_MOST = 50;
const MACHINES = ["a", "b", "c"];

async function givenToAll(storage: string, environmentOf: (machine: string) => Record<string, string>) {
  const run = promisify(execFile);
  const given = await Promise.all(
    MACHINES.map(async (machine) => {
      const env = { ...process.env, ...environmentOf(machine) };
      return Number((await run(process.execPath, [SPENDER, storage, machine, "40"], { env })).stdout);
    }),
  );
  return given.reduce((sum, one) => sum + one);
}

test("AC-23 three processes that share a directory are given what the CA allows, together", async (t) => {
  assert.equal(await givenToAll(scratch(t), () => ({})), DOMAIN_MOST);
});

test("AC-23 three machines that share a Redis are given what the CA allows, together", async (t) => {
  const redis = await startRedis(t);
  if (redis === undefined) return;
  assert.equal(await givenToAll(redis.url, redis.environment), DOMAIN_MOST);
});

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { hasPebble, type Pebble, startPebble } from "../acme/pebble.ts";
import { startRedis } from "../acme/redis-server.ts";
import { freePort } from "../free-port.ts";
import { eventually } from "./harness.ts";
import { resolverFlags, scratchFolder, secureGet, shown } from "./https.ts";

const HOSTS = Array.from({ length: 5 }, (_, i) => `shared${i}.example.com`);
const PROGRAM = new URL("../../bin/waybill.js", import.meta.url).pathname;

interface Machine {
  readonly web: number;
  readonly websecure: number;
  readonly child: ChildProcess;
  log(): string;
}

function routesFor(t: TestContext, hosts: readonly string[]): string {
  const file = join(scratchFolder(t), "routes.yml");
  const router = (host: string, i: number) =>
    `    r${i}: { rule: "Host(\`${host}\`)", service: noop@internal, entryPoints: [websecure], tls: { certResolver: le } }`;
  writeFileSync(file, `http:\n  routers:\n${hosts.map(router).join("\n")}\n`);
  return file;
}

/** The program itself, in a process of its own, on ports of its own. */
async function startMachine(
  t: TestContext,
  flags: readonly string[],
  env: Record<string, string>,
): Promise<Machine> {
  const [web, websecure] = [await freePort(), await freePort()];
  const own = flags.map((flag) =>
    flag
      .replace(/(entryPoints.web.address=127.0.0.1:).*/, `$1${web}`)
      .replace(/(entryPoints.websecure.address=127.0.0.1:).*/, `$1${websecure}`),
  );
  const child = spawn(process.execPath, [PROGRAM, ...own], { env: { ...process.env, ...env } });
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => said.push(String(chunk)));
  t.after(() => void child.kill("SIGKILL"));
  return { web, websecure, child, log: () => said.join("") };
}

/** What stands before machines of one name: each connection goes to the next one that takes it. */
async function startBalancer(t: TestContext, port: number, machines: readonly number[]): Promise<void> {
  let turn = 0;
  const lead = (client: Socket, triesLeft: number) => {
    const server = connect(machines[turn++ % machines.length]!, "127.0.0.1");
    server.once("connect", () => {
      client.pipe(server).pipe(client);
      client.once("close", () => server.destroy());
    });
    server.on("error", () => {
      if (server.pending && triesLeft > 0) setTimeout(() => lead(client, triesLeft - 1), 50);
      else client.destroy();
    });
  };
  const balancer = createServer((client) => {
    client.on("error", () => {});
    lead(client, 40);
  });
  await new Promise<void>((resolve) => balancer.listen(port, "127.0.0.1", resolve));
  t.after(() => balancer.close());
}

function flagsFor(pebble: Pebble, redisUrl: string, file: string, more: readonly string[] = []): string[] {
  return [
    ...resolverFlags(pebble, redisUrl, ["httpChallenge.entryPoint=web", ...more]),
    "--providers.docker=false",
    `--providers.file.filename=${file}`,
    "--threads=1",
  ];
}

/** Until both serve the host with the same certificate of the CA. */
async function servedByAll(machines: readonly Machine[], host: string, ca: string, seconds: number) {
  for (const { websecure } of machines) {
    await eventually(async () => {
      assert.equal((await secureGet(websecure, host, { ca })).status, 418);
    }, seconds).catch((error: Error) => {
      const logs = machines.map(({ log }) => log()).join("\n---\n");
      throw new Error(`${host}: ${error.message}\n${logs}`);
    });
  }
  const certificates = await Promise.all(machines.map(({ websecure }) => shown(websecure, host)));
  assert.equal(new Set(certificates.map(({ serialNumber }) => serialNumber)).size, 1);
}

const timesIn = (machines: readonly Machine[], what: RegExp) =>
  machines.reduce((sum, { log }) => sum + (log().match(what) ?? []).length, 0);

test("AC-17 two processes that start at once with one Redis order each name once, and any answers the CA", async (t) => {
  if (!hasPebble(t)) return;
  const redis = await startRedis(t);
  if (redis === undefined) return;
  const pebble = await startPebble(t);
  const delay = process.env["CHALLENGE_DELAY"] ?? "1s";
  const flags = flagsFor(pebble, redis.url, routesFor(t, HOSTS), [`httpChallenge.delay=${delay}`]);
  const machines = await Promise.all(
    ["one", "two"].map((name) => startMachine(t, flags, redis.environment(name))),
  );
  await startBalancer(
    t,
    pebble.httpPort,
    machines.map(({ web }) => web),
  );
  const ca = await pebble.root(0);
  for (const host of HOSTS) await servedByAll(machines, host, ca, 60);
  assert.equal(timesIn(machines, /certificate issued/g), HOSTS.length);
  assert.equal(timesIn(machines, /failures=/g), 0, "none had to be tried twice");
});

test("AC-18 a process that is killed over an order leaves it to the other, who asks for no second one", async (t) => {
  if (!hasPebble(t)) return;
  const redis = await startRedis(t);
  if (redis === undefined) return;
  const pebble = await startPebble(t);
  const flags = flagsFor(pebble, redis.url, routesFor(t, ["left.example.com"]), ["httpChallenge.delay=3s"]);
  const first = await startMachine(t, flags, redis.environment("one"));
  const orders = () => redis.redis.keys("waybill:acme:orders/*");
  await eventually(async () => assert.equal((await orders()).length, 1), 60);
  const second = await startMachine(t, flags, redis.environment("two"));
  await startBalancer(t, pebble.httpPort, [second.web]);
  first.child.kill("SIGKILL");
  // The lock of the dead one ends after 30 s.
  await servedByAll([second], "left.example.com", await pebble.root(0), 90);
  assert.equal(timesIn([second], /certificate issued/g), 1);
  assert.equal(timesIn([second], /failures=/g), 0);
  await eventually(async () => assert.deepEqual(await orders(), [], "it was that order that was finished"));
});

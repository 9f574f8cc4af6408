import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { freePort, hasPebble, startPebble } from "../acme/pebble.ts";
import { startRedis } from "../acme/redis-server.ts";
import { eventually } from "./harness.ts";
import { resolverFlags, scratchFolder, secureGet, shown } from "./https.ts";

const HOSTS = Array.from({ length: 5 }, (_, i) => `shared${i}.example.com`);
const PROGRAM = new URL("../../bin/waybill.js", import.meta.url).pathname;

/** The program itself, in a process of its own. Gives what it has logged so far. */
function startProcess(t: TestContext, flags: readonly string[], env: Record<string, string>): () => string {
  const child = spawn(process.execPath, [PROGRAM, ...flags], { env: { ...process.env, ...env } });
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => said.push(String(chunk)));
  t.after(() => void child.kill("SIGKILL"));
  return () => said.join("");
}

test("AC-17 two processes with one Redis order each name once, and both serve it", async (t) => {
  if (!hasPebble(t)) return;
  const redis = await startRedis(t);
  if (redis === undefined) return;
  const pebble = await startPebble(t);
  const file = join(scratchFolder(t), "routes.yml");
  const router = (host: string, i: number) =>
    `    r${i}: { rule: "Host(\`${host}\`)", service: noop@internal, entryPoints: [websecure], tls: { certResolver: le } }`;
  writeFileSync(file, `http:\n  routers:\n${HOSTS.map(router).join("\n")}\n`);
  const flags = [
    ...resolverFlags(pebble, redis.url, ["httpChallenge.entryPoint=web"]),
    "--providers.docker=false",
    `--providers.file.filename=${file}`,
    "--threads=1",
  ];
  const [web, websecure] = [await freePort(), await freePort()];
  // The CA reaches only the first: what the second orders is proved there.
  const elsewhere = flags.map((flag) =>
    flag
      .replace(/(entryPoints.web.address=127.0.0.1:).*/, `$1${web}`)
      .replace(/(entryPoints.websecure.address=127.0.0.1:).*/, `$1${websecure}`),
  );
  // What the second orders can be proved only once the first listens.
  const first = startProcess(t, flags, redis.environment("one"));
  await eventually(() => assert.match(first(), /listening entryPoint=web /), 60);
  const logs = [first, startProcess(t, elsewhere, redis.environment("two"))];
  const ca = await pebble.root(0);
  for (const host of HOSTS) {
    for (const port of [pebble.tlsPort, websecure]) {
      await eventually(async () => {
        assert.equal((await secureGet(port, host, { ca })).status, 418);
      }, 60).catch((error: Error) => {
        throw new Error(`${host}: ${error.message}\n${logs.map((log) => log()).join("\n---\n")}`);
      });
    }
    const [one, two] = await Promise.all([pebble.tlsPort, websecure].map((port) => shown(port, host)));
    assert.equal(one!.serialNumber, two!.serialNumber);
  }
  const issued = logs.flatMap((log) => log().match(/certificate issued/g) ?? []);
  assert.equal(issued.length, HOSTS.length);
});

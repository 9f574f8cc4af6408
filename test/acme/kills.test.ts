import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { FakeCa } from "./fake-ca.ts";
import { kept, openShelf, scratch } from "./helpers.ts";
import { until } from "./pebble.ts";

const KILLS = 200;
/** A process that gets certificates takes half a second to start. `KILLS=200` is for a quiet machine. */
const KILLS_WHILE_GETTING = Number(process.env["KILLS"] ?? 60);
const AT_ONCE = 4;
const MORTAL = new URL("./mortal.ts", import.meta.url).pathname;
const WRITER = new URL("./writer.ts", import.meta.url).pathname;

test("AC-14 two hundred kills while certificates are written leave a whole one each time, and the account", async (t) => {
  const one = await kept("killed.example.com");
  const two = await kept("killed.example.com");
  const storage = scratch(t);
  mkdirSync(dirname(storage), { recursive: true });
  const file = join(dirname(storage), "certificates.json");
  writeFileSync(file, JSON.stringify([one, two]));
  const known = [one.spec.id, two.spec.id];

  const killAgain = async (lane: number) => {
    const folder = `${storage}-${lane}`;
    for (let i = 0; i < KILLS / AT_ONCE; i++) {
      const writer = spawn(process.execPath, [WRITER, folder, file], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await once(writer.stdout, "data");
      await sleep(Math.random() * 60);
      writer.kill("SIGKILL");
      await once(writer, "exit");
      const { shelf } = await openShelf(folder);
      const { kept: found, blocked } = await shelf.loadCertificates();
      assert.equal(blocked.size, 0);
      assert.ok(known.includes(found[0]?.spec.id ?? "none"), `kill ${i} of lane ${lane}`);
      assert.equal((await shelf.loadAccount("ca.test"))?.key, one.spec.key);
      await shelf.vault.close();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, lane) => killAgain(lane)));
});

test("AC-14 AC-16 kills while certificates are got: each is ordered once, and nothing is broken", async (t) => {
  const ca = await new FakeCa().listen(t);
  const storage = scratch(t);
  const accounts = new Set<string>();
  const said: string[] = [];
  const begin = (lane: number, names: readonly string[]) => {
    const child = spawn(process.execPath, [MORTAL, `${storage}-${lane}`, ca.directory, ...names]);
    t.after(() => child.kill("SIGKILL"));
    child.stderr.on("data", (chunk) => said.push(String(chunk)));
    return child;
  };
  const finish = async (lane: number, rounds: number) => {
    const names: string[] = [];
    for (let round = 0; round < rounds; round++) {
      names.push(`www.lane${lane}-${round}.com`);
      const child = begin(lane, names);
      await once(child.stdout, "data");
      await sleep(Math.random() * 120);
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    const last = begin(lane, names);
    let out = "";
    last.stdout.on("data", (chunk) => {
      out += String(chunk);
    });
    const { shelf, reports } = await openShelf(`${storage}-${lane}`);
    await until(async () => out.includes("all") && (await shelf.loadCertificates()).kept.length === rounds);
    last.kill("SIGKILL");
    accounts.add(
      (await shelf.loadAccount(ca.directory.replace(/^http:..(.*)\/dir$/, "$1").replace(":", "-")))!.key,
    );
    assert.deepEqual(await shelf.vault.list("quarantine"), []);
    assert.deepEqual(reports, []);
    await shelf.vault.close();
  };
  await Promise.all(
    Array.from({ length: AT_ONCE }, (_, lane) => finish(lane, KILLS_WHILE_GETTING / AT_ONCE)),
  );
  assert.equal(ca.orders.length, KILLS_WHILE_GETTING, "a second order of a name");
  assert.equal(ca.issued, KILLS_WHILE_GETTING);
  assert.equal(accounts.size, AT_ONCE);
  assert.deepEqual(said, []);
});

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { kept, openShelf, scratch } from "./helpers.ts";

const KILLS = 200;
const AT_ONCE = 4;
const WRITER = new URL("./writer.ts", import.meta.url).pathname;

test("AC-14 two hundred kills while certificates are written leave a whole one each time", async (t) => {
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
      // The first one must have been written once: nothing is there before.
      await sleep(i === 0 ? 500 : Math.random() * 60);
      writer.kill("SIGKILL");
      await once(writer, "exit");
      const { shelf } = await openShelf(folder);
      const { kept: found, blocked } = await shelf.loadCertificates();
      assert.equal(blocked.size, 0);
      assert.ok(known.includes(found[0]?.spec.id ?? "none"), `kill ${i} of lane ${lane}`);
      await shelf.vault.close();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, lane) => killAgain(lane)));
});

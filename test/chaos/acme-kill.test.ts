import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { kept, openShelf, scratch } from "../acme/helpers.ts";

test("AC-14 200 kills while certificates are written leave no broken file", {
  timeout: 120_000,
}, async (t) => {
  const storage = scratch(t);
  const writer = join(import.meta.dirname, "acme-kill-writer.ts");
  mkdirSync(storage, { recursive: true, mode: 0o700 });
  for (let i = 0; i < 10; i++) {
    const versions = [await kept(`n${i}.example.com`), await kept(`n${i}.example.com`)];
    writeFileSync(join(storage, `n${i}.json`), JSON.stringify(versions));
  }
  for (let round = 0; round < 20; round++) {
    // Ten writers at a time, each killed at a moment of its own.
    const children = Array.from({ length: 10 }, (_, i) =>
      spawn(process.execPath, [writer, storage, `n${i}.json`], {
        stdio: ["ignore", "pipe", "inherit"],
      }),
    );
    await Promise.all(
      children.map(async (child) => {
        await new Promise((resolve) => child.stdout.once("data", resolve).once("end", resolve));
        await wait(Math.random() * 40);
        child.kill("SIGKILL");
        await new Promise((resolve) => child.once("exit", resolve));
      }),
    );
  }
  const { shelf, reports } = await openShelf(storage);
  const { kept: loaded, blocked } = await shelf.loadCertificates();
  assert.equal(loaded.length, 10);
  assert.equal(blocked.size, 0);
  assert.deepEqual(
    reports.filter((report) => report.includes("moved to")),
    [],
  );
  assert.ok(await shelf.loadAccount("ca.test"), "the account key is still there");
});

import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { eventually } from "../e2e/harness.ts";

const LAUNCHER = resolve(import.meta.dirname, "../../bin/waybill.js");
const LIMIT_MS = 60_000;

/** A demo in a world of its own, on ports that are free. */
function startDemo(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), "waybill-demo-test-"));
  const env = { ...process.env, TMPDIR: directory };
  const flags = [
    "--entrypoints.web.address=127.0.0.1:0",
    "--entrypoints.traefik.address=127.0.0.1:0",
    "--threads=1",
    "--log.format=json",
  ];
  const child: ChildProcess = spawn(process.execPath, [LAUNCHER, "demo", ...flags], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  const reading = createInterface({ input: child.stdout! }).on("line", (line) => void lines.push(line));
  t.after(() => {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    child,
    said: () => lines.join("\n"),
    waybill: (...args: string[]) =>
      spawnSync(process.execPath, [LAUNCHER, "demo", ...args], { env, encoding: "utf8" }),
    /** The first line, said or to come, that holds all of this. */
    async line(...parts: string[]): Promise<string> {
      const signal = AbortSignal.timeout(LIMIT_MS);
      for (;;) {
        const found = lines.find((line) => parts.every((part) => line.includes(part)));
        if (found !== undefined) return found;
        await once(reading, "line", { signal });
      }
    },
  };
}

async function get(port: number, host: string): Promise<number> {
  const call = request({ host: "127.0.0.1", port, headers: { host }, agent: false }).end();
  const [reply] = (await once(call, "response")) as [import("node:http").IncomingMessage];
  reply.resume();
  return reply.statusCode!;
}

/** What is said to be in force reaches the thread that answers a moment later. */
const answers = (port: number, host: string, status: number) =>
  eventually(async () => assert.equal(await get(port, host), status));

test("the demo serves, follows what a second terminal adds and removes, and ends at a signal", async (t) => {
  const demo = startDemo(t);
  const listening = JSON.parse(await demo.line('"listening"', '"web"')) as { port: number };
  await demo.line("Waybill is ready");
  assert.equal(await get(listening.port, "whoami.localhost"), 200);
  assert.equal(await get(listening.port, "blog.localhost"), 404);

  assert.match(demo.waybill().stderr, /A demo is running already/);
  assert.match(demo.waybill("add", "blog", "waybill=blog.localhost").stdout, /^blog is running/);
  await demo.line("routersAdded", "blog@docker");
  await answers(listening.port, "blog.localhost", 200);
  assert.match(demo.waybill("remove", "blog").stdout, /^blog is gone/);
  assert.equal(demo.waybill("remove", "blog").status, 1);
  await demo.line("routersRemoved", "blog@docker");
  await answers(listening.port, "blog.localhost", 404);

  demo.child.kill("SIGTERM");
  const [code] = (await once(demo.child, "exit")) as [number];
  assert.equal(code, 0);
  assert.match(demo.said(), /curl -H 'Host: whoami\.localhost'/);
  // Where its API is not at the usual port, explain has to be told.
  assert.match(
    demo.said(),
    /npx waybill explain http:\/\/blog\.localhost:0\/ --api http:\/\/127\.0\.0\.1:0\n/,
  );
});

test("without a demo there is nothing to add to", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "waybill-demo-test-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const env = { ...process.env, TMPDIR: directory };
  const { status, stderr } = spawnSync(process.execPath, [LAUNCHER, "demo", "add", "x", "waybill=x"], {
    env,
    encoding: "utf8",
  });
  assert.equal(status, 1);
  assert.match(stderr, /^no demo is running; start one with: waybill demo/);
});

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { eventually, send, startServer } from "../e2e/harness.ts";

/** The program as its users start it, with a pipe for its output that the test may leave unread or close. */

const PROGRAM = join(import.meta.dirname, "../../src/main.ts");
const TEXT = "some words that can be made smaller, ".repeat(200);

const dynamic = (url: string) => `
http:
  routers: { app: { rule: "Host(\`app.test\`)", service: app, middlewares: [small] } }
  middlewares: { small: { compress: {} } }
  services: { app: { loadBalancer: { servers: [ { url: "${url}" } ] } } }
`;

interface Running extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly port: number;
  readonly metrics: () => Promise<string>;
  readonly warnings: () => string[];
  /** Closes the pipe's only end for reading. */
  readonly hangUp: () => void;
}

async function start(t: TestContext, url: string): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), "waybill-pipe-"));
  const [pipe, log, routes] = ["pipe", "log.json", "routes.yml"].map((name) => join(folder, name));
  writeFileSync(routes!, dynamic(url));
  execFileSync("mkfifo", [pipe!]);
  // For both directions, because otherwise each end would wait for the other.
  const both = openSync(pipe!, "r+");
  const output = openSync(pipe!, "w");
  const child = spawn(
    process.execPath,
    [
      PROGRAM,
      "--entryPoints.web.address=127.0.0.1:0",
      "--entryPoints.traefik.address=127.0.0.1:0",
      "--metrics.prometheus=true",
      `--providers.file.filename=${routes}`,
      `--log.filePath=${log}`,
      "--log.format=json",
      "--threads=2",
      "--accessLog.format=json",
      "--accessLog.fields.headers.defaultMode=keep",
    ],
    // One thread for files, names and compression: who blocks it blocks all of them.
    { stdio: ["ignore", output, "inherit"], env: { ...process.env, UV_THREADPOOL_SIZE: "1" } },
  );
  // Should it be too slow to start: it would keep the test's own process.
  t.after(() => child.kill("SIGKILL"));
  closeSync(output);
  const lines = () =>
    readFileSync(log!, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const portOf = (entryPoint: string) =>
    eventually(() => {
      const line = lines().find((one) => one["message"] === "listening" && one["entryPoint"] === entryPoint);
      assert.ok(line, JSON.stringify(lines()));
      return line["port"] as number;
    }, 60);
  const [port, own] = [await portOf("web"), await portOf("traefik")];
  return {
    child,
    port,
    metrics: async () => (await send(own, "x", "/metrics")).body,
    warnings: () => lines().flatMap(({ level, message }) => (level === "error" ? [String(message)] : [])),
    hangUp: () => closeSync(both),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const numberIn = (metrics: string, name: string) =>
  Number(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "m").exec(metrics)?.[1]);

const server = () => startServer((_, response) => response.setHeader("content-type", "text/plain").end(TEXT));

for (const [what, readerHangsUp] of [
  ["is not read", false],
  ["has lost its reader", true],
] as const) {
  test(`RS-15 a standard output that ${what} stops no request, and the lines lost are counted and said`, async (t) => {
    await using backend = await server();
    await using program = await start(t, backend.url);
    if (readerHangsUp) program.hangUp();
    const before = numberIn(await program.metrics(), "process_resident_memory_bytes");
    const agent = new Agent({ keepAlive: true, maxSockets: 16 });
    const headers = { "x-long": "x".repeat(12_000), "accept-encoding": "gzip" };
    const ask = async () => {
      for (let i = 0; i < 120; i++) {
        const { status } = await send(program.port, "app.test", "/", { headers, agent });
        assert.equal(status, 200);
      }
    };
    // 2,400 lines of 12 KB are more than two threads may keep.
    await Promise.all(Array.from({ length: 20 }, ask));
    agent.destroy();
    const metrics = await eventually(async () => {
      const text = await program.metrics();
      assert.ok(numberIn(text, "waybill_access_log_dropped_total") > 200);
      return text;
    });
    const grown = numberIn(metrics, "process_resident_memory_bytes") - before;
    assert.ok(grown < 250e6, `${grown} bytes more`);
    const told = program.warnings().filter((message) => message === "the access log cannot be written");
    assert.ok(told.length >= 1 && told.length <= 2, `said ${told.length} times by two threads`);
    program.child.kill("SIGTERM");
    const [code] = await once(program.child, "exit");
    assert.equal(code, 0);
    if (!readerHangsUp) program.hangUp();
  });
}

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { eventually, type Product, startProduct } from "../e2e/harness.ts";

const app = (name: string, ...more: [string, string][]) => ({
  name,
  labels: { [`traefik.http.routers.${name}.rule`]: `Host(\`${name}.test\`)`, ...Object.fromEntries(more) },
});

const OWN = "--entryPoints.traefik.address=127.0.0.1:0";

interface Logged extends AsyncDisposable {
  readonly product: Product;
  readonly path: string;
  lines(count: number): Promise<string[]>;
}

/** The product with an access log in a file. */
async function logged(...flags: string[]): Promise<Logged> {
  const folder = mkdtempSync(join(tmpdir(), "waybill-log-"));
  const path = join(folder, "sub", "access.log");
  const product = await startProduct({
    flags: [`--accesslog.filePath=${path}`, ...flags],
    containers: [app("app"), app("quiet", ["traefik.http.routers.quiet.observability.accesslogs", "false"])],
    threads: 1,
  });
  return {
    product,
    path,
    lines: (count) =>
      eventually(() => {
        const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
        assert.equal(lines.length, count);
        return lines;
      }),
    async [Symbol.asyncDispose]() {
      await product[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

test("the access log has a line in Traefik's common form for every request, and none for routers that want none", async () => {
  await using log = await logged("--accesslog.fields.headers.names.User-Agent=keep");
  const { product } = log;
  await product.get("app.test", "/a?b=1", { headers: { "user-agent": 'x"y' } });
  await product.get("quiet.test");
  await product.get("nowhere.test");
  const [first, second] = await log.lines(2);
  const time = /\[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\]/.source;
  assert.match(
    first!,
    new RegExp(
      `^127\\.0\\.0\\.1 - - ${time} "GET /a\\?b=1 HTTP/1\\.1" 200 \\d+ "-" "x\\\\"y" 1 "app@docker" "http://[\\d.]+:\\d+" \\d+ms$`,
    ),
  );
  assert.match(second!, / 404 \d+ "-" "-" 2 "-" "-" \d+ms$/);
});

test("the access log as JSON says the fault and whose it was, and filters and switches of fields are kept to", async () => {
  await using log = await logged(
    "--accesslog.format=json",
    "--accesslog.filters.statuscodes=400-499",
    "--accesslog.fields.names.ClientAddr=drop",
    "--accesslog.fields.headers.names.Authorization=redact",
    "--accesslog.fields.queryparameters.defaultmode=drop",
  );
  await log.product.get("app.test");
  await log.product.get("nowhere.test", "/x?token=1", { headers: { authorization: "Basic eA==" } });
  const [line] = await log.lines(1);
  const fields = JSON.parse(line!) as Record<string, unknown>;
  assert.deepEqual(
    [
      "DownstreamStatus",
      "Fault",
      "FaultSource",
      "RequestPath",
      "request_Authorization",
      "ClientAddr",
      "RouterName",
    ].map((name) => fields[name]),
    [404, "no-route", "proxy", "/x", "REDACTED", undefined, undefined],
  );
  assert.deepEqual(Object.keys(fields), Object.keys(fields).toSorted());
  assert.ok(Number.isInteger(fields["Duration"]) && (fields["Duration"] as number) > 0);
});

test("genericCLF ends after the user agent", async () => {
  await using log = await logged("--accesslog.format=genericCLF");
  await log.product.get("app.test");
  const [line] = await log.lines(1);
  assert.match(line!, /"GET \/ HTTP\/1\.1" 200 \d+ "-" "-"$/);
});

test("after SIGUSR1 lines go into a new file of the old name", async () => {
  await using log = await logged();
  await log.product.get("app.test");
  await log.lines(1);
  renameSync(log.path, `${log.path}.1`);
  log.product.waybill.reopenLogs();
  let asked = 1;
  await eventually(async () => {
    asked++;
    await log.product.get("app.test");
    assert.ok(readFileSync(log.path, "utf8").length > 0);
  });
  // What was asked before the threads had heard of it may be in the old one.
  const linesIn = (path: string) => readFileSync(path, "utf8").split("\n").length - 1;
  await eventually(() => assert.equal(linesIn(`${log.path}.1`) + linesIn(log.path), asked));
});

test("sampleRate: only that share is logged, but all that failed, and a router may say another", async () => {
  await using log = await logged("--accesslog.sampleRate=0", "--accesslog.format=json");
  await log.product.get("app.test");
  await log.product.demo.engine.add({ ...app("ill"), health: "unhealthy" });
  await log.product.demo.engine.add(
    app("loud", ["traefik.http.routers.loud.observability.accesslogsamplerate", "1"]),
  );
  await eventually(async () => assert.equal((await log.product.get("ill.test")).status, 503));
  await eventually(async () => assert.equal((await log.product.get("loud.test")).status, 200));
  await eventually(() => {
    const hosts = readFileSync(log.path, "utf8").match(/"RequestHost":"[^"]+/g) ?? [];
    assert.deepEqual([...new Set(hosts)].sort(), ['"RequestHost":"ill.test', '"RequestHost":"loud.test']);
  });
});

const OLD = ["2020-01-03", "2020-01-02", "2020-01-01"].map((day) => `access-${day}T00-00-00.000Z.log`);

/** Names in the folder of an access log that had three old files when it began. */
async function withOldFiles(flag: string, looks: (names: readonly string[]) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "waybill-log-"));
  for (const name of OLD) writeFileSync(join(folder, name), "old\n");
  await using product = await startProduct({
    threads: 1,
    containers: [app("app")],
    flags: [`--accesslog.filePath=${join(folder, "access.log")}`, "--accesslog.maxSize=1", flag],
  });
  await product.get("app.test");
  await eventually(() => looks(readdirSync(folder).sort().reverse()));
  rmSync(folder, { recursive: true, force: true });
}

test("maxBackups, maxAge and compress: what becomes of the access log's rotated files", async () => {
  await withOldFiles("--accesslog.maxBackups=2", (names) =>
    assert.deepEqual(names, ["access.log", OLD[0], OLD[1]]),
  );
  await withOldFiles("--accesslog.maxAge=1", (names) => assert.deepEqual(names, ["access.log"]));
  await withOldFiles("--accesslog.compress=true", (names) => assert.ok(names.includes(`${OLD[0]}.gz`)));
});

test("maxSize and rotateEvery: the access log makes way, and no line is lost", async () => {
  for (const flag of ["--accesslog.maxSize=1", "--accesslog.rotateEvery=2s"]) {
    await using log = await logged(flag);
    const path = `/${"x".repeat(7000)}`;
    const lines = () =>
      readdirSync(dirname(log.path)).flatMap((name) =>
        readFileSync(join(dirname(log.path), name), "utf8")
          .split("\n")
          .slice(0, -1),
      );
    let asked = 0;
    await eventually(async () => {
      asked++;
      await log.product.get("app.test", path);
      assert.ok(readdirSync(dirname(log.path)).length > 1);
    }, 20);
    await log.product.get("app.test", path);
    await eventually(() => assert.equal(lines().length, asked + 1));
  }
});

test("the access log says what compression has saved, and what the server sent", async () => {
  await using log = await logged("--accesslog.format=json", "--accesslog.fields.headers.defaultmode=keep");
  await log.product.demo.engine.add(
    app(
      "small",
      ["traefik.http.middlewares.small.compress.minresponsebodybytes", "1"],
      ["traefik.http.middlewares.small.compress.includedcontenttypes", "text/plain"],
      ["traefik.http.routers.small.middlewares", "small"],
    ),
  );
  const headers = { "accept-encoding": "gzip" };
  await eventually(async () =>
    assert.equal((await log.product.get("small.test", "/", { headers })).status, 200),
  );
  const found = await eventually(() => {
    const line = readFileSync(log.path, "utf8")
      .split("\n")
      .find((one) => one.includes('"DownstreamStatus":200'));
    return JSON.parse(line!) as Record<string, number>;
  });
  const { OriginContentSize = 0, DownstreamContentSize = 0, GzipRatio = 0 } = found;
  assert.ok(OriginContentSize > 0 && OriginContentSize !== DownstreamContentSize);
  assert.equal(GzipRatio, OriginContentSize / DownstreamContentSize);
  assert.equal(found["downstream_Content-Encoding"], "gzip");
  assert.equal(found["origin_Content-Encoding"], undefined);
  assert.ok(found["origin_Content-Type"] !== undefined);
});

test("RS-15 a log that nothing can be written to stops no request, and lines that are lost are counted", async () => {
  // Every write to this device fails for want of room.
  await using product = await startProduct({
    flags: ["--accesslog.filePath=/dev/full", "--metrics.prometheus=true", OWN],
    containers: [app("app")],
    threads: 1,
  });
  for (let i = 0; i < 300; i++)
    assert.equal((await product.get("app.test", `/${"x".repeat(500)}`)).status, 200);
  await eventually(() => {
    const told = product.log.filter(({ message }) => message === "the access log cannot be written");
    assert.equal(told.length, 1);
  });
  assert.match(product.runtime.metrics(), /^waybill_access_log_dropped_total \d+$/m);
});

test("HD-20 a request cannot forge a line of the access log", async () => {
  await using log = await logged("--accesslog.fields.headers.defaultmode=keep", "--accesslog.format=json");
  await log.product.get("app.test", "/%0a%1b[31m", { headers: { "user-agent": 'a\u00e9\t"}' } });
  const [line] = await log.lines(1);
  assert.doesNotMatch(line!, /[\x00-\x1f]/);
  JSON.parse(line!);
});

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makePages } from "../../src/cli/pages.ts";
import { startDemoEngine } from "../../src/demo/start.ts";
import { eventually, type Product, startProduct } from "../e2e/harness.ts";

/** What the proxy's own pages can be told: each option by its name. */

const OWN = "--entryPoints.traefik.address=127.0.0.1:0";
const APP = { name: "app", labels: { "traefik.http.routers.app.rule": "Host(`app.test`)" } };
const own = { entryPoint: "traefik" };

const start = (flags: readonly string[], more: Parameters<typeof startProduct>[0] = {}) =>
  startProduct({ threads: 1, pages: makePages, flags: [OWN, ...flags], ...more });

const statusOf = async (product: Product, path: string, host = "localhost", headers = {}) =>
  (await product.get(host, path, { ...own, headers })).status;

test("api.insecure: API and dashboard are on our entry point only if it says so", async () => {
  await using off = await start(["--api"]);
  assert.equal(await statusOf(off, "/api/overview"), 404);
  await using on = await start(["--api.insecure=true"]);
  assert.equal(await statusOf(on, "/api/overview"), 200);
  assert.ok((await statusOf(on, "/dashboard/")) < 400);
});

test("api.dashboard: without it there is only the API", async () => {
  await using product = await start(["--api.insecure=true", "--api.dashboard=false"]);
  assert.equal(await statusOf(product, "/api/overview"), 200);
  assert.equal(await statusOf(product, "/dashboard/"), 404);
});

test("api.basePath and api.dashboardName", async () => {
  await using product = await start([
    "--api.insecure=true",
    "--api.basePath=/proxy",
    "--api.dashboardName=House",
  ]);
  assert.equal(await statusOf(product, "/api/overview"), 404);
  assert.equal(await statusOf(product, "/proxy/api/overview"), 200);
  assert.match(
    (await product.get("localhost", "/proxy/api/version", own)).body,
    /"dashboardName":\s*"House"/,
  );
});

test("api.allowedHosts: other names are refused", async () => {
  await using product = await start(["--api.insecure=true", "--api.allowedHosts=proxy.example.com"]);
  assert.equal(await statusOf(product, "/api/overview", "proxy.example.com"), 200);
  assert.equal(await statusOf(product, "/api/overview", "evil.example.com"), 403);
});

test("api.auth.token and api.auth.users: a login is asked for, and either is one", async () => {
  const token = "0123456789abcdef0123456789abcdef";
  await using product = await start([
    "--api.insecure=true",
    `--api.auth.token=${token}`,
    "--api.auth.users=ann:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/",
  ]);
  const basic = `Basic ${Buffer.from("ann:password").toString("base64")}`;
  assert.equal(await statusOf(product, "/api/overview"), 401);
  const bearer = { authorization: `Bearer ${token}` };
  assert.equal(await statusOf(product, "/api/overview", "localhost", bearer), 200);
  await using users = await start([
    "--api.insecure=true",
    "--api.auth.users=test:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/",
  ]);
  assert.equal(await statusOf(users, "/api/overview"), 401);
  const test = { authorization: `Basic ${Buffer.from("test:test").toString("base64")}` };
  assert.equal(await statusOf(users, "/api/overview", "localhost", test), 200);
  assert.equal(await statusOf(users, "/api/overview", "localhost", { authorization: basic }), 401);
});

test("ping.entryPoint and ping.manualRouting", async () => {
  await using usual = await start(["--ping"]);
  assert.equal(await statusOf(usual, "/ping"), 200);
  assert.equal((await usual.get("app.test", "/ping")).status, 404);
  await using moved = await start(["--ping.entryPoint=web"]);
  assert.equal((await moved.get("app.test", "/ping")).status, 200);
  await using manual = await start(["--ping.manualRouting=true"], {
    file: 'http: { routers: { alive: { rule: "Path(`/alive`)", service: "ping@internal" } } }',
  });
  assert.equal(await statusOf(manual, "/ping"), 404);
  assert.equal((await manual.get("app.test", "/ping")).status, 404);
  await eventually(async () => assert.equal((await manual.get("app.test", "/alive")).status, 200));
});

test("/ready answers beside /ping when every provider could be read, and no more when we stop", async () => {
  await using product = await start([
    "--ping",
    "--entryPoints.traefik.transport.lifeCycle.requestAcceptGraceTimeout=4s",
  ]);
  assert.equal(await statusOf(product, "/ready"), 200);
  assert.equal((await product.get("app.test", "/ready")).status, 404);
  const stopped = product.waybill.stop();
  assert.equal(await statusOf(product, "/ready"), 503);
  await stopped;
});

test("/ready says which provider could not be read yet, until it could", async () => {
  const directory = mkdtempSync(join(tmpdir(), "waybill-ready-"));
  const socketPath = join(directory, "docker.sock");
  await using product = await start(["--ping"], { env: { DOCKER_HOST: `unix://${socketPath}` } });
  const ask = () => product.get("localhost", "/ready", own);
  const before = await ask();
  assert.deepEqual([before.status, before.body.includes("docker")], [503, true]);
  const engine = await startDemoEngine({ socketPath, containers: [] });
  try {
    await eventually(async () => assert.equal((await ask()).status, 200), 20);
  } finally {
    await engine.close();
    rmSync(directory, { recursive: true });
  }
});

test("ping.terminatingStatusCode: what ping answers while we stop", async () => {
  await using product = await start([
    "--ping.terminatingStatusCode=418",
    "--entryPoints.traefik.transport.lifeCycle.requestAcceptGraceTimeout=4s",
  ]);
  const stopped = product.waybill.stop();
  await eventually(async () => assert.equal(await statusOf(product, "/ping"), 418));
  await stopped;
});

const counted = async (flags: readonly string[]) => {
  await using product = await start(["--metrics.prometheus", "--ping.entryPoint=web", ...flags], {
    containers: [APP],
  });
  await product.get("app.test");
  await product.get("app.test", "/ping");
  return await eventually(() => {
    const text = product.runtime.metrics();
    assert.match(text, /^traefik_config_reloads_total/m);
    if (!flags.some((flag) => /addEntryPointsLabels=false/.test(flag)))
      assert.match(text, /^traefik_entrypoint_requests_total/m);
    else assert.match(text, /^traefik_service_requests_total/m);
    return text;
  });
};

test("metrics.prometheus.entryPoint and metrics.prometheus.manualRouting: where /metrics is shown", async () => {
  const shown = async (product: Product) => [
    await statusOf(product, "/metrics"),
    (await product.get("other.test", "/metrics")).status,
  ];
  await using usual = await start(["--metrics.prometheus"]);
  assert.deepEqual(await shown(usual), [200, 404]);
  await using moved = await start(["--metrics.prometheus.entryPoint=web", "--ping"]);
  assert.deepEqual(await shown(moved), [404, 200]);
  await using manual = await start(["--metrics.prometheus.manualRouting=true", "--ping"], {
    file: 'http: { routers: { own: { rule: "Path(`/numbers`)", service: "prometheus@internal" } } }',
  });
  assert.deepEqual(await shown(manual), [404, 404]);
  await eventually(async () => assert.equal((await manual.get("app.test", "/numbers")).status, 200));
});

test("metrics.prometheus: addEntryPointsLabels, addRoutersLabels and addServicesLabels", async () => {
  const usual = await counted([]);
  assert.match(usual, /^traefik_entrypoint_requests_total/m);
  assert.doesNotMatch(usual, /^traefik_router_requests_total/m);
  assert.match(usual, /^traefik_service_requests_total/m);
  const other = await counted(["--metrics.prometheus.addEntryPointsLabels=false"]);
  assert.doesNotMatch(other, /^traefik_entrypoint_requests_total/m);
  const third = await counted([
    "--metrics.prometheus.addRoutersLabels=true",
    "--metrics.prometheus.addServicesLabels=false",
  ]);
  assert.match(third, /^traefik_router_requests_total/m);
  assert.doesNotMatch(third, /^traefik_service_requests_total/m);
});

test("metrics.addInternals and accessLog.addInternals: our own pages are counted and logged too", async () => {
  const inForce = async (flags: readonly string[]) => {
    await using product = await start(["--ping", ...flags]);
    const { accessLog, metrics } = product.runtime.report().routers.get("ping@internal")!.effective[0]!;
    return { accessLog, metrics };
  };
  assert.deepEqual(await inForce([]), { accessLog: false, metrics: false });
  assert.deepEqual(await inForce(["--metrics.addInternals=true"]), { accessLog: false, metrics: true });
  assert.deepEqual(await inForce(["--accessLog.addInternals=true"]), { accessLog: true, metrics: false });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, startProduct, startServer } from "../e2e/harness.ts";
import { startHttpCollector } from "./collector.ts";

/** The metrics of the whole product. */

const app = (name: string) => ({
  name,
  labels: { [`traefik.http.routers.${name}.rule`]: `Host(\`${name}.test\`)` },
});

const OWN = "--entryPoints.traefik.address=127.0.0.1:0";

test("metrics have Traefik's names and labels, and ours beside them", async () => {
  await using product = await startProduct({
    flags: [
      OWN,
      "--metrics.prometheus=true",
      "--metrics.prometheus.addrouterslabels=true",
      "--metrics.prometheus.headerlabels.tenant=X-Tenant",
    ],
    containers: [app("app")],
  });
  await product.get("app.test", "/", { headers: { "x-tenant": "blue" } });
  await product.get("nowhere.test");
  const lines = [
    /^traefik_open_connections\{entrypoint="web",protocol="TCP"\} \d+$/m,
    /^waybill_faults_total\{fault="no-route",source="proxy"\} 1$/m,
    /^traefik_entrypoint_requests_total\{code="200",method="GET",protocol="http",entrypoint="web",tenant="blue"\} 1$/m,
    /^traefik_router_requests_total\{.*router="app@docker",service="app@docker".*\} 1$/m,
    /^traefik_service_request_duration_seconds_bucket\{code="200",method="GET",protocol="http",service="app@docker".*le="0\.1"\} [01]$/m,
    /^traefik_service_request_duration_seconds_bucket\{.*service="app@docker".*le="\+Inf"\} 1$/m,
    /^traefik_service_server_up\{service="app@docker",url="http:\/\/[\d.]+:\d+"\} 1$/m,
    /^traefik_config_reloads_total [1-9]\d*$/m,
    /^traefik_config_last_reload_success \d{10}(\.\d+)?$/m,
    /^process_cpu_seconds_total [\d.]+$/m,
    /^process_resident_memory_bytes \d+$/m,
    /^process_open_fds \d+$/m,
    /^waybill_event_loop_delay_seconds\{thread="main",quantile="0\.99"\} /m,
    /^waybill_event_loop_delay_seconds\{thread="1",quantile="0\.5"\} /m,
    /^waybill_discovery_age_seconds\{provider="docker"\} [\d.]+$/m,
    /^waybill_threads 2$/m,
    /^waybill_config_problems\{severity="error"\} 0$/m,
  ];
  await eventually(() => {
    const text = product.runtime.metrics();
    for (const line of lines) assert.match(text, line);
  });
});

test("metrics are shown on the entry point traefik, or only as a service for a router of one's own", async () => {
  await using own = await startProduct({
    flags: ["--metrics.prometheus=true", "--entryPoints.traefik.address=127.0.0.1:0"],
  });
  assert.equal((await own.get("x", "/metrics", { entryPoint: "traefik" })).status, 200);
  assert.equal((await own.get("x", "/metrics")).status, 404);
  await using manual = await startProduct({
    flags: ["--metrics.prometheus.manualrouting=true", "--entryPoints.traefik.address=127.0.0.1:0"],
    file: "http: { routers: { m: { rule: 'Path(`/own`)', service: prometheus@internal } } }",
  });
  assert.equal((await manual.get("x", "/metrics", { entryPoint: "traefik" })).status, 404);
  assert.equal((await manual.get("x", "/own")).status, 200);
});

test("AD-11 a client's methods and hosts do not make new series", async () => {
  await using product = await startProduct({
    flags: ["--metrics.prometheus=true", OWN],
    containers: [app("app")],
    threads: 1,
  });
  for (let i = 0; i < 20; i++) await product.get(`h${i}.test`, `/${i}`);
  await eventually(() => {
    const series = product.runtime.metrics().match(/^traefik_entrypoint_requests_total.*$/gm) ?? [];
    assert.deepEqual(
      series.map((line) => line.split(" ").at(-1)),
      ["20"],
    );
  });
});

test("Prometheus and a collector each get the labels and buckets that they ask for", async () => {
  await using collector = await startHttpCollector();
  await using product = await startProduct({
    threads: 1,
    containers: [app("app")],
    flags: [
      OWN,
      "--metrics.prometheus=true",
      "--metrics.prometheus.addServicesLabels=false",
      "--metrics.prometheus.buckets=0.2,4,9",
      `--metrics.otlp.http.endpoint=http://127.0.0.1:${collector.port}`,
      "--metrics.otlp.pushInterval=100ms",
      "--metrics.otlp.addRoutersLabels=true",
      "--metrics.otlp.explicitBoundaries=0.25,7",
    ],
  });
  await product.get("app.test");
  const pushed = await eventually(() => {
    const text = collector.received.at(-1)!.body.toString();
    assert.match(text, /"traefik_router_requests_total"/);
    return text;
  });
  assert.match(pushed, /"explicitBounds":\[0\.25,7\]/);
  const shown = product.runtime.metrics();
  assert.doesNotMatch(shown, /traefik_(?:router|service)_requests_total/);
  const bounds = [...shown.matchAll(/^traefik_entrypoint_request_duration_seconds_bucket.*le="(.*)"/gm)];
  assert.deepEqual(
    bounds.map(([, bound]) => bound),
    ["0.2", "4", "9", "+Inf"],
  );
});

test("a gRPC call is counted by the status in its server's trailers", async () => {
  await using server = await startServer((request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": "application/grpc", trailer: "grpc-status" });
    response.write("reply");
    response.addTrailers({ "grpc-status": "7" });
    response.end();
  });
  await using product = await startProduct({
    threads: 1,
    flags: [OWN, "--metrics.prometheus=true"],
    file: `
http:
  routers: { app: { rule: "Host(\`app.test\`)", service: app } }
  services: { app: { loadBalancer: { servers: [ { url: "${server.url}" } ] } } }
`,
  });
  const headers = { "content-type": "application/grpc", te: "trailers" };
  await product.get("app.test", "/pkg.Service/Call", { method: "POST", headers, body: "call" });
  await eventually(() =>
    assert.match(
      product.runtime.metrics(),
      /^traefik_service_requests_total\{code="7",method="POST",protocol="grpc",service="app@file"\} 1$/m,
    ),
  );
});

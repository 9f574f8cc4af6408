import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeterMessage } from "../../src/model/metrics.ts";
import { Meter } from "../../src/observe/meter.ts";
import { MeterReader } from "../../src/observe/meter-reader.ts";
import { allBounds, viewOf } from "../../src/observe/metric-view.ts";
import { renderPrometheus } from "../../src/observe/prometheus.ts";
import { RequestMetrics } from "../../src/observe/request-metrics.ts";
import { answered } from "./exchange.ts";

const DURATION_MS = 20;

function twoThreads() {
  const reader = new MeterReader();
  const meters = [0, 1].map((thread) => {
    const meter = new Meter((message: MeterMessage) => reader.receive(thread, message));
    reader.add(thread, (ids) => meter.release(ids));
    return meter;
  });
  return { reader, meters: meters as [Meter, Meter] };
}

const everything = {
  buckets: [0.1, 1],
  entryPoints: true,
  routers: true,
  services: true,
  internals: false,
  headerLabels: new Map(),
};

test("numbers of all threads add up, and those of a dead thread stay", () => {
  const { reader, meters } = twoThreads();
  for (const meter of meters) meter.counter("waybill_test_total", "A test.", ["who", 'a"b']).add(2);
  reader.remove(1);
  assert.match(renderPrometheus(reader.read()), /^waybill_test_total\{who="a\\"b"\} 4$/m);
});

test("a gauge of a dead thread is gone", () => {
  const { reader, meters } = twoThreads();
  for (const meter of meters) meter.gauge("waybill_open", "Open.").add(3);
  reader.remove(1);
  assert.match(renderPrometheus(reader.read()), /^waybill_open 3$/m);
});

test("requests are counted under Traefik's names and labels", () => {
  const { reader, meters } = twoThreads();
  const metrics = new RequestMetrics(meters[0], everything);
  metrics.done(answered(), DURATION_MS);
  metrics.done(answered({ status: 503 }), DURATION_MS);
  const text = renderPrometheus(reader.read());
  const labels = 'code="200",method="GET",protocol="http"';
  assert.ok(text.includes(`traefik_entrypoint_requests_total{${labels},entrypoint="web"} 1`), text);
  assert.ok(
    text.includes(`traefik_router_requests_total{${labels},router="app@docker",service="app@docker"} 1`),
  );
  assert.ok(text.includes(`traefik_service_responses_bytes_total{${labels},service="app@docker"} 42`));
  assert.ok(
    text.includes(
      `traefik_service_request_duration_seconds_bucket{${labels},service="app@docker",le="0.1"} 1`,
    ),
  );
  assert.ok(
    text.includes(
      `traefik_service_request_duration_seconds_count{code="503",method="GET",protocol="http",service="app@docker"} 1`,
    ),
  );
});

test("a method that nobody knows and a header that a client chose do not make series without end", () => {
  const { reader, meters } = twoThreads();
  const metrics = new RequestMetrics(meters[0], {
    ...everything,
    headerLabels: new Map([["tenant", "x-tenant"]]),
  });
  for (let i = 0; i < 3000; i++)
    metrics.done(answered({ method: `M${i}` }, ["X-Tenant", `t${i}`]), DURATION_MS);
  const series = reader.read();
  assert.ok(series.length < 3 * 4 * 1002, `${series.length} series`);
  assert.ok(series.every((one) => !one.labels.includes("M7")));
});

test("a removed router's series are shown once more and their memory is used again", () => {
  const { reader, meters } = twoThreads();
  const metrics = new RequestMetrics(meters[0], everything);
  metrics.done(answered(), DURATION_MS);
  metrics.keep(new Set(), new Set());
  assert.match(renderPrometheus(reader.read()), /traefik_router_requests_total/);
  assert.doesNotMatch(renderPrometheus(reader.read()), /traefik_router_requests_total/);
  metrics.done(answered(), DURATION_MS);
  assert.match(renderPrometheus(reader.read()), /traefik_router_requests_total\{[^}]*\} 1$/m);
});

test("switched-off labels and internal services make no series", () => {
  const { reader, meters } = twoThreads();
  const metrics = new RequestMetrics(meters[0], { ...everything, routers: false });
  metrics.done(answered({ route: { ...answered().route, service: { name: "api@internal" } } }), DURATION_MS);
  assert.deepEqual(reader.read(), []);
  metrics.done(answered(), DURATION_MS);
  assert.doesNotMatch(renderPrometheus(reader.read()), /traefik_router_/);
});

test("two receivers of metrics each see the series and the buckets that they asked for", () => {
  const { reader, meters } = twoThreads();
  const buckets = allBounds([0.1, 1], [0.01, 0.1, 5]);
  const metrics = new RequestMetrics(meters[0], { ...everything, buckets });
  for (const durationMs of [5, 50, 500, 2000, 9000]) metrics.done(answered(), durationMs);
  const choice = { addEntryPointsLabels: true, addRoutersLabels: false, addServicesLabels: false };
  const text = renderPrometheus(viewOf(reader.read(), { ...choice, bounds: [0.1, 1] }));
  assert.doesNotMatch(text, /traefik_(?:router|service)_/);
  const counts = [
    ...text.matchAll(/^traefik_entrypoint_request_duration_seconds_bucket\{.*le="(.*)"\} (\d+)$/gm),
  ];
  assert.deepEqual(
    counts.map(([, bound, count]) => [bound, count]),
    [
      ["0.1", "2"],
      ["1", "3"],
      ["+Inf", "5"],
    ],
  );
  assert.match(text, /^traefik_entrypoint_request_duration_seconds_count\{.*\} 5$/m);
  const other = renderPrometheus(
    viewOf(reader.read(), { ...choice, addEntryPointsLabels: false, addRoutersLabels: true, bounds: [0.01] }),
  );
  assert.doesNotMatch(other, /traefik_(?:entrypoint|service)_/);
  assert.match(other, /^traefik_router_request_duration_seconds_bucket\{.*le="0\.01"\} 1$/m);
});

test("a gRPC call is counted by its own status, which its trailers say, or its headers", () => {
  const { reader, meters } = twoThreads();
  const metrics = new RequestMetrics(meters[0], everything);
  const call = (change: Parameters<typeof answered>[0]) =>
    metrics.done(answered({ method: "POST", ...change }, ["content-type", "application/grpc"]), DURATION_MS);
  call({ originTrailers: ["grpc-status", "0"] });
  call({ originTrailers: ["Grpc-Status", "14", "grpc-message", "x"] });
  call({ replyHeaders: ["grpc-status", "5"] });
  call({});
  const text = renderPrometheus(reader.read());
  for (const code of ["0", "14", "5", "2"])
    assert.match(
      text,
      new RegExp(
        `^traefik_entrypoint_requests_total\\{code="${code}",method="POST",protocol="grpc",.*\\} 1$`,
        "m",
      ),
    );
});

test("what was sent once more is counted for its service, until the service is gone", () => {
  const { reader, meters } = twoThreads();
  const metrics = new RequestMetrics(meters[0], everything);
  metrics.done(answered({ attempts: 3 }), DURATION_MS);
  const line = /^traefik_service_retries_total\{service="app@docker"\} 2$/m;
  assert.match(renderPrometheus(reader.read()), line);
  metrics.keep(new Set(), new Set());
  reader.read();
  assert.doesNotMatch(renderPrometheus(reader.read()), line);
});

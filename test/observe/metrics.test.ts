import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeterMessage } from "../../src/model/metrics.ts";
import { Meter } from "../../src/observe/meter.ts";
import { MeterReader } from "../../src/observe/meter-reader.ts";
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

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Headers } from "../../src/model/headers.ts";
import { continueTrace } from "../../src/observe/trace-context.ts";
import { eventually, startProduct, startServer } from "../e2e/harness.ts";
import { type Collector, readProtobuf, startGrpcCollector, startHttpCollector } from "./collector.ts";

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status?: { readonly code: number };
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
}

function spansOf({ received }: Collector): Span[] {
  return received.flatMap(({ body }) => {
    const message = JSON.parse(body.toString()) as {
      resourceSpans: { scopeSpans: { spans: Span[] }[] }[];
    };
    return message.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
  });
}

const attribute = (span: Span, key: string) =>
  Object.values(span.attributes.find((one) => one.key === key)?.value ?? {})[0];

const PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

const routes = (url: string, observability = "") => `
http:
  routers: { app: { rule: "Host(\`app.test\`)", service: app${observability} } }
  services: { app: { loadBalancer: { servers: [ { url: "${url}" } ] } } }
`;

const echoing = () => startServer((request, response) => response.end(JSON.stringify(request.headers)));

test("a request has a server span and a client span, in the trace that the client began", async () => {
  await using collector = await startHttpCollector();
  await using server = await echoing();
  await using product = await startProduct({
    file: routes(server.url),
    flags: [
      `--tracing.otlp.http.endpoint=http://127.0.0.1:${collector.port}`,
      "--tracing.otlp.http.headers.x-token=t",
      "--tracing.resourceAttributes.site=here",
      "--tracing.safeQueryParams=page",
      "--tracing.capturedRequestHeaders=X-Tenant",
    ],
  });
  const headers = { traceparent: PARENT, tracestate: "a=b", "x-tenant": "blue" };
  const { body } = await product.get("app.test", "/x?page=2&token=secret", { headers });
  const sent = JSON.parse(body) as Record<string, string>;
  const spans = await eventually(() => {
    const found = spansOf(collector);
    assert.equal(found.length, 2);
    return found;
  });
  const [entry, proxy] = spans as [Span, Span];
  assert.deepEqual([entry.name, entry.kind, proxy.name, proxy.kind], ["GET", 2, "ReverseProxy", 3]);
  assert.equal(entry.traceId, "0af7651916cd43dd8448eb211c80319c");
  assert.equal(entry.parentSpanId, "b7ad6b7169203331");
  assert.equal(proxy.parentSpanId, entry.spanId);
  assert.equal(sent["traceparent"], `00-${entry.traceId}-${proxy.spanId}-01`);
  assert.equal(sent["tracestate"], "a=b");
  assert.equal(attribute(entry, "url.query"), "page=2&token=REDACTED");
  assert.equal(attribute(proxy, "url.full"), `${server.url}/x?page=2&token=REDACTED`);
  assert.equal(attribute(entry, "entry_point"), "web");
  assert.equal(attribute(entry, "http.response.status_code"), "200");
  assert.deepEqual(
    attribute(entry, "http.request.header.x-tenant"),
    { values: [{ stringValue: "blue" }] }.values && { values: [{ stringValue: "blue" }] },
  );
  assert.ok(BigInt(entry.startTimeUnixNano) <= BigInt(proxy.startTimeUnixNano));
  assert.ok(BigInt(proxy.startTimeUnixNano) <= BigInt(proxy.endTimeUnixNano));
  const [first] = collector.received;
  assert.deepEqual([first!.path, first!.headers["x-token"]], ["/v1/traces", "t"]);
  assert.match(first!.body.toString(), /"service\.name".*"waybill".*"site".*"here"/s);
});

test("a request that nobody takes has a span with its fault", async () => {
  await using collector = await startHttpCollector();
  await using product = await startProduct({
    flags: [`--tracing.otlp.http.endpoint=http://127.0.0.1:${collector.port}`],
  });
  await product.get("nowhere.test");
  await eventually(() => {
    const [span] = spansOf(collector);
    assert.equal(attribute(span!, "waybill.fault"), "no-route");
    assert.equal(span!.status, undefined);
  });
});

test("a detailed router has spans for itself and its service", async () => {
  await using collector = await startHttpCollector();
  await using server = await echoing();
  await using product = await startProduct({
    file: routes(server.url, ", observability: { traceVerbosity: detailed }"),
    flags: [`--tracing.otlp.http.endpoint=http://127.0.0.1:${collector.port}`],
  });
  await product.get("app.test");
  await eventually(() => {
    const spans = spansOf(collector);
    assert.deepEqual(
      spans.map(({ name }) => name),
      ["GET", "Router", "Service", "ReverseProxy"],
    );
    for (const [i, span] of spans.entries()) assert.equal(span.parentSpanId, spans[i - 1]?.spanId);
    assert.equal(attribute(spans[1]!, "http.route"), "Host(`app.test`)");
  });
});

test("a detailed router has a span for each middleware, and the authentication service is part of the trace", async () => {
  await using collector = await startHttpCollector();
  await using server = await echoing();
  let asked: string | undefined;
  await using auth = await startServer((request, response) => {
    asked = request.headers["traceparent"] as string;
    response.end();
  });
  await using product = await startProduct({
    file: `
http:
  routers:
    app: { rule: "Host(\`app.test\`)", service: app, middlewares: [cut, who, again], observability: { traceVerbosity: detailed } }
  middlewares:
    cut: { stripPrefix: { prefixes: [/in] } }
    who: { forwardAuth: { address: "${auth.url}/verify?key=secret" } }
    again: { retry: { attempts: 2 } }
  services: { app: { loadBalancer: { servers: [ { url: "${server.url}" } ] } } }
`,
    flags: [`--tracing.otlp.http.endpoint=http://127.0.0.1:${collector.port}`],
  });
  await product.get("app.test", "/in/x");
  const spans = await eventually(() => {
    const found = spansOf(collector);
    assert.equal(found.length, 8);
    return found;
  });
  const named = (name: string) => spans.find((span) => span.name === name)!;
  const nested = ["GET", "Router", "StripPrefix", "ForwardAuth", "Retry", "Service", "ReverseProxy"];
  for (const [i, name] of nested.entries())
    assert.equal(named(name).parentSpanId, i === 0 ? undefined : named(nested[i - 1]!).spanId, name);
  for (const name of nested.slice(1, -1)) assert.equal(named(name).kind, 1, name);
  assert.equal(attribute(named("StripPrefix"), "traefik.middleware.name"), "cut@file");
  const request = named("AuthRequest");
  assert.deepEqual([request.kind, request.parentSpanId], [3, named("ForwardAuth").spanId]);
  assert.equal(attribute(request, "url.full"), `${auth.url}/verify?key=REDACTED`);
  assert.equal(attribute(request, "http.response.status_code"), "200");
  assert.equal(asked, `00-${request.traceId}-${request.spanId}-01`);
});

test("a middleware that answers ends the trace, and one that refuses shows why", async () => {
  await using collector = await startHttpCollector();
  await using server = await echoing();
  await using auth = await startServer((_, response) => response.writeHead(403).end());
  await using product = await startProduct({
    file: `
http:
  routers: { app: { rule: "Host(\`app.test\`)", service: app, middlewares: [who, cut] } }
  middlewares:
    who: { forwardAuth: { address: "${auth.url}" } }
    cut: { stripPrefix: { prefixes: [/in] } }
  services: { app: { loadBalancer: { servers: [ { url: "${server.url}" } ] } } }
`,
    flags: [
      `--tracing.otlp.http.endpoint=http://127.0.0.1:${collector.port}`,
      "--entryPoints.web.observability.traceVerbosity=detailed",
    ],
  });
  assert.equal((await product.get("app.test")).status, 403);
  await eventually(() => {
    const spans = spansOf(collector);
    assert.deepEqual(spans.map(({ name }) => name).sort(), ["AuthRequest", "ForwardAuth", "GET", "Router"]);
    assert.equal(spans.find(({ name }) => name === "AuthRequest")!.status?.code, 2);
  });
});

test("a router that is not traced makes no spans and leaves the client's trace alone", async () => {
  await using collector = await startHttpCollector();
  await using server = await echoing();
  await using product = await startProduct({
    file: routes(server.url, ", observability: { tracing: false }"),
    flags: [`--tracing.otlp.http.endpoint=http://127.0.0.1:${collector.port}`],
  });
  const { body } = await product.get("app.test", "/", { headers: { traceparent: PARENT } });
  assert.equal((JSON.parse(body) as Record<string, string>)["traceparent"], PARENT);
  await product.get("nowhere.test");
  await eventually(() => assert.equal(spansOf(collector).length, 1));
});

test("spans travel by gRPC too", async () => {
  await using collector = await startGrpcCollector();
  await using server = await echoing();
  await using product = await startProduct({
    file: routes(server.url),
    flags: [
      `--tracing.otlp.grpc.endpoint=127.0.0.1:${collector.port}`,
      "--tracing.otlp.grpc.insecure=true",
      "--tracing.otlp.grpc.headers.X-Token=t",
    ],
  });
  await product.get("app.test");
  const { path, headers, body } = await eventually(() => {
    assert.ok(collector.received[0]);
    return collector.received[0];
  });
  assert.equal(path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
  assert.deepEqual([headers["content-type"], headers["x-token"]], ["application/grpc+proto", "t"]);
  assert.equal(body.readUInt32BE(1), body.length - 5);
  const inside = (bytes: Buffer | bigint | undefined, field: number) =>
    readProtobuf(bytes as Buffer).get(field) ?? [];
  const [resourceSpans] = inside(body.subarray(5), 1);
  const [scopeSpans] = inside(resourceSpans, 2);
  const spans = inside(scopeSpans, 2).map((span) => readProtobuf(span as Buffer));
  assert.deepEqual(
    spans.map((span) => String(span.get(5)![0])),
    ["GET", "ReverseProxy"],
  );
  assert.deepEqual(
    spans.map((span) => span.get(6)![0]),
    [2n, 3n],
  );
  assert.equal((spans[0]!.get(1)![0] as Buffer).length, 16);
  assert.deepEqual(spans[1]!.get(4)![0], spans[0]!.get(2)![0]);
});

test("a collector that is gone costs no request, and is mentioned once", async () => {
  await using server = await echoing();
  await using product = await startProduct({
    file: routes(server.url),
    flags: ["--tracing.otlp.http.endpoint=http://127.0.0.1:1"],
  });
  for (let i = 0; i < 20; i++) assert.equal((await product.get("app.test")).status, 200);
  await eventually(() => {
    const told = product.log.filter(({ message }) => message === "the collector does not take our traces");
    assert.equal(told.length, 1);
  });
});

test("metrics are pushed to a collector under the names that Prometheus sees", async () => {
  await using collector = await startHttpCollector();
  await using server = await echoing();
  await using product = await startProduct({
    file: routes(server.url),
    flags: [
      `--metrics.otlp.http.endpoint=http://127.0.0.1:${collector.port}`,
      "--metrics.otlp.pushInterval=100ms",
    ],
  });
  await product.get("app.test");
  await eventually(() => {
    const last = collector.received.at(-1)!;
    assert.equal(last.path, "/v1/metrics");
    const text = last.body.toString();
    assert.match(text, /"traefik_entrypoint_requests_total".*"isMonotonic":true/);
    assert.match(text, /"traefik_service_request_duration_seconds".*"explicitBounds":\[0\.005,/);
    assert.match(text, /"traefik_config_reloads_total"/);
  });
});

test("a trace is continued only from a header that is right, and begun by the sample rate otherwise", () => {
  const of = (traceparent: string, rate = 1) => {
    const headers: Headers = ["Traceparent", traceparent, "tracestate", "x=1"];
    return { context: continueTrace(headers, rate), headers };
  };
  assert.equal(of(PARENT).context.parentId, "b7ad6b7169203331");
  assert.equal(of(PARENT.replace(/01$/, "00")).context.sampled, false);
  assert.equal(of(PARENT, 0).context.sampled, true);
  assert.equal(of(PARENT.replace(/^00/, "01").concat("-more")).context.parentId, "b7ad6b7169203331");
  for (const bad of [
    "",
    "00-x",
    PARENT.replace(/^00/, "ff"),
    `${PARENT}-more`,
    PARENT.replace(/b7.{14}/, "0".repeat(16)),
    PARENT.toUpperCase(),
  ]) {
    const { context, headers } = of(bad, 0);
    assert.deepEqual([context.parentId, context.sampled], ["", false]);
    assert.deepEqual(headers, ["traceparent", `00-${context.traceId}-${context.spanId}-00`]);
  }
});

import assert from "node:assert/strict";
import { createServer, type ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TLSSocket } from "node:tls";
import { gunzipSync } from "node:zlib";
import { eventually, startProduct } from "../e2e/harness.ts";
import { type Collector, startHttpCollector } from "../observe/collector.ts";
import { makeCertificate } from "../tls/certificates.ts";

/** What a collector gets, and by which options: each by its name. */

const APP = { name: "app", labels: { "traefik.http.routers.app.rule": "Host(`app.test`)" } };

/** All that a collector got until it pleases. */
async function collected(flags: readonly string[], pleases: RegExp, path = "/"): Promise<string> {
  await using collector = await startHttpCollector();
  const endpoint = `http://127.0.0.1:${collector.port}`;
  await using product = await startProduct({
    threads: 1,
    containers: [APP],
    flags: [
      "--entryPoints.traefik.address=127.0.0.1:0",
      ...flags.map((flag) => flag.replace("COLLECTOR", endpoint)),
    ],
  });
  await product.get("app.test", path);
  return await eventually(() => {
    const text = textOf(collector);
    assert.match(text, pleases);
    return text;
  });
}

const textOf = ({ received }: Collector) => received.map(({ body }) => body.toString()).join("\n");

const TRACING = "--tracing.otlp.http.endpoint=COLLECTOR";
const METRICS = ["--metrics.otlp.http.endpoint=COLLECTOR", "--metrics.otlp.pushInterval=100ms"];

test("tracing: serviceName, globalAttributes and capturedResponseHeaders", async () => {
  const text = await collected(
    [
      TRACING,
      "--tracing.serviceName=house",
      "--tracing.globalAttributes.site=here",
      "--tracing.capturedResponseHeaders=Content-Type",
    ],
    /"ReverseProxy"/,
  );
  assert.match(text, /"service\.name","value":\{"stringValue":"house"\}/);
  assert.match(text, /"site","value":\{"stringValue":"here"\}/);
  assert.match(text, /"http\.response\.header\.content-type"/);
});

test("tracing.sampleRate: 0 sends nothing of what no client began to trace", async () => {
  await using collector = await startHttpCollector();
  await using product = await startProduct({
    threads: 1,
    containers: [APP],
    flags: [`--tracing.otlp.http.endpoint=http://127.0.0.1:${collector.port}`, "--tracing.sampleRate=0"],
  });
  await product.get("app.test");
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  await product.get("app.test", "/", { headers: { traceparent } });
  await eventually(() => assert.match(textOf(collector), /0af7651916cd43dd8448eb211c80319c/));
  const traces = new Set(textOf(collector).match(/"traceId":"\w+"/g));
  assert.equal(traces.size, 1);
});

test("tracing.addInternals: our own pages are traced too", async () => {
  const flags = [TRACING, "--ping.entryPoint=web"];
  assert.match(await collected([...flags, "--tracing.addInternals=true"], /"GET"/, "/ping"), /\/ping/);
});

test("metrics.otlp: serviceName, resourceAttributes, explicitBoundaries and the switches of labels", async () => {
  const text = await collected(
    [
      ...METRICS,
      "--metrics.otlp.serviceName=house",
      "--metrics.otlp.resourceAttributes.site=here",
      "--metrics.otlp.explicitBoundaries=0.123,0.456",
      "--metrics.otlp.addEntryPointsLabels=false",
      "--metrics.otlp.addRoutersLabels=true",
      "--metrics.otlp.addServicesLabels=false",
    ],
    /traefik_router_requests_total/,
  );
  assert.match(text, /"service\.name","value":\{"stringValue":"house"\}/);
  assert.match(text, /"site","value":\{"stringValue":"here"\}/);
  assert.match(text, /"explicitBounds":\[0\.123,0\.456\]/);
  assert.doesNotMatch(text, /traefik_entrypoint_requests_total|traefik_service_requests_total/);
});

test("metrics.otlp.pushInterval: how often they are pushed", async () => {
  await using collector = await startHttpCollector();
  const endpoint = `--metrics.otlp.http.endpoint=http://127.0.0.1:${collector.port}`;
  const flags = [endpoint, "--metrics.otlp.pushInterval=100ms"];
  await using _ = await startProduct({ threads: 1, flags });
  // Of itself it would be every ten seconds.
  await eventually(() => assert.ok(collector.received.length >= 3), 15);
});

test("otlp tls: ca, cert, key and insecureSkipVerify", async () => {
  const authority = await makeCertificate({ commonName: "authority", authority: true });
  const own = await makeCertificate({ ips: ["127.0.0.1"], issuer: authority });
  const client = await makeCertificate({ commonName: "client", names: ["client"] });
  const shown: string[] = [];
  await using collector = await secureCollector({ cert: own.chain, key: own.key, requestCert: true }, shown);
  const send = async (...tls: string[]) => {
    shown.length = 0;
    await using product = await startProduct({
      threads: 1,
      containers: [APP],
      flags: [
        `--tracing.otlp.http.endpoint=${collector.url}`,
        ...tls.map((text) => `--tracing.otlp.http.tls.${text}`),
      ],
    });
    await product.get("app.test");
    await product.waybill.stop();
    return shown.join();
  };
  assert.equal(await send(), "");
  assert.equal(await send("insecureSkipVerify=true"), "nobody");
  assert.equal(await send(`ca=${authority.chain}`), "nobody");
  const pair = [`cert=${client.chain}`, `key=${client.key}`];
  assert.equal(await send(`ca=${authority.chain}`, ...pair), "client");
});

async function secureCollector(options: ServerOptions, shown: string[]) {
  const server = createServer({ ...options, rejectUnauthorized: false }, (request, response) => {
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const whole = Buffer.concat(chunks);
      const text = request.headers["content-encoding"] === "gzip" ? gunzipSync(whole) : whole;
      if (text.includes("ReverseProxy")) shown.push((subject?.CN as string | undefined) ?? "nobody");
      response.end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

import assert from "node:assert/strict";
import { createServer as createHttp2, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { HealthCheckOptions } from "../../src/control/health.ts";
import { probe } from "../../src/control/probe.ts";
import { fileServiceOptions, transportOptions } from "../../src/model/dynamic.ts";
import type { ServerSpec } from "../../src/model/snapshot.ts";
import { parseFile } from "../../src/schema/file-tree.ts";
import { Node } from "../../src/schema/node.ts";
import { readOptions } from "../../src/schema/read-options.ts";
import { startServer } from "../e2e/harness.ts";

const reader = { report() {}, secret: () => "" };
const transport = readOptions(transportOptions, new Node("", { source: "default", key: "" }), reader);

function check(options: string): HealthCheckOptions {
  const tree = parseFile(
    "check.yml",
    `loadBalancer: { servers: [], healthCheck: { ${options} } }`,
    () => {},
  )!;
  return readOptions({ loadBalancer: fileServiceOptions.loadBalancer }, tree, reader).loadBalancer!
    .healthCheck!;
}

function at(url: string, scheme: ServerSpec["scheme"] = "http"): ServerSpec {
  const { hostname, port } = new URL(url);
  return {
    id: url,
    scheme,
    host: hostname,
    port: Number(port),
    path: "",
    weight: 1,
    url,
    workload: undefined,
  };
}

const ask = (server: ServerSpec, options: string) =>
  probe(server, check(options), transport, new AbortController().signal);

test("a probe asks as it was told to, and is content with any status from 200 to 399", async () => {
  const seen: string[] = [];
  await using server = await startServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.host} ${request.headers["x-probe"]}`);
    response.writeHead(204).end();
  });
  const trouble = await ask(
    at(server.url),
    "path: /ready?deep, method: HEAD, hostname: app.test, headers: { X-Probe: yes-it-is }",
  );
  assert.equal(trouble, undefined);
  assert.deepEqual(seen, ["HEAD /ready?deep app.test yes-it-is"]);
});

test("a probe with a status is content with that one alone", async () => {
  await using server = await startServer((_, response) => response.writeHead(204).end());
  assert.equal(await ask(at(server.url), "path: /, status: 204"), undefined);
  assert.equal(await ask(at(server.url), "path: /, status: 200"), "answered 204, expected 200");
});

test("a probe follows redirects unless it is told not to", async () => {
  await using server = await startServer((request, response) => {
    if (request.url === "/") response.writeHead(302, { location: "/broken" }).end();
    else response.writeHead(500).end();
  });
  assert.equal(await ask(at(server.url), "path: /"), "answered 500, expected 200 to 399");
  assert.equal(await ask(at(server.url), "path: /, followRedirects: false"), undefined);
});

test("a probe follows no redirect to another server, such as one inside Waybill", async () => {
  let asked = 0;
  await using inside = await startServer((_, response) => {
    asked++;
    response.writeHead(500).end();
  });
  const locations = [
    inside.url,
    "//127.0.0.1/",
    "http://localhost/",
    "https://app.test/",
    "http://app.test:81/",
  ];
  for (const location of locations) {
    await using server = await startServer((_, response) => response.writeHead(302, { location }).end());
    assert.equal(await ask(at(server.url), "path: /, hostname: app.test"), undefined, location);
    assert.equal(await ask(at(server.url), "path: /, status: 200"), "answered 302, expected 200");
  }
  assert.equal(asked, 0);
});

test("a redirect to the name that was asked for is asked of the same server", async () => {
  const seen: string[] = [];
  await using server = await startServer((request, response) => {
    seen.push(`${request.method} ${request.headers.host} ${request.url}`);
    if (request.url === "/a?b") response.writeHead(200).end();
    else response.writeHead(303, { location: "http://app.test/a?b" }).end();
  });
  assert.equal(
    await ask(at(server.url), "path: /, status: 200, method: POST, hostname: app.test"),
    undefined,
  );
  assert.deepEqual(seen, ["POST app.test /", "GET app.test /a?b"]);
});

test("a probe that is sent round in circles ends", async () => {
  await using server = await startServer((_, response) => response.writeHead(302, { location: "/" }).end());
  assert.equal(await ask(at(server.url), "path: /, status: 200"), "answered 302, expected 200");
});

test("a probe may use another scheme than the server", async () => {
  await using server = await startServer((_, response) => response.end());
  assert.equal(await ask(at(server.url, "https"), "path: /, scheme: http"), undefined);
  assert.notEqual(await ask(at(server.url), "path: /, scheme: https"), undefined);
});

test("a probe may go to another port, and gives up after its time", async () => {
  await using silent = await startServer(() => {});
  const { port } = new URL(silent.url);
  assert.equal(
    await ask(at("http://127.0.0.1:1"), `path: /, port: ${port}, timeout: 100ms`),
    "no answer within 100 ms",
  );
  assert.match((await ask(at("http://127.0.0.1:1"), "path: /")) ?? "", /ECONNREFUSED/);
});

test("a gRPC probe asks the health service, and only SERVING is well", async () => {
  let serving = 1;
  const server = createHttp2();
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    assert.equal(headers[":path"], "/grpc.health.v1.Health/Check");
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, serving]));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const target = at(`http://127.0.0.1:${port}`, "h2c");
  assert.equal(await ask(target, "mode: grpc"), undefined);
  serving = 2;
  assert.equal(await ask(target, "mode: grpc"), "answered the serving status 2, expected 1 (SERVING)");
  await new Promise((resolve) => server.close(resolve));
});

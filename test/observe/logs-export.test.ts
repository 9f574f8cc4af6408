import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Telemetry } from "../../src/control/telemetry.ts";
import type { Logger } from "../../src/model/host.ts";
import { logOptions } from "../../src/model/log-settings.ts";
import { createLog, type Log } from "../../src/observe/log.ts";
import { resourceOf } from "../../src/observe/otlp.ts";
import { OtlpExporter } from "../../src/observe/otlp-exporter.ts";
import { makeSender } from "../../src/observe/otlp-sender.ts";
import { loadSettings } from "../../src/settings/load.ts";
import { eventually, startProduct } from "../e2e/harness.ts";
import { written as readDotted } from "../gateway/plane.ts";
import { type Collector, readProtobuf, startGrpcCollector, startHttpCollector } from "./collector.ts";

/** The access log and the log on their way to a collector. */

const APP = { name: "app", labels: { "traefik.http.routers.app.rule": "Host(`app.test`)" } };

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface LogRecord {
  readonly severityNumber: number;
  readonly severityText: string;
  readonly timeUnixNano: string;
  readonly body: { readonly stringValue: string };
  readonly attributes: readonly Attribute[];
  readonly traceId?: string;
}

interface Message {
  readonly resourceLogs: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeLogs: readonly { readonly logRecords: readonly LogRecord[] }[];
  }[];
}

const messagesOf = ({ received }: Collector) =>
  received
    .filter(({ path }) => path === "/v1/logs")
    .map(({ body }) => JSON.parse(body.toString()) as Message);

const recordsOf = (collector: Collector) =>
  messagesOf(collector).flatMap(({ resourceLogs }) =>
    resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords)),
  );

const plain = (attributes: readonly Attribute[]) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

const inside = (bytes: Buffer | bigint | undefined, field: number) =>
  readProtobuf(bytes as Buffer).get(field) ?? [];

/** Records in a gRPC message, each with its fields by number. */
function grpcRecordsOf({ received }: Collector): Map<number, (Buffer | bigint)[]>[] {
  return received.flatMap(({ body }) => {
    const [resourceLogs] = inside(body.subarray(5), 1);
    const [scopeLogs] = inside(resourceLogs, 2);
    return inside(scopeLogs, 2).map((record) => readProtobuf(record as Buffer));
  });
}

test("the access log goes to a collector by HTTP: each request a record, its fields attributes, its line the body", async () => {
  await using collector = await startHttpCollector();
  const endpoint = `http://127.0.0.1:${collector.port}`;
  await using product = await startProduct({
    threads: 1,
    containers: [APP],
    flags: [
      `--accesslog.otlp.http.endpoint=${endpoint}`,
      "--accesslog.otlp.http.headers.X-Token=t",
      "--accesslog.otlp.serviceName=house",
      "--accesslog.otlp.resourceAttributes.site=here",
      `--tracing.otlp.http.endpoint=${endpoint}`,
    ],
  });
  await product.get("app.test", "/a?b=1");
  const [record] = await eventually(() => {
    const found = recordsOf(collector);
    assert.equal(found.length, 1);
    return found;
  });
  const { severityNumber, severityText, body, attributes, traceId, timeUnixNano } = record!;
  assert.deepEqual([severityNumber, severityText], [9, "INFO"]);
  assert.match(body.stringValue, /"GET \/a\?b=1 HTTP\/1\.1" 200 \d+ .* "app@docker" "http:\S+" \d+ms$/);
  assert.match(traceId!, /^[0-9a-f]{32}$/);
  assert.ok(Math.abs(Number(timeUnixNano) / 1e6 - Date.now()) < 60_000);
  const fields = plain(attributes);
  assert.deepEqual(
    ["RequestPath", "RouterName", "DownstreamStatus", "trace_id", "level"].map((name) => fields[name]),
    ["/a?b=1", "app@docker", "200", undefined, undefined],
  );
  const [message] = messagesOf(collector);
  const resource = plain(message!.resourceLogs[0]!.resource.attributes);
  assert.deepEqual([resource["service.name"], resource["site"]], ["house", "here"]);
  const logs = collector.received.find(({ path }) => path === "/v1/logs");
  assert.equal(logs!.headers["x-token"], "t");
});

test("accesslog.dualOutput: lines go to the file although a collector gets them, and only then", async () => {
  await using collector = await startGrpcCollector();
  const folder = mkdtempSync(join(tmpdir(), "waybill-log-"));
  const run = async (...flags: string[]) => {
    const path = join(folder, `${flags.length}.log`);
    const before = collector.received.length;
    await using product = await startProduct({
      threads: 1,
      containers: [APP],
      flags: [
        `--accesslog.otlp.grpc.endpoint=127.0.0.1:${collector.port}`,
        "--accesslog.otlp.grpc.insecure=true",
        "--accesslog.otlp.grpc.headers.X-Token=t",
        `--accesslog.filePath=${path}`,
        ...flags,
      ],
    });
    await product.get("app.test");
    await eventually(() => assert.equal(collector.received.length, before + 1));
    await product.waybill.stop();
    return path;
  };
  const without = await run();
  assert.throws(() => readFileSync(without), /ENOENT/);
  const path = await run("--accesslog.dualOutput=true");
  assert.match(readFileSync(path, "utf8"), /"GET \/ HTTP\/1\.1" 200/);
  const [first] = collector.received;
  assert.equal(first!.path, "/opentelemetry.proto.collector.logs.v1.LogsService/Export");
  assert.equal(first!.headers["x-token"], "t");
  const [record] = grpcRecordsOf(collector);
  assert.equal(record!.get(2)![0], 9n);
  assert.match(String(inside(record!.get(5)![0], 1)[0]), /"GET \/ HTTP\/1\.1" 200/);
  const names = record!.get(6)!.map((attribute) => String(inside(attribute, 1)[0]));
  assert.ok(names.includes("RouterName") && names.includes("Duration"), names.join());
  rmSync(folder, { recursive: true, force: true });
});

function logTo(written: Record<string, string>): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = [];
  const values = readDotted(logOptions, { format: "json", ...written });
  return { log: createLog(values, { write: (line) => void lines.push(line) }, "1.2.3"), lines };
}

test("the log goes to a collector too, with its levels, fields and errors", async () => {
  await using collector = await startHttpCollector();
  const { log, lines } = logTo({
    level: "INFO",
    "otlp.http.endpoint": `http://127.0.0.1:${collector.port}`,
    "otlp.http.headers.x-token": "t",
    "otlp.serviceName": "house",
    "otlp.resourceAttributes.site": "here",
  });
  log.debug({}, "too little");
  log.info({ router: "app@docker", count: 3, list: ["a"], on: true }, "a router came");
  log.error({ err: new TypeError("boom") }, "this failed");
  await log.close();
  const [first, second] = recordsOf(collector);
  assert.deepEqual([first!.severityText, first!.body.stringValue], ["INFO", "a router came"]);
  assert.deepEqual(plain(first!.attributes), { router: "app@docker", count: "3", list: '["a"]', on: true });
  assert.deepEqual([second!.severityNumber, second!.body.stringValue], [17, "this failed"]);
  const error = plain(second!.attributes);
  assert.deepEqual([error["exception.type"], error["exception.message"]], ["TypeError", "boom"]);
  assert.match(String(error["exception.stacktrace"]), /\n {4}at /);
  assert.equal(recordsOf(collector).length, 2);
  assert.equal(lines.length, 2);
  const [message] = messagesOf(collector);
  const resource = plain(message!.resourceLogs[0]!.resource.attributes);
  assert.deepEqual(
    [resource["service.name"], resource["service.version"], resource["site"]],
    ["house", "1.2.3", "here"],
  );
  assert.equal(collector.received[0]!.headers["x-token"], "t");
});

test("the log goes by gRPC too", async () => {
  await using collector = await startGrpcCollector();
  const { log } = logTo({
    "otlp.grpc.endpoint": `127.0.0.1:${collector.port}`,
    "otlp.grpc.insecure": "true",
    "otlp.grpc.headers.x-token": "t",
  });
  log.warn({ deep: { yes: true } }, "this is odd");
  await log.close();
  const [record] = grpcRecordsOf(collector);
  assert.equal(String(record!.get(3)![0]), "WARN");
  assert.equal(String(inside(record!.get(5)![0], 1)[0]), "this is odd");
  assert.equal(collector.received[0]!.headers["x-token"], "t");
});

test("OTEL_RESOURCE_ATTRIBUTES is heard, and the settings say more", () => {
  const env = { OTEL_RESOURCE_ATTRIBUTES: "site=there,team=a%20b,=x,broken" };
  const settings = { serviceName: "house", resourceAttributes: new Map([["site", "here"]]) };
  assert.deepEqual(
    [...resourceOf(settings, "1", env).attributes],
    [
      ["site", "here"],
      ["team", "a b"],
    ],
  );
});

test("a collector that is gone costs no request: what waits is bounded, the rest is counted, one line says so", async () => {
  await using product = await startProduct({
    threads: 1,
    containers: [APP],
    flags: [
      "--accesslog.otlp.http.endpoint=http://127.0.0.1:1",
      "--metrics.prometheus=true",
      "--entryPoints.traefik.address=127.0.0.1:0",
    ],
  });
  for (let i = 0; i < 20; i++) assert.equal((await product.get("app.test")).status, 200);
  const told = () =>
    product.log.filter(({ message }) => message === "the collector does not take our access log");
  await eventually(() => {
    assert.equal(told().length, 1);
    assert.match(product.runtime.metrics(), /^waybill_telemetry_dropped_total\{kind="access-log"\} [1-9]/m);
  });
  assert.equal(told().length, 1);
});

test("lines of the log that the collector did not take are counted beside the others", async () => {
  const { log } = logTo({ "otlp.http.endpoint": "http://127.0.0.1:1" });
  const { settings } = loadSettings({ argv: [], env: new Map(), cwd: "/", readFile: () => "" });
  const startedAtMs = Date.now();
  const telemetry = new Telemetry({ settings, log, version: "1", startedAtMs, series: () => [] });
  assert.equal(telemetry.dropped().get("log"), 0);
  log.info({}, "one");
  log.info({}, "two");
  await eventually(() => assert.equal(telemetry.dropped().get("log"), 2));
  await log.close();
  await telemetry.close();
});

test("a collector that never answers makes nobody wait, and only so much wait for it", async () => {
  const told: string[] = [];
  const log = { warn: (_: unknown, message: string) => void told.push(message) } as unknown as Logger;
  let asked = 0;
  const send = () => {
    asked++;
    return new Promise<void>(() => {});
  };
  const sender = { send, close() {} };
  const exporter = new OtlpExporter(sender, "logs", log);
  for (let i = 0; i < 1000; i++) exporter.export(() => ({}), 10);
  assert.equal(asked, 1);
  assert.ok(exporter.dropped >= 9800 && exporter.dropped < 10_000, String(exporter.dropped));
});

test("a collector whose answer has no end, or is none, is given up", async () => {
  const server = createServer((request, response) => {
    request.resume();
    if (request.url === "/none") return void response.socket!.end("HTTP/1.1 nonsense\r\n\r\n");
    const more = (error?: Error | null) => {
      if (!error && !response.destroyed) response.write(Buffer.alloc(65_536), more);
    };
    more();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const to = (path: string) => {
    const http = { endpoint: `http://127.0.0.1:${port}${path}`, tls: undefined, headers: new Map() };
    return makeSender({ http }, "logs");
  };
  const [endless, none] = [to("/endless"), to("/none")];
  await endless.send({}).catch(() => {});
  await assert.rejects(none.send({}));
  const grpc = makeSender(
    { grpc: { endpoint: `127.0.0.1:${port}`, insecure: true, tls: undefined, headers: new Map() } },
    "logs",
  );
  await assert.rejects(grpc.send({}));
  for (const sender of [endless, none, grpc]) sender.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

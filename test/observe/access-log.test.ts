import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { accessLogOptions } from "../../src/model/log-settings.ts";
import { AccessLogFormat } from "../../src/observe/access-log.ts";
import { written } from "../gateway/plane.ts";
import { makeCertificate } from "../tls/certificates.ts";
import { answered } from "./exchange.ts";

/** The options as somebody wrote them. */
const format = (texts: Record<string, string> = {}) =>
  new AccessLogFormat(written(accessLogOptions, texts), () => 7);

test("the common format has Traefik's fields in Traefik's order", () => {
  const line = format().line(answered());
  const time = String.raw`\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]`;
  const rest = String.raw`"GET /items\?page=2 HTTP/1\.1" 200 42 "-" "-" 7 "app@docker" "http://172\.18\.0\.3:80" \d+ms\n`;
  assert.match(line!, new RegExp(`^192\\.0\\.2\\.7 - - ${time} ${rest}$`));
});

test("headers appear in the common format only when they are kept", () => {
  const headers = ["User-Agent", 'curl "8"', "Referer", "http://a/"];
  const names = { "fields.headers.names.User-Agent": "keep", "fields.headers.names.Referer": "redact" };
  const kept = format(names).line(answered({}, headers));
  assert.ok(kept!.includes('"REDACTED" "curl \\"8\\""'), String(kept));
});

test("JSON lines have sorted keys, durations in nanoseconds, and leave out what is dropped", () => {
  const line = format({ format: "json", "fields.names.ClientAddr": "drop" }).line(answered())!;
  const entry = JSON.parse(line);
  assert.deepEqual(Object.keys(entry), Object.keys(entry).sort());
  assert.equal(entry.ClientAddr, undefined);
  assert.equal(entry.RouterName, "app@docker");
  assert.ok(entry.Duration >= 12e6 && Number.isInteger(entry.Duration));
  assert.deepEqual([entry.BeforeDuration, entry.WaitDuration], [1e6, 10e6]);
  assert.equal(entry.WaitDuration + entry.ReplyDuration, entry.OriginDuration);
  assert.equal(entry.Overhead + entry.OriginDuration, entry.Duration);
});

test("JSON lines say what a middleware made of the server's reply", () => {
  const line = format({ format: "json", "fields.headers.defaultMode": "keep" }).line(
    answered(
      {
        originStatus: 500,
        originBytes: 420,
        originHeaders: ["Set-Cookie", "a=1", "X-Inner", "1", "set-cookie", "b=2"],
        replyHeaders: ["x-outer", "2"],
      },
      ["accept", "*/*"],
    ),
  )!;
  const entry = JSON.parse(line);
  assert.deepEqual(Object.keys(entry), Object.keys(entry).sort());
  const shown = [
    "OriginStatus",
    "DownstreamStatus",
    "OriginContentSize",
    "DownstreamContentSize",
    "GzipRatio",
  ];
  assert.deepEqual(
    shown.map((name) => entry[name]),
    [500, 200, 420, 42, 10],
  );
  assert.deepEqual(
    [entry["origin_Set-Cookie"], entry["origin_X-Inner"], entry["downstream_X-Outer"], entry.request_Accept],
    ["a=1,b=2", "1", "2", "*/*"],
  );
});

test("JSON lines name the certificate of a client as Go writes it", async () => {
  const client = await makeCertificate({ commonName: "client", names: ["client"] });
  const tls = {
    version: "1.3",
    cipher: "TLS_AES_128_GCM_SHA256",
    peerCertificates: () => [new X509Certificate(client.chain).raw],
  };
  const line = format({ format: "json" }).line(answered({ connection: { ...answered().connection, tls } }))!;
  const { TLSClientSubject, TLSVersion, TLSCipher } = JSON.parse(line);
  assert.deepEqual([TLSClientSubject, TLSVersion, TLSCipher], ["CN=client", "1.3", "TLS_AES_128_GCM_SHA256"]);
});

test("every field can be dropped, from JSON and from the common form", () => {
  const bare = { "fields.defaultMode": "drop" };
  assert.deepEqual(Object.keys(JSON.parse(format({ format: "json", ...bare }).line(answered())!)), [
    "level",
    "msg",
    "time",
  ]);
  assert.equal(format(bare).line(answered()), '- - - [-] "- - -" - - "-" "-" - "-" "-" -ms\n');
});

test("any one filter lets a request into the log", () => {
  const failures = format({ "filters.statusCodes": "500-599", "filters.retryAttempts": "true" });
  assert.equal(failures.line(answered()), undefined);
  assert.ok(failures.line(answered({ status: 502 })));
  assert.ok(failures.line(answered({ attempts: 2 })));
  assert.equal(format({ "filters.minDuration": "1m" }).line(answered()), undefined);
  const slow = format({ "filters.statusCodes": "500-599", "filters.minDuration": "5ms" });
  assert.ok(slow.line(answered()));
});

test("HD-20 nothing that a client sends can break a line or hide in it", () => {
  const evil = 'a"b\r\nfake\x1b[31m\u202e';
  const change = { askedPath: `/${evil}`, username: evil };
  for (const kind of ["common", "json"]) {
    const options = { format: kind, "fields.headers.names.User-Agent": "keep" };
    const line = format(options).line(answered(change, ["User-Agent", evil]))!;
    assert.equal(line.indexOf("\n"), line.length - 1);
    assert.doesNotMatch(line, kind === "json" ? /[\r\x1b]/ : /[\r\x1b\u202e]/);
  }
});

test("a request that no server saw has no origin, and says whose fault it was", () => {
  const fault = { code: "no-server", status: 503, source: "proxy", retry: "never", meaning: "" };
  const line = format({ format: "json" }).line(
    answered({ fault, status: 503, sentAtMs: 0, repliedAtMs: 0 }),
  )!;
  const entry = JSON.parse(line);
  assert.equal(entry.OriginStatus, undefined);
  assert.equal(entry.OriginDuration, undefined);
  assert.equal(entry.Fault, "no-server");
  assert.equal(entry.FaultSource, "proxy");
});

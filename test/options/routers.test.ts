import assert from "node:assert/strict";
import { test } from "node:test";
import { gather, routersOf } from "../control/gather.ts";

/** What routers can be told, seen in the table that is served. */

const TWO = ["--entryPoints.web.address=:80", "--entryPoints.websecure.address=:443"];

/** The router of that name as it is in force. */
function inForce(router: string, flags: readonly string[] = TWO) {
  const made = gather(
    {
      file: `
http:
  routers: { app: { service: app, ${router} } }
  services: { app: { loadBalancer: { servers: [ { url: "http://10.0.0.1" } ] } }, other: { loadBalancer: { servers: [] } } }
  middlewares: { add: { addPrefix: { prefix: /x } } }
tls: { options: { modern: { minVersion: VersionTLS13 } } }
`.replace(router.includes("service:") ? "service: app, " : " ", " "),
    },
    flags,
  );
  assert.deepEqual(made.report.problems, []);
  return routersOf(made)[0]!;
}

const RULE = 'rule: "Host(`app.test`)"';

test("rule and ruleSyntax: the rule is read in its own language, or in core.defaultRuleSyntax", () => {
  assert.equal(inForce(RULE).rule, "Host(`app.test`)");
  assert.equal(inForce(RULE).ruleSyntax, "v3");
  assert.equal(inForce(`${RULE}, ruleSyntax: v2`).ruleSyntax, "v2");
  assert.equal(
    inForce('rule: "Host(`a.test`, `b.test`)"', [...TWO, "--core.defaultRuleSyntax=v2"]).ruleSyntax,
    "v2",
  );
});

test("entryPoints: only on these", () => {
  assert.deepEqual(inForce(`${RULE}, entryPoints: [ websecure ]`).entryPoints, ["websecure"]);
});

test("middlewares: in their order", () => {
  assert.deepEqual(inForce(`${RULE}, middlewares: [ add ]`).middlewares, ["add@file"]);
});

test("service: where its requests go", () => {
  assert.equal(inForce(`${RULE}, service: other`).service, "other@file");
});

test("priority: as written, or the length of the rule", () => {
  assert.equal(inForce(`${RULE}, priority: 7`).priority, 7n);
  assert.equal(inForce(RULE).priority, 16n);
});

test("tls: options, certResolver and domains", () => {
  const { tls } = inForce(
    `${RULE}, tls: { options: modern, certResolver: internal, domains: [ { main: all.test, sans: [ also.test ] } ] }`,
  );
  assert.equal(tls?.options, "modern@file");
  assert.equal(tls?.certResolver, "internal");
  assert.deepEqual(tls?.domains, [{ main: "all.test", sans: ["also.test"] }]);
});

test("observability: accessLogs, accessLogSampleRate, metrics, tracing and traceVerbosity", () => {
  const { accessLogSampleRate } = inForce(`${RULE}, observability: { accessLogSampleRate: 0.25 }`);
  assert.equal(accessLogSampleRate, 0.25);
  const { accessLog, metrics, tracing, detailedTraces } = inForce(
    `${RULE}, observability: { accessLogs: false, metrics: false, tracing: false, traceVerbosity: detailed }`,
  );
  assert.deepEqual([accessLog, metrics, tracing, detailedTraces], [false, false, false, true]);
});

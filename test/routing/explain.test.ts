import assert from "node:assert/strict";
import { test } from "node:test";
import { compileTable } from "../../src/routing/table.ts";
import { exchangeOf, type RequestFacts, routerOf } from "./requests.ts";

function reasons(rule: string, facts: RequestFacts): readonly string[] {
  const considered = compileTable([routerOf({ name: "r", rule })]).explain(exchangeOf(facts));
  return considered[0]!.reasons;
}

test("the first condition that fails is named with what was found instead", () => {
  const rule = "Host(`a.example.com`) && PathPrefix(`/api`) && Method(`POST`)";
  assert.deepEqual(reasons(rule, { host: "b.example.com", path: "/api" }), [
    "Host(`a.example.com`) does not hold: the host is b.example.com",
  ]);
  assert.deepEqual(reasons(rule, { host: "a.example.com", path: "/" }), [
    "PathPrefix(`/api`) does not hold: the path is /",
  ]);
  assert.deepEqual(reasons(rule, { host: "a.example.com", path: "/api" }), [
    "Method(`POST`) does not hold: the method is GET",
  ]);
  assert.deepEqual(reasons(rule, { host: "a.example.com", path: "/api", method: "POST" }), []);
});

test("of alternatives each is named", () => {
  assert.deepEqual(reasons("Host(`a`) || Host(`b`) && Path(`/x`)", { host: "b", path: "/y" }), [
    "Host(`a`) does not hold: the host is b",
    "Path(`/x`) does not hold: the path is /y",
  ]);
});

test("a negation is shown as one", () => {
  assert.deepEqual(reasons("!(Host(`a`) || Path(`/x`))", { host: "a", path: "/y" }), [
    "!Host(`a`) does not hold: the host is a",
  ]);
});

test("each kind of condition says what it saw", () => {
  assert.deepEqual(reasons("Host(`a`)", {}), ["Host(`a`) does not hold: the request has no host"]);
  assert.deepEqual(reasons("Header(`X-A`, `1`)", {}), [
    "Header(`X-A`, `1`) does not hold: there is no header x-a",
  ]);
  assert.deepEqual(reasons("Header(`X-A`, `1`)", { headers: ["X-A", "2", "x-a", "3"] }), [
    'Header(`X-A`, `1`) does not hold: x-a is "2", "3"',
  ]);
  assert.deepEqual(reasons("Query(`q`)", { query: "q=1" }), ['Query(`q`) does not hold: q is "1"']);
  assert.deepEqual(reasons("Query(`q`, `1`)", {}), [
    "Query(`q`, `1`) does not hold: there is no parameter q",
  ]);
  assert.deepEqual(reasons("ClientIP(`10.0.0.0/8`)", { clientIp: "192.0.2.1" }), [
    "ClientIP(`10.0.0.0/8`) does not hold: the client's address is 192.0.2.1",
  ]);
});

test("credentials are not shown", () => {
  const [reason] = reasons("Header(`Authorization`, `x`)", { headers: ["Authorization", "Bearer secret"] });
  assert.equal(reason, "Header(`Authorization`, `x`) does not hold: authorization has another value");
});

test("routers are listed in the order in which they are tried, up to the one that matches", () => {
  const table = compileTable([
    routerOf({ name: "plain", rule: "Host(`a`)", priority: 1n }),
    routerOf({ name: "never", rule: "Host(`a`)", priority: 0n }),
    routerOf({ name: "secure", rule: "Host(`a`)", priority: 50n, tls: true }),
    routerOf({ name: "elsewhere", rule: "Host(`a`)", priority: 40n, entryPoints: ["admin"] }),
    routerOf({ name: "broken", rule: "Host(`a`", priority: 30n }),
    routerOf({ name: "high", rule: "Host(`b`)", priority: 20n }),
  ]);
  const considered = table.explain(exchangeOf({ host: "a" }));
  assert.deepEqual(
    considered.map(({ router, matched }) => `${router} ${matched}`),
    ["secure false", "elsewhere false", "broken false", "high false", "never true"],
  );
  assert.deepEqual(considered[0]!.reasons, ["it serves HTTPS only, and the request is plain HTTP"]);
  assert.deepEqual(considered[1]!.reasons, ["it listens on admin, and the request came in on web"]);
  assert.match(considered[2]!.reasons[0]!, /^its rule is not right: column 9/);
});

test("a matcher of the v2 syntax with several values is one condition", () => {
  const router = routerOf({
    name: "r",
    rule: "Host(`a`, `b`) && Headers(`X`, `1`, `Y`, `2`)",
    ruleSyntax: "v2",
  });
  const table = compileTable([router]);
  assert.deepEqual(table.explain(exchangeOf({ host: "c" }))[0]!.reasons, [
    "Host(`a`, `b`) does not hold: the host is c",
  ]);
  assert.deepEqual(table.explain(exchangeOf({ host: "a", headers: ["X", "1"] }))[0]!.reasons, [
    "Headers(`X`, `1`, `Y`, `2`) does not hold: there is no header y",
  ]);
});

test("the children of a router that matches are tried after it", () => {
  const table = compileTable([
    routerOf({ name: "parent", rule: "Host(`a`)" }),
    routerOf({ name: "first", rule: "PathPrefix(`/first`)", parents: ["parent"] }),
    routerOf({ name: "any", rule: "PathPrefix(`/`)", parents: ["parent"] }),
  ]);
  const steps = (path: string) =>
    table.explain(exchangeOf({ host: "a", path })).map(({ router, matched }) => `${router} ${matched}`);
  assert.deepEqual(steps("/"), ["parent true", "first false", "any true"]);
  assert.deepEqual(steps("/first"), ["parent true", "first true"]);
});

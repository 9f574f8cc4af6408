import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareRouters } from "../../src/routing/priority.ts";
import { parseRule } from "../../src/routing/rule.ts";
import { type CompiledRouter, compileTable } from "../../src/routing/table.ts";
import { canonicalHost } from "../../src/wire/authority.ts";
import { exchangeOf, type RequestFacts, type RouterFacts, routerOf } from "./requests.ts";

const HOSTS = ["x", "a.x", "b.x", "a.b.x", "y", "b.y"];
const PATHS = ["/", "/a", "/a/", "/a/b", "/ab", "/abc", "/a%20b", "/a/b/c", "/%2F"];

const leaf = fc.oneof(
  fc.constantFrom(...HOSTS, "*.x", "*.y", "*.b.x", "*").map((host) => `Host(\`${host}\`)`),
  fc.constantFrom(...PATHS).map((path) => `Path(\`${path}\`)`),
  fc.constantFrom(...PATHS, "/abcd", "/a/b/").map((path) => `PathPrefix(\`${path}\`)`),
  fc.constantFrom("^/a", "b$", " ").map((pattern) => `PathRegexp(\`${pattern}\`)`),
  fc.constantFrom("^a", "x$").map((pattern) => `HostRegexp(\`${pattern}\`)`),
  fc.constantFrom("GET", "POST").map((method) => `Method(\`${method}\`)`),
  fc.constantFrom("1", "2").map((value) => `Header(\`X-A\`, \`${value}\`)`),
  fc.constantFrom("1", "2").map((value) => `Query(\`q\`, \`${value}\`)`),
  fc.constant("ClientIP(`10.0.0.0/8`)"),
);

const { rule } = fc.letrec<{ rule: string }>((tie) => ({
  rule: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc.array(tie("rule"), { minLength: 2, maxLength: 3 }).map((parts) => `(${parts.join(" && ")})`),
    fc.array(tie("rule"), { minLength: 2, maxLength: 3 }).map((parts) => `(${parts.join(" || ")})`),
    tie("rule").map((part) => `!${part}`),
  ),
}));

const routers = fc
  .array(
    fc.record({
      rule,
      priority: fc.constantFrom(0n, 0n, 5n, 20n),
      precedence: fc.constantFrom(0, 0, 1),
      createdAtMs: fc.constantFrom(0, 1, 2),
      tls: fc.boolean(),
      entryPoints: fc.constantFrom(["web"], ["web", "other"], ["other"]),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((facts) => facts.map((fact, i): RouterFacts => ({ name: `r${i}`, ...fact })));

const request: fc.Arbitrary<RequestFacts> = fc.record({
  method: fc.constantFrom("GET", "POST"),
  host: fc.constantFrom(...HOSTS, ""),
  path: fc.constantFrom(...PATHS),
  query: fc.constantFrom("", "q=1", "q=2&q=1"),
  headers: fc.constantFrom([], ["x-a", "1"], ["X-A", "2", "X-A", "1"]),
  clientIp: fc.constantFrom("10.0.0.1", "192.0.2.1"),
  tls: fc.boolean(),
  entryPoint: fc.constantFrom("web", "other"),
});

/** Every router in turn, and the first whose rule holds: what the table must always agree with. */
function naiveMatch(compiled: readonly CompiledRouter[], facts: RequestFacts): string | undefined {
  const exchange = exchangeOf(facts);
  const sorted = [...compiled].sort((a, b) => compareRouters(a.spec, b.spec));
  const winner = sorted.find(({ spec }) => {
    if ((spec.tls !== undefined) !== (exchange.connection.tls !== undefined)) return false;
    if (!spec.entryPoints.includes(exchange.connection.entryPoint)) return false;
    const parsed = parseRule(spec.rule, spec.ruleSyntax);
    return "rule" in parsed && parsed.rule.condition.holds(exchange);
  });
  return winner?.route.name;
}

test("the table and a walk through all routers in order always find the same one", () => {
  fc.assert(
    fc.property(routers, fc.array(request, { minLength: 1, maxLength: 12 }), (facts, requests) => {
      const compiled = facts.map(routerOf);
      const table = compileTable(compiled);
      for (const one of requests) {
        const exchange = exchangeOf(one);
        const found = table.match(exchange)?.name;
        assert.equal(found, naiveMatch(compiled, one));
        const last = table.explain(exchange).at(-1);
        assert.equal(last?.matched === true ? last.router : undefined, found);
      }
    }),
    { numRuns: 400 },
  );
});

test("PR-11 the order in which routers are handed over changes nothing", () => {
  fc.assert(
    fc.property(routers, fc.integer({ min: 1, max: 11 }), request, (facts, turn, one) => {
      const compiled = facts.map(routerOf);
      const turned = [...compiled.slice(turn), ...compiled.slice(0, turn)];
      const exchange = exchangeOf(one);
      assert.equal(compileTable(compiled).match(exchange)?.name, compileTable(turned).match(exchange)?.name);
    }),
    { numRuns: 100 },
  );
});

for (const count of [1, 99, 101, 1000]) {
  test(`PR-07 case tricks in Host change nothing among ${count} hosts`, () => {
    const compiled = Array.from({ length: count }, (_, i) =>
      routerOf({ name: `r${i}`, rule: `Host(\`${mixed(`App-${i}.Example.COM`, i)}\`)` }),
    );
    const oneRule = Array.from({ length: count }, (_, i) => `Host(\`APP-${i}.example.com\`)`).join(" || ");
    const table = compileTable(compiled);
    const all = compileTable([routerOf({ name: "all", rule: oneRule })]);
    for (let i = 0; i < count; i += Math.ceil(count / 50)) {
      for (const turn of [0, 1, 2, 3]) {
        const host = canonicalHost(mixed(`app-${i}.example.com`, turn))!;
        const exchange = exchangeOf({ host });
        assert.equal(table.match(exchange)?.name, `r${i}`);
        assert.equal(all.match(exchange)?.name, "all");
        assert.equal(naiveMatch([compiled[i]!], { host }), `r${i}`);
      }
    }
    assert.equal(table.match(exchangeOf({ host: `app-${count}.example.com` })), undefined);
    assert.equal(all.match(exchangeOf({ host: `app-${count}.example.com` })), undefined);
  });
}

function mixed(text: string, turn: number): string {
  return [...text].map((c, i) => ((i + turn) % 3 === 0 ? c.toUpperCase() : c.toLowerCase())).join("");
}

test("a rule with more combinations of hosts and paths than are filed still matches as it says", () => {
  const hosts = Array.from({ length: 150 }, (_, i) => `Host(\`h${i}\`)`).join(" || ");
  const paths = Array.from({ length: 150 }, (_, i) => `Path(\`/p${i}\`)`).join(" || ");
  const table = compileTable([routerOf({ name: "r", rule: `(${hosts}) && (${paths})` })]);
  assert.equal(table.match(exchangeOf({ host: "h149", path: "/p149" }))?.name, "r");
  assert.equal(table.match(exchangeOf({ host: "h149", path: "/p150" })), undefined);
  assert.equal(table.match(exchangeOf({ host: "h150", path: "/p1" })), undefined);
  const many = Array.from({ length: 11_000 }, (_, i) => `Host(\`h${i}\`)`).join(" || ");
  const large = compileTable([routerOf({ name: "many", rule: many })]);
  assert.equal(large.match(exchangeOf({ host: "h10999" }))?.name, "many");
  assert.equal(large.match(exchangeOf({ host: "h11000" })), undefined);
});

test("HD-13 hosts and paths that mean something to JavaScript are only names", () => {
  const table = compileTable([
    routerOf({ name: "a", rule: "Host(`__proto__`)" }),
    routerOf({ name: "b", rule: "Path(`/__proto__`)" }),
  ]);
  assert.equal(table.match(exchangeOf({ host: "__proto__" }))?.name, "a");
  assert.equal(table.match(exchangeOf({ path: "/__proto__" }))?.name, "b");
  for (const name of ["constructor", "hasownproperty", "tostring"]) {
    assert.equal(table.match(exchangeOf({ host: name, path: `/${name}` })), undefined);
  }
});

test("HD-14 twenty thousand parameters and headers are looked through in linear time", () => {
  const table = compileTable([
    routerOf({ name: "q", rule: "Query(`x`, `1`)" }),
    routerOf({ name: "h", rule: "HeaderRegexp(`X`, `^1$`)" }),
  ]);
  const keys = Array.from({ length: 20_000 }, (_, i) => String(i * 4096));
  const headers = keys.flatMap((key) => [key, "v"]);
  // Would take minutes if any step were quadratic, so no clock is needed to tell.
  for (let i = 0; i < 20; i++) {
    assert.equal(table.match(exchangeOf({ query: keys.join("&"), headers })), undefined);
    assert.equal(table.match(exchangeOf({ query: `${keys.join("=&")}&x=1`, headers }))?.name, "q");
    assert.equal(
      table.match(exchangeOf({ query: keys.join(";"), headers: [...headers, "x", "1"] }))?.name,
      "h",
    );
  }
});

test("HD-16 a hostile path does not make a pattern slow", () => {
  const table = compileTable([
    routerOf({
      name: "r",
      rule: "PathRegexp(`^/(a+)+$`) || PathRegexp(`(x+x+)+y`) || PathRegexp(`^/(.*a){20}$`)",
    }),
  ]);
  assert.equal(table.match(exchangeOf({ path: `/${"a".repeat(8000)}!` })), undefined);
  assert.equal(table.match(exchangeOf({ path: `/${"x".repeat(8000)}` })), undefined);
  assert.equal(table.match(exchangeOf({ path: `/${"a".repeat(8000)}` }))?.name, "r");
});

test("children are matched where their parent's hooks end, with their own order", () => {
  const hook = { onRequest: () => undefined };
  const parent = routerOf({ name: "parent", rule: "Host(`a`)", service: "" });
  const compiled = [
    { ...parent, route: { ...parent.route, hooks: [hook] } },
    routerOf({ name: "low", rule: "PathPrefix(`/`)", parents: ["parent"], entryPoints: [] }),
    routerOf({ name: "high", rule: "Header(`X-Role`, `admin`)", parents: ["parent"], entryPoints: [] }),
    routerOf({ name: "leaf", rule: "Path(`/x`)", parents: ["high"], entryPoints: [] }),
  ];
  const table = compileTable(compiled);
  const found = table.match(exchangeOf({ host: "a" }));
  assert.equal(found?.name, "parent");
  const low = found?.children?.match(exchangeOf({ host: "a" }));
  assert.equal(low?.name, "parent -> low");
  assert.deepEqual(low?.hooks, [hook]);
  assert.equal(low?.service.name, "low");
  assert.equal(low?.children, undefined);
  const high = found?.children?.match(exchangeOf({ host: "a", path: "/x", headers: ["X-Role", "admin"] }));
  assert.equal(high?.name, "parent -> high");
  assert.equal(high?.children?.match(exchangeOf({ path: "/x" }))?.name, "parent -> high -> leaf");
  assert.equal(high?.children?.match(exchangeOf({ path: "/y" })), undefined);
  assert.equal(table.match(exchangeOf({ host: "b" })), undefined, "children serve nothing by themselves");
});

test("routers that are their own ancestors end somewhere", () => {
  const table = compileTable([
    routerOf({ name: "root", rule: "Host(`a`)" }),
    routerOf({ name: "one", rule: "Host(`a`)", parents: ["root", "two"] }),
    routerOf({ name: "two", rule: "Host(`a`)", parents: ["one"] }),
  ]);
  const exchange = exchangeOf({ host: "a" });
  assert.equal(table.match(exchange)?.children?.match(exchange)?.name, "root -> one");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { growTree, labelTree } from "../../src/schema/label-tree.ts";
import { Node } from "../../src/schema/node.ts";
import { describeProblem, type Problem } from "../../src/schema/problem.ts";

function tree(labels: Record<string, string>) {
  const problems: Problem[] = [];
  const node = labelTree(new Map(Object.entries(labels)), "web", (problem) => problems.push(problem));
  return { tree: node, problems: problems.map(describeProblem) };
}

test("dots nest names, and other people's labels are left out", () => {
  const { tree: root, problems } = tree({
    "traefik.http.routers.app.rule": "r",
    "org.label": "x",
    traefikish: "x",
  });
  assert.deepEqual(problems, []);
  assert.equal(root.get("http")?.get("routers")?.get("app")?.get("rule")?.value, "r");
  assert.equal(root.children?.size, 1);
});

test("a label whose first word is mistyped is told of, if what follows could be ours", () => {
  const { tree: root, problems } = tree({
    "trafik.http.routers.app.rule": "r",
    "Treafik.enable": "true",
    waybil: "app.test",
    "traffic.weight": "1",
    traffic: "1",
    "traefix.com/team": "x",
  });
  assert.equal(root.children, undefined);
  assert.deepEqual(problems, [
    'container web, label trafik.http.routers.app.rule: has no effect, because it begins with "trafik" (did you mean traefik.http.routers.app.rule?)',
    'container web, label Treafik.enable: has no effect, because it begins with "Treafik" (did you mean traefik.enable?)',
    'container web, label waybil: has no effect, because it begins with "waybil" (did you mean waybill?)',
  ]);
});

test("names merge in any case and keep their first spelling", () => {
  const { tree: root } = tree({
    "traefik.http.routers.Foo.rule": "r",
    "traefik.http.routers.foo.priority": "5",
  });
  const router = root.get("http")?.get("routers")?.get("FOO");
  assert.equal(router?.name, "Foo");
  assert.equal(router?.children?.size, 2);
});

test("of two labels that differ in case, the last in sorted order counts and says so", () => {
  const { tree: root, problems } = tree({ "traefik.a.X-A": "1", "traefik.a.x-a": "2" });
  assert.equal(root.get("a")?.get("x-a")?.value, "2");
  assert.deepEqual(problems, [
    'container web, label traefik.a.x-a: wins over the label "traefik.a.X-A", which says something else',
  ]);
});

test("waybill is another spelling of traefik, and wins", () => {
  const { tree: root, problems } = tree({ "waybill.enable": "true", "traefik.enable": "false" });
  assert.equal(root.get("enable")?.value, "true");
  assert.equal(root.get("enable")?.place.key, "waybill.enable");
  assert.equal(problems.length, 1);
});

test("a root in capital letters is read, with a warning", () => {
  const { tree: root, problems } = tree({ "TRAEFIK.enable": "true" });
  assert.equal(root.get("enable")?.value, "true");
  assert.match(problems[0]!, /written in small letters: traefik/);
});

test("numbered names are lists in numeric order, gaps and all", () => {
  const { tree: root } = tree({ "traefik.l[10].a": "ten", "traefik.l[2].a": "two", "traefik.l[2].b": "too" });
  const items = root.get("l")?.items ?? [];
  assert.deepEqual(
    items.map((item) => item.get("a")?.value),
    ["two", "ten"],
  );
  assert.equal(items[0]?.place.key, "traefik.l[2]");
});

test("a name with a dot too many or an odd bracket is told at its label", () => {
  const { tree: root, problems } = tree({
    "traefik.http..rule": "x",
    "traefik.a[x].b": "y",
    "traefik.": "z",
  });
  assert.equal(root.children, undefined);
  assert.equal(problems.length, 3);
  assert.match(problems.join("\n"), /label traefik\.http\.\.rule: has a dot too many/);
});

test("HD-13 DK-07 __proto__, constructor and hasOwnProperty are names like any other", () => {
  const { tree: root, problems } = tree({
    "traefik.http.routers.__proto__.rule": "r",
    "traefik.__proto__.polluted": "yes",
    "traefik.http.routers.constructor.rule": "r",
    "traefik.hasOwnProperty": "x",
  });
  assert.deepEqual(problems, []);
  assert.equal(root.get("http")?.get("routers")?.get("__proto__")?.get("rule")?.value, "r");
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
});

test("DK-07 a value of 1 MB, a name of 1 MB and ten thousand labels are read", () => {
  const long = "x".repeat(1_000_000);
  const labels: Record<string, string> = {
    "traefik.big": long,
    [`traefik.${long}`]: "v",
    [`traefik.${"a.".repeat(50_000)}b`]: "v",
  };
  for (let i = 0; i < 10_000; i++) labels[`traefik.http.routers.r${i}.rule`] = "Host(`a`)";
  const { tree: root, problems } = tree(labels);
  assert.equal(String(root.get("big")?.value).length, 1_000_000);
  assert.equal(root.get("http")?.get("routers")?.children?.size, 10_000);
  assert.equal(problems.length, 1);
  assert.match(problems[0]!, /more than 32 parts/);
  assert.ok(problems[0]!.length < 2000);
});

test("flags grow the same tree", () => {
  const root = new Node("", { source: "flag", key: "" });
  const entries = ["--entryPoints.web.address", "--entrypoints.WEB.asDefault"].map((key) => ({
    key,
    start: 2,
    value: ":80",
    place: { source: "flag" } as const,
  }));
  growTree(root, entries, ({ message }) => assert.fail(message));
  assert.deepEqual([...root.get("entrypoints")!.get("web")!.children!.keys()], ["address", "asdefault"]);
  assert.equal(
    root.get("entrypoints")?.get("web")?.get("asdefault")?.place.key,
    "--entrypoints.WEB.asDefault",
  );
});

test("any labels give a tree or problems, and never an exception", () => {
  const name = fc.array(
    fc.constantFrom("a", "B", ".", "[0]", "[", "]", "__proto__", "traefik", "waybill", ""),
    {
      maxLength: 12,
    },
  );
  fc.assert(
    fc.property(
      fc.dictionary(
        fc
          .tuple(fc.constantFrom("traefik", "waybill", "WAYBILL"), name)
          .map(([root, parts]) => `${root}.${parts.join("")}`),
        fc.string(),
      ),
      (labels) => {
        tree(labels);
      },
    ),
    { numRuns: 300 },
  );
});

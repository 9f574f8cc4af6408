import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseFile } from "../../src/schema/file-tree.ts";
import type { Node } from "../../src/schema/node.ts";
import { describeProblem, type Problem } from "../../src/schema/problem.ts";

function parse(file: string, text: string): { root: Node | undefined; said: string[] } {
  const problems: Problem[] = [];
  const root = parseFile(file, text, (problem) => void problems.push(problem));
  return { root, said: problems.map(describeProblem) };
}

/** A tree as plain data, scalars as they were kept. */
function plain(node: Node | undefined): unknown {
  if (node === undefined) return undefined;
  if (node.items) return node.items.map(plain);
  if (node.children) return Object.fromEntries([...node.children.values()].map((c) => [c.name, plain(c)]));
  return node.value;
}

function at(root: Node | undefined, path: string): string {
  let node = root;
  for (const part of path.split("."))
    node = /^\d+$/.test(part) ? node?.items?.[Number(part)] : node?.get(part);
  return `${node?.place.key} ${node?.place.line}:${node?.place.column}`;
}

const YAML = `# comment
http:
  routers:
    app:
      rule: "Host(\`a\`)"
      entryPoints: [web, websecure]
      priority: 9223372036854775807
  services:
    app:
      loadBalancer:
        servers:
          - url: http://a
          - url: http://b
            weight: 0x10
on: yes
version: 1.10
none: ~
empty: {}
`;

const TOML = `on = true
[http.routers.app]
  rule = "Host(\`a\`)"
  entryPoints = ["web", "websecure"]
  priority = 9223372036854775807
[http.services.app.loadBalancer]
  [[http.services.app.loadBalancer.servers]]
    url = "http://a"
  [[http.services.app.loadBalancer.servers]]
    url = "http://b"
    weight = 0x10
[tls.options]
[x]
version = 1.10
"a.b" = { c.d = 1 }
`;

test("YAML becomes a tree whose numbers keep their digits", () => {
  assert.deepEqual(plain(parse("a.yml", YAML).root), {
    http: {
      routers: {
        app: { rule: "Host(`a`)", entryPoints: ["web", "websecure"], priority: "9223372036854775807" },
      },
      services: {
        app: { loadBalancer: { servers: [{ url: "http://a" }, { url: "http://b", weight: 16 }] } },
      },
    },
    on: "yes",
    version: "1.10",
    none: null,
    empty: {},
  });
});

test("TOML becomes the same tree, with its tables, lists of tables and dotted keys", () => {
  assert.deepEqual(plain(parse("a.toml", TOML).root), {
    on: true,
    http: {
      routers: {
        app: { rule: "Host(`a`)", entryPoints: ["web", "websecure"], priority: "9223372036854775807" },
      },
      services: {
        app: { loadBalancer: { servers: [{ url: "http://a" }, { url: "http://b", weight: "16" }] } },
      },
    },
    tls: { options: {} },
    x: { version: "1.10", "a.b": { c: { d: "1" } } },
  });
});

test("JSON is read too, with places", () => {
  const { root } = parse("a.json", '{\n\t"http": {"routers": {"app": {"rule": "Host(`a`)", "n": 1.5}}}\n}');
  assert.deepEqual(plain(root), { http: { routers: { app: { rule: "Host(`a`)", n: "1.5" } } } });
  assert.equal(at(root, "http.routers.app.rule"), "http.routers.app.rule 2:31");
});

test("everything in a file has its line and column", () => {
  const yaml = parse("a.yml", YAML).root;
  assert.equal(at(yaml, "http.routers.app.rule"), "http.routers.app.rule 5:7");
  assert.equal(
    at(yaml, "http.services.app.loadBalancer.servers.1.weight"),
    "http.services.app.loadBalancer.servers[1].weight 14:13",
  );
  const toml = parse("a.toml", TOML).root;
  assert.equal(at(toml, "http.routers.app.entrypoints"), "http.routers.app.entryPoints 4:3");
  assert.equal(
    at(toml, "http.services.app.loadbalancer.servers.1.url"),
    "http.services.app.loadBalancer.servers[1].url 10:5",
  );
});

test("anchors, aliases and merge keys are followed; what the map itself says wins", () => {
  const text = "a: &a {x: 1, y: 2}\nb: &b {y: 3}\nc: {<<: [*a, *b], z: 4}\nd: {y: 0, <<: *a}\ne: *b\n";
  assert.deepEqual(plain(parse("a.yml", text).root), {
    a: { x: "1", y: "2" },
    b: { y: "3" },
    c: { z: "4", x: "1", y: "2" },
    d: { y: "0", x: "1" },
    e: { y: "3" },
  });
});

test("an anchor that is used again stands for what it last stood for", () => {
  const text = "a: &a {b: &b 1}\nc: &b 2\nd: *a\ne: *b\n";
  assert.deepEqual(plain(parse("a.yml", text).root), { a: { b: "1" }, c: "2", d: { b: "1" }, e: "2" });
});

test("an empty file is an empty tree, with a byte order mark or comments too", () => {
  for (const text of ["", "\n", "\ufeff", "# nothing\n"]) {
    for (const file of ["a.yml", "a.toml"]) {
      const { root, said } = parse(file, text);
      assert.deepEqual([root?.value, root?.items, said], [undefined, undefined, []].slice(0, 3));
    }
  }
  assert.equal(plain(parse("a.yml", "\ufeffa: 1").root) !== undefined, true);
});

test("a malformed file is one problem, with line, column and what was expected", () => {
  const cases: [file: string, text: string, said: RegExp][] = [
    ["a.yml", "a: [1, 2", /^a\.yml:1:9: /],
    ["a.yml", "http:\n  rule: a: b\n", /^a\.yml:2:9: expected one value, found a second `: ` on the line/],
    ["a.yml", "http:\n\trule: a\n", /^a\.yml:2:1: expected spaces, found a tab/],
    ["a.yml", "rule: `a`\n", /^a\.yml:1:7: expected a value in quotes/],
    ["a.yml", "a: 1\n---\nb: 2\n", /expected one document/],
    ["a.yml", "a: *gone\n", /^a\.yml:1:4 a: no anchor &gone comes before it/],
    ["a.yml", "a: 1\nA: 2\n", /^a\.yml:2:1 A: is written twice/],
    ["a.yml", "? [a]\n: 1\n", /expected a name before the colon/],
    ["a.yml", "<<: 1\n", /expected a map to merge/],
    ["a.toml", "a = \n", /^a\.toml:\d:\d: expected valid TOML: /],
    ["a.toml", "a = 1\na = 2\n", /^a\.toml:2:1: /],
    ["a.toml", "[a]\nx = 1\n[A]\nx = 2\n", /^a\.toml:4:1 a\.x: is written twice/],
  ];
  for (const [file, text, expected] of cases) {
    const { root, said } = parse(file, text);
    assert.equal(root, undefined, text);
    assert.equal(said.length, 1);
    assert.match(said[0]!.replace(/: (?=.)/, ": "), expected);
  }
});

test("RS-11 nesting and aliases that grow without end are refused, not followed", () => {
  const bomb = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"];
  for (let i = 1; i < 12; i++) bomb.push(`a${i}: &a${i} [${`*a${i - 1},`.repeat(10)}]`);
  const merges = ["m0: &m0 {x: 1}"];
  for (let i = 1; i < 30; i++)
    merges.push(`m${i}: &m${i} {<<: [*m${i - 1}, *m${i - 1}], k${i}: {<<: *m${i - 1}}}`);
  const hostile: [string, string][] = [
    ["a.yml", "[".repeat(5000)],
    ["a.yml", "{a: ".repeat(5000)],
    ["a.yml", "a: &a [*a]"],
    ["a.yml", "a: &a {<<: *a}"],
    ["a.yml", bomb.join("\n")],
    ["a.yml", merges.join("\n")],
    ["a.yml", Array.from({ length: 200 }, (_, i) => `${" ".repeat(i)}a:`).join("\n")],
    ["a.toml", `a = ${"[".repeat(5000)}${"]".repeat(5000)}`],
    ["a.toml", `${"a.".repeat(200)}a = 1`],
    ["a.yml", "a: 1\n".padEnd(5 * 1024 * 1024, "#")],
  ];
  for (const [file, text] of hostile) {
    const { root, said } = parse(file, text);
    assert.equal(root, undefined, text.slice(0, 20));
    assert.equal(said.length, 1);
    assert.ok(said[0]!.length < 700);
  }
});

test("a name such as __proto__ is only a name", () => {
  for (const [file, text] of [
    ["a.yml", "__proto__: {x: 1}\n"],
    ["a.toml", "[__proto__]\nx = 1\n"],
  ]) {
    assert.equal(parse(file!, text!).root?.get("__proto__")?.get("x")?.value, "1");
  }
});

const pieces = fc.constantFrom(
  "a",
  ": ",
  "\n",
  "  ",
  "- ",
  "[",
  "]",
  "{",
  "}",
  "&a ",
  "*a",
  "<<: ",
  '"',
  "'",
  "|\n",
  "#",
  "= ",
  "[[",
  "]]",
  "1",
  ".",
  ",",
  "\t",
);
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.array(pieces, { maxLength: 40 }).map((parts) => parts.join("")),
);

test("no text makes a parser throw, and whatever is not read has a problem", () => {
  fc.assert(
    fc.property(anyText, fc.constantFrom("a.yml", "a.toml", "a.json"), (text, file) => {
      const { root, said } = parse(file, text);
      assert.equal(root === undefined, said.length > 0);
    }),
    { numRuns: 3000 },
  );
});

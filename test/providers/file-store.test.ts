import assert from "node:assert/strict";
import { test } from "node:test";
import type { Declaration } from "../../src/model/declared.ts";
import { middleware } from "../../src/model/middleware.ts";
import type { Registry } from "../../src/model/read-middleware.ts";
import { type FoundFile, isPassing } from "../../src/providers/file/files.ts";
import { FileStore } from "../../src/providers/file/store.ts";
import { text } from "../../src/schema/kinds.ts";
import { describeProblem } from "../../src/schema/problem.ts";
import { Unreadable } from "../../src/schema/reader.ts";

const addPrefix = middleware({
  name: "addPrefix",
  summary: "Puts a path before the request's.",
  options: { prefix: text({ doc: "The path.", required: true }), key: text({ doc: "A key.", secret: true }) },
  create: () => ({}),
});
const registry: Registry = new Map([
  ["addPrefix", addPrefix as unknown as NonNullable<ReturnType<Registry["get"]>>],
]);

function store(environment: ReadonlyMap<string, string> = new Map()) {
  const files = new FileStore({
    registry,
    secret(reference) {
      if (reference === "file:/run/secrets/key") return "s3cret";
      throw new Unreadable("expected a secret that exists");
    },
    template: { environment, nowMs: () => 0 },
  });
  return {
    /** Path to text; undefined for a file that is there but cannot be read. */
    apply(texts: { readonly [path: string]: string | undefined }) {
      const found = Object.entries(texts).map(
        ([path, text]): FoundFile => ({ path, text, fault: text === undefined ? "does not exist" : "" }),
      );
      return files.apply({ files: found });
    },
    lose: () => files.apply({ path: "/etc/routes", fault: "does not exist" }),
  };
}

const said = ({ problems }: Declaration) => problems.map(describeProblem);
const rules = ({ routers }: Declaration) =>
  Object.fromEntries([...routers].map(([name, { value, broken }]) => [name, broken ? "broken" : value.rule]));

const GOOD = `
http:
  routers:
    app: {rule: "Host(\`a\`)", service: app, middlewares: [p]}
    other: {rule: "Host(\`b\`)", service: app}
  middlewares:
    p: {addPrefix: {prefix: /x, key: "file:/run/secrets/key"}}
  services:
    app:
      loadBalancer:
        servers:
          - url: http://10.0.0.1:8080/base
            preservePath: true
          - {url: "h2c://[::1]", weight: 3}
`;

test("a file declares routers, services, middlewares, transports and TLS", () => {
  const declaration = store().apply({
    "a.yml": `${GOOD}  serversTransports:
    t: {insecureSkipVerify: true}
tls:
  options: {modern: {minVersion: VersionTLS13}}
  stores: {default: {defaultCertificate: {certFile: c.pem, keyFile: k.pem}}}
  certificates:
    - {certFile: a.pem, keyFile: b.pem}
`,
  });
  assert.deepEqual(said(declaration), []);
  assert.equal(declaration.provider, "file");
  assert.deepEqual(rules(declaration), { app: "Host(`a`)", other: "Host(`b`)" });
  assert.deepEqual(declaration.middlewares.get("p")?.value, {
    type: "addPrefix",
    options: { prefix: "/x", key: "s3cret" },
  });
  assert.equal(declaration.transports.get("t")?.value.insecureSkipVerify, true);
  assert.equal(declaration.tlsOptions.get("modern")?.value.minVersion, "VersionTLS13");
  assert.equal(declaration.tlsStores.get("default")?.value.defaultCertificate?.certFile, "c.pem");
  assert.equal(declaration.tlsCertificates[0]?.value.keyFile, "b.pem");
  const servers = declaration.services.get("app")?.value.loadBalancer?.servers ?? [];
  assert.deepEqual(
    servers.map(({ scheme, host, port, path, weight }) => [scheme, host, port, path, weight]),
    [
      ["http", "10.0.0.1", 8080, "/base", 1],
      ["h2c", "::1", 80, "", 3],
    ],
  );
});

test("TOML and JSON declare the same", () => {
  const toml = '[http.routers.app]\nrule = "Host(`a`)"\nservice = "app"\n';
  const json = '{"http": {"routers": {"two": {"rule": "Host(`b`)", "service": "app"}}}}';
  assert.deepEqual(rules(store().apply({ "a.toml": toml, "b.json": json })), {
    app: "Host(`a`)",
    two: "Host(`b`)",
  });
});

test("a mistake stays inside its own router, with its line", () => {
  const declaration = store().apply({
    "a.yml":
      "http:\n  routers:\n    app: {rule: r, service: s}\n    bad: {rule: r, servcie: s}\n    none: {service: s}\n",
  });
  assert.deepEqual(rules(declaration), { app: "r", bad: "broken", none: "broken" });
  assert.match(said(declaration)[0]!, /^a\.yml:4:20 http\.routers\.bad\.servcie: .*did you mean service\?/);
  assert.match(said(declaration)[1]!, /none\.rule: is required/);
  assert.deepEqual(declaration.problems[0]?.subject, { kind: "router", name: "bad@file" });
});

test("a service has exactly one kind, and servers have addresses", () => {
  const declaration = store().apply({
    "a.yml": `http: {services: {none: {}, two: {loadBalancer: {servers: []}, weighted: {services: [{name: a}]}},
      bad: {loadBalancer: {servers: [{url: "ftp://x"}, {weight: 1}]}}}}`,
  });
  assert.match(said(declaration).join("\n"), /expected one of loadBalancer, .*found none/);
  assert.match(said(declaration).join("\n"), /found loadBalancer and weighted/);
  assert.match(
    said(declaration).join("\n"),
    /servers\[0\]\.url: expected an address such as .*found "ftp:\/\/x"/,
  );
  assert.match(said(declaration).join("\n"), /servers\[1\]\.url: is required/);
});

test("TCP and UDP are refused one by one, and names that nobody knows are said", () => {
  const declaration = store().apply({
    "a.yml": "x-mine: {}\ntcp: {routers: {db: {rule: r}}}\nhttp: {router: {a: {}}}\nproviders: {}\n",
  });
  assert.match(said(declaration).join("\n"), /tcp\.routers\.db: TCP and UDP routers are not part/);
  assert.match(said(declaration).join("\n"), /"router" is not known here.*did you mean routers/);
  assert.match(said(declaration).join("\n"), /"providers" is not known here/);
  assert.equal(declaration.problems.length, 3);
});

test("a router that breaks keeps its version from before, and everything else changes", () => {
  const files = store();
  files.apply({ "a.yml": GOOD });
  const broken = files.apply({
    "a.yml": GOOD.replace("Host(`a`)", "Host(`new`)").replace("service: app, mid", "sevice: app, mid"),
  });
  assert.deepEqual(rules(broken), { app: "Host(`a`)", other: "Host(`b`)" });
  assert.match(
    said(broken).join("\n"),
    /app: is not in force as it is written; what it said before stays in force/,
  );
  const mended = files.apply({ "a.yml": GOOD.replace("Host(`a`)", "Host(`new`)") });
  assert.deepEqual(said(mended), []);
  assert.equal(rules(mended)["app"], "Host(`new`)");
});

test("a file that cannot be parsed keeps everything that it said", () => {
  const files = store();
  files.apply({ "a.yml": GOOD });
  const broken = files.apply({
    "a.yml": "http: [",
    "b.yml": "http: {routers: {new: {rule: r, service: s}}}",
  });
  assert.deepEqual(Object.keys(rules(broken)), ["app", "other", "new"]);
  assert.match(said(broken)[0]!, /^a\.yml:1:8: .*; what it said before stays in force$/);
});

test("RS-03 an empty file is not the same as no routes, and {} is", () => {
  const files = store();
  files.apply({ "a.yml": GOOD });
  for (const text of ["", "\n\n", "# being edited\n"]) {
    const empty = files.apply({ "a.yml": text });
    assert.equal(empty.routers.size, 2);
    assert.match(said(empty)[0]!, /holds nothing; what it said before stays in force/);
  }
  assert.equal(files.apply({ "a.yml": "{}" }).routers.size, 0);
});

test("RS-03 a file that is gone for the moment keeps what it said; one that left the directory does not", () => {
  const files = store();
  files.apply({ "a.yml": GOOD });
  assert.equal(files.apply({ "a.yml": undefined }).routers.size, 2);
  assert.equal(files.lose().routers.size, 2);
  assert.match(said(files.lose())[0]!, /^\/etc\/routes: does not exist; what it said before/);
  assert.equal(files.apply({}).routers.size, 0);
});

test("of two files with one name the first counts, and both places are said", () => {
  const declaration = store().apply({
    "a.yml": "http: {routers: {app: {rule: one, service: s}}}",
    "b.yml": "http: {routers: {app: {rule: two, service: s}}}",
  });
  assert.deepEqual(rules(declaration), { app: "one" });
  assert.match(said(declaration)[0]!, /^b\.yml:1:18 http\.routers\.app: has no effect: a\.yml:1 /);
});

test("files are Go templates, and their problems have a place", () => {
  const files = store(new Map([["DOMAIN", "example.com"]]));
  const text =
    '{{ range $i := until 2 }}\n{{ end }}\nhttp: {routers: {app: {rule: "Host(`{{ env "DOMAIN" }}`)", service: s}}}\n';
  assert.deepEqual(rules(files.apply({ "a.yml": text })), { app: "Host(`example.com`)" });
  const broken = files.apply({ "a.yml": "http:\n  x: {{ nofunction }}\n" });
  assert.match(said(broken)[0]!, /^a\.yml:2:\d+: /);
  assert.deepEqual(rules(broken), { app: "Host(`example.com`)" });
});

test("a secret may be kept elsewhere and is shown in no problem", () => {
  const declaration = store().apply({
    "a.yml": "http: {middlewares: {p: {addPrefix: {prefix: /x, key: 'file:/nope'}}}}",
  });
  assert.doesNotMatch(said(declaration).join(), /nope/);
  assert.equal(declaration.middlewares.get("p")?.broken, true);
});

test("what editors leave for a moment is no file of ours", () => {
  for (const name of [
    ".app.yml.swp",
    ".app.yml",
    "app.yml~",
    "#app.yml#",
    "4913",
    "x/app.yml.tmp",
    "app.yml___jb_tmp___",
  ]) {
    assert.equal(isPassing(name), true, name);
  }
  for (const name of ["app.yml", "x/49131.yml", "a.b.toml"]) assert.equal(isPassing(name), false, name);
});

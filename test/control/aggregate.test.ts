import assert from "node:assert/strict";
import { test } from "node:test";
import { closedOf, complaintsOf, gather, namesOf, routersOf } from "./gather.ts";

const TWO = ["--entryPoints.web.address=:80", "--entryPoints.websecure.address=:443"];
const http = (yaml: string) => `http:\n${yaml.replace(/^/gm, "  ")}`;
const app = (router: string, extra = "") =>
  http(`routers:
  app: { rule: "Host(\`app.test\`)", service: app, ${router} }
  other: { rule: "Host(\`other.test\`)", service: app }
services:
  app: { loadBalancer: { servers: [ { url: "http://10.0.0.1" } ] } }
${extra}`);

test("names without a provider belong to the provider that says them, others cross", () => {
  const made = gather({
    file: http(`middlewares: { add: { addPrefix: { prefix: /x } } }`),
    redis: app("middlewares: [ add@file, own ]", "middlewares: { own: { addPrefix: { prefix: /y } } }"),
  });
  assert.deepEqual(complaintsOf(made), []);
  const router = routersOf(made).find(({ name }) => name === "app@redis")!;
  assert.deepEqual(router.middlewares, ["add@file", "own@redis"]);
  assert.equal(router.service, "app@redis");
});

for (const [what, router, complaint] of [
  ["a rule that does not parse", 'rule: "Hots(`x`)"', /Hots/],
  ["a service that is not there", "service: apq", /there is no service apq@file \(app@file\?\)/],
  [
    "a middleware that is not there",
    "middlewares: [ authh ]",
    /there is no middleware authh@file \(auth@file\?\)/,
  ],
  [
    "only unknown entry points",
    "entryPoints: [ wep ]",
    /there is no entry point wep, so nothing .* \(web\?\)/,
  ],
  [
    "unknown TLS options",
    "tls: { options: modren }",
    /there is no TLS options modren@file \(modern@file\?\)/,
  ],
  ["a priority that is ours alone", "priority: 9223372036854775807", /expected at most/],
] as const) {
  test(`${what} disables only its own router`, () => {
    const key = router.split(":")[0]!;
    const base = app(router, "middlewares: { auth: { addPrefix: { prefix: /a } } }");
    const once =
      key === "rule"
        ? base.replace('rule: "Host(`app.test`)", ', "")
        : key === "service"
          ? base.replace("service: app, ", "")
          : base;
    const made = gather({ file: `${once}\ntls: { options: { modern: { minVersion: VersionTLS13 } } }` });
    assert.deepEqual(namesOf(made), ["other@file"]);
    assert.match(complaintsOf(made).join("\n"), complaint);
    assert.equal(made.report.routers.get("app@file")?.status, "disabled");
    assert.equal(made.report.routers.get("other@file")?.status, "enabled");
  });
}

for (const [what, router, more] of [
  [
    "a broken middleware",
    "middlewares: [ auth ]",
    "middlewares: { auth: { basicAuth: { users: [ nonsense ] } } }",
  ],
  ["a middleware that is not there", "middlewares: [ auth ]", ""],
  [
    "a chain with a broken middleware",
    "middlewares: [ all ]",
    "middlewares: { all: { chain: { middlewares: [ auth ] } } }",
  ],
  ["a misspelt option", "middelwares: [ auth ]", "middlewares: { auth: { addPrefix: { prefix: /a } } }"],
  ["a value that is none", "priority: high", ""],
  ["unknown TLS options", "tls: { options: modren }", ""],
] as const) {
  test(`a router with ${what} keeps its place and refuses, so that no broader one opens what it was to guard`, () => {
    const made = gather({ file: app(router, more) });
    assert.deepEqual(namesOf(made), ["other@file"]);
    const closed = made.snapshot.routers.find(({ name }) => name === "app@file")!;
    assert.match(closed.closed!, /^router app@file is not in force: /);
    assert.equal(closed.rule, "Host(`app.test`)");
    assert.deepEqual([closed.middlewares, closed.service, closed.entryPoints], [[], "", ["web"]]);
    assert.equal(made.report.routers.get("app@file")?.closed, closed.closed);
    assert.equal(made.report.routers.get("app@file")?.status, "disabled");
  });
}

test("a router whose TLS block cannot be read refuses where it was to stand", () => {
  const placeOf = (tls: string) => {
    const made = gather({ file: app(`tls: ${tls}, priority: high`) });
    const { closed, tls: spec } = made.snapshot.routers.find(({ name }) => name === "app@file")!;
    assert.notEqual(closed, undefined);
    return spec?.options;
  };
  assert.equal(placeOf("yess"), "default");
  assert.equal(placeOf("true"), "default");
  assert.equal(placeOf("false"), undefined);
});

test("a router whose service is not in force refuses too", () => {
  const made = gather({ file: app("middlewares: []").replace("10.0.0.1", "10.0.0.1:port") });
  assert.deepEqual([...closedOf(made).keys()], ["app@file", "other@file"]);
});

test("a router whose rule says nothing has no place to keep", () => {
  const made = gather({ file: app("").replace("Host(`app.test`)", "Hots(`app.test`)") });
  assert.deepEqual([...closedOf(made)], []);
});

test("what is wrong is shown at the line and column of the option itself", () => {
  const made = gather({
    file: `http:
  routers:
    app:
      rule: "Host(\`app.test\`)"
      entryPoints:
        - wep
      middlewares: [ authh ]
      service: apq
      tls:
        certResolver: nobody
        options: modren
    bad:
      rule: "Host("
      priority: 9223372036854775807
      service: sum
  services:
    sum:
      weighted:
        services:
          - name: one
    one:
      loadBalancer:
        serversTransport: gone
        servers: []
  middlewares:
    all:
      chain:
        middlewares: [ gone ]
    pages:
      errors:
        status: [ "500" ]
        service: gone
  serversTransports:
    old:
      minVersion: VersionTLS10
      rootCAs: [ /nowhere ]
tls:
  options:
    strict:
      clientAuth:
        caFiles: [ /nowhere ]
`,
  });
  const places = made.report.problems.map(({ place: { key, line, column } }) => `${key} ${line}:${column}`);
  assert.deepEqual(places.sort(), [
    "http.middlewares.all.chain.middlewares 28:9",
    "http.middlewares.pages.errors.service 32:9",
    "http.routers.app.entryPoints 5:7",
    "http.routers.app.middlewares 7:7",
    "http.routers.app.service 8:7",
    "http.routers.app.tls.certResolver 10:9",
    "http.routers.app.tls.options 11:9",
    "http.routers.bad.priority 14:7",
    "http.routers.bad.rule 13:7",
    "http.routers.bad.service 15:7",
    "http.serversTransports.old.minVersion 35:7",
    "http.serversTransports.old.rootCAs 36:7",
    "http.services.one.loadBalancer.serversTransport 23:9",
    "http.services.sum.weighted.services[0].name 20:13",
    "tls.options.strict.clientAuth.caFiles 41:9",
  ]);
});

test("a router that refuses still has its host ask for client certificates", () => {
  const made = gather({
    file: `${http(`routers:
  a: { rule: "Host(\`app.test\`) && PathPrefix(\`/admin\`)", service: app, middlewares: [ gone ], tls: { options: strict } }
  b: { rule: "Host(\`app.test\`)", service: app, tls: {} }
services: { app: { loadBalancer: { servers: [ { url: "http://10.0.0.1" } ] } } }`)}
tls: { options: { strict: { clientAuth: { clientAuthType: RequireAnyClientCert } } } }`,
  });
  assert.deepEqual([...closedOf(made).keys()], ["a@file"]);
  assert.deepEqual(made.snapshot.tls.hosts, new Map([["app.test", "strict@file"]]));
  assert.equal(routersOf(made)[0]!.tls?.options, "strict@file");
});

test("of several entry points that are all unknown, each gets its nearest name", () => {
  const made = gather({ file: app("entryPoints: [ wep, websecur ]") }, TWO);
  assert.deepEqual(complaintsOf(made), [
    "error router app@file: there is no entry point wep or websecur, so nothing reaches the router (web,websecure?)",
  ]);
  assert.ok(!made.snapshot.routers.some(({ name }) => name === "app@file"));
});

test("one unknown entry point among good ones is a warning", () => {
  const made = gather({ file: app("entryPoints: [ web, wep ]") });
  assert.deepEqual(namesOf(made), ["app@file", "other@file"]);
  assert.equal(made.report.routers.get("app@file")?.status, "warning");
  assert.deepEqual(complaintsOf(made), ["warning router app@file: there is no entry point wep (web?)"]);
});

test("routers without entry points are on all of them but ours, or on those that say so", () => {
  const all = gather({ file: app("priority: 7") }, [...TWO, "--ping"]);
  assert.deepEqual(routersOf(all)[0]!.entryPoints, ["web", "websecure"]);
  const some = gather({ file: app("priority: 7") }, [...TWO, "--entryPoints.websecure.asDefault"]);
  assert.deepEqual(routersOf(some)[0]!.entryPoints, ["websecure"]);
});

test("an entry point with defaults makes a copy of routers that are on others too", () => {
  const made = gather(
    { file: `${app("priority: 7", "middlewares: { auth: { addPrefix: { prefix: /a } } }")}` },
    [...TWO, "--entryPoints.websecure.http.tls", "--entryPoints.websecure.http.middlewares=auth@file"],
  );
  assert.deepEqual(namesOf(made), ["app@file", "other@file", "websecure-app@file", "websecure-other@file"]);
  const copy = routersOf(made).find(({ name }) => name === "websecure-app@file")!;
  assert.deepEqual(
    [copy.entryPoints, copy.middlewares, copy.tls?.options],
    [["websecure"], ["auth@file"], "default"],
  );
  const original = routersOf(made).find(({ name }) => name === "app@file")!;
  assert.deepEqual([original.entryPoints, original.middlewares, original.tls], [["web"], [], undefined]);
});

test("a router's own TLS block stands in the place of the entry point's", () => {
  const flags = ["--entryPoints.web.address=:443", "--entryPoints.web.http.tls.options=modern@file"];
  const options = "\ntls: { options: { modern: { minVersion: VersionTLS13 } } }";
  const made = gather({ file: app("tls: {}") + options }, flags);
  const byName = new Map(routersOf(made).map((router) => [router.name, router.tls?.options]));
  assert.deepEqual(Object.fromEntries(byName), { "app@file": "default", "other@file": "modern@file" });
});

test("a middleware of the entry point is taken out with a minus", () => {
  const flags = ["--entryPoints.web.address=:80", "--entryPoints.web.http.middlewares=auth@file,add@file"];
  const extra = "middlewares: { auth: { addPrefix: { prefix: /a } }, add: { addPrefix: { prefix: /b } } }";
  const made = gather({ file: app('middlewares: [ "-auth" ]', extra) }, flags);
  const byName = new Map(routersOf(made).map((router) => [router.name, router.middlewares]));
  assert.deepEqual(Object.fromEntries(byName), {
    "app@file": ["add@file"],
    "other@file": ["auth@file", "add@file"],
  });
  assert.deepEqual(complaintsOf(made), []);
});

test("taking out what is not there is a warning with the nearest name", () => {
  const flags = ["--entryPoints.web.address=:80", "--entryPoints.web.http.middlewares=auth@file"];
  const made = gather(
    { file: app('middlewares: [ "-auht" ]', "middlewares: { auth: { addPrefix: { prefix: /a } } }") },
    flags,
  );
  assert.match(
    complaintsOf(made).join(),
    /^warning router app@file: -auht takes nothing out: .*\(-auth\?\)$/,
  );
});

test("an entry point whose middleware is missing leaves no router open without it", () => {
  const made = gather({ file: app("priority: 7") }, [
    "--entryPoints.web.address=:80",
    "--entryPoints.web.http.middlewares=auth@file",
  ]);
  assert.deepEqual(namesOf(made), []);
});

test("chains are dissolved, within chains too, and one that contains itself is out of force", () => {
  const extra = `middlewares:
  a: { addPrefix: { prefix: /a } }
  b: { addPrefix: { prefix: /b } }
  inner: { chain: { middlewares: [ b ] } }
  outer: { chain: { middlewares: [ a, inner, a ] } }
  round: { chain: { middlewares: [ trip ] } }
  trip: { chain: { middlewares: [ round ] } }`;
  const made = gather({
    file: app("middlewares: [ outer ]", extra).replace(
      'other.test`)", service: app',
      'other.test`)", service: app, middlewares: [ round ]',
    ),
  });
  assert.deepEqual(
    routersOf(made).map(({ name, middlewares }) => [name, middlewares]),
    [["app@file", ["a@file", "b@file", "a@file"]]],
  );
  assert.match(
    complaintsOf(made).join("\n"),
    /the chain contains itself: round@file -> trip@file -> round@file/,
  );
});

const COMPOSITE = http(`routers: { app: { rule: "Host(\`app.test\`)", service: all } }
services:
  one: { loadBalancer: { servers: [ { url: "http://10.0.0.1" } ] } }
  two: { loadBalancer: { servers: [ { url: "http://10.0.0.2" } ] } }
  all: { weighted: { services: [ { name: one, weight: 9 }, { name: safe } ] } }
  safe: { failover: { service: two, fallback: one } }`);

test("services among services are found, whatever order they come in", () => {
  const made = gather({ file: COMPOSITE });
  assert.deepEqual(complaintsOf(made), []);
  const all = made.snapshot.services.get("all@file")!;
  assert.ok(all.kind === "weighted");
  assert.deepEqual(
    all.options.services.map(({ name }) => name),
    ["one@file", "safe@file"],
  );
  assert.deepEqual(made.report.services.get("two@file")?.usedBy, [{ kind: "service", name: "safe@file" }]);
});

test("a service that leads to itself takes those with it that need it, and no other", () => {
  const made = gather({ file: COMPOSITE.replace("fallback: one", "fallback: all") });
  assert.deepEqual(namesOf(made), []);
  assert.match(
    complaintsOf(made).join("\n"),
    /the service leads to itself: all@file -> safe@file -> all@file/,
  );
  assert.ok(made.snapshot.services.has("one@file"));
});

test("a service has exactly one kind", () => {
  const made = gather({
    file: http(`services:
  both: { loadBalancer: { servers: [] }, failover: { service: x, fallback: y } }
  none: { middlewares: [] }`),
  });
  const complaints = complaintsOf(made).join("\n");
  assert.match(
    complaints,
    /service both@file: expected (?:exactly )?one of .*, found loadBalancer and failover/,
  );
  assert.match(complaints, /service none@file: expected (?:exactly )?one of .*, found none/);
});

test("a transport whose authority cannot be read puts only what uses it out of force", () => {
  const made = gather({
    file: http(`routers: { a: { rule: "Host(\`a\`)", service: a }, b: { rule: "Host(\`b\`)", service: b } }
serversTransports: { t: { rootCAs: [ /nowhere.pem ] } }
services:
  a: { loadBalancer: { serversTransport: t, servers: [ { url: "https://10.0.0.1" } ] } }
  b: { loadBalancer: { servers: [ { url: "http://10.0.0.1" } ] } }`),
  });
  assert.deepEqual(namesOf(made), ["b@file"]);
  assert.match(
    complaintsOf(made).join("\n"),
    /transport t@file: the file cannot be read: there is no file \/nowhere.pem/,
  );
});

test("children continue their parent on each of its copies", () => {
  const yaml = http(`routers:
  parent: { rule: "Host(\`app.test\`)" }
  child: { rule: "PathPrefix(\`/a\`)", service: app, parentRefs: [ parent ] }
services: { app: { loadBalancer: { servers: [ { url: "http://10.0.0.1" } ] } } }`);
  const made = gather({ file: yaml }, [...TWO, "--entryPoints.websecure.http.tls"]);
  assert.deepEqual(complaintsOf(made), []);
  assert.deepEqual(routersOf(made).find(({ name }) => name === "child@file")?.parents, [
    "parent@file",
    "websecure-parent@file",
  ]);
});

test("a child has no entry points of its own, and is nothing without its parent", () => {
  const made = gather({
    file: http(`routers:
  a: { rule: "Path(\`/a\`)", service: app, parentRefs: [ nobody ] }
  b: { rule: "Path(\`/b\`)", service: app, parentRefs: [ c ], entryPoints: [ web ] }
  c: { rule: "Path(\`/c\`)", service: app }
  d: { rule: "Path(\`/d\`)" }
services: { app: { loadBalancer: { servers: [ { url: "http://10.0.0.1" } ] } } }`),
  });
  assert.deepEqual(namesOf(made), []);
  const complaints = complaintsOf(made).join("\n");
  assert.match(complaints, /router a@file: there is no router nobody@file/);
  assert.match(complaints, /router b@file: belongs to the parent router/);
  assert.match(complaints, /router c@file: a router that others continue has no service of its own/);
  assert.match(complaints, /router d@file: is required: it says where the requests go/);
});

test("PR-10 a host has one set of TLS options: routers that name none take it, a newcomer cannot change it", () => {
  const made = gather({
    file: `${http(`routers:
  a: { rule: "Host(\`app.test\`)", service: app, tls: { options: strict } }
  b: { rule: "Host(\`app.test\`) && Path(\`/b\`)", service: app, tls: {} }
  c: { rule: "Host(\`app.test\`) && Path(\`/c\`)", service: app, tls: { options: lax } }
services: { app: { loadBalancer: { servers: [ { url: "http://10.0.0.1" } ] } } }`)}
tls: { options: { strict: { minVersion: VersionTLS13 }, lax: {} } }`,
  });
  assert.deepEqual(
    routersOf(made).map(({ tls }) => tls?.options),
    ["strict@file", "strict@file", "strict@file"],
  );
  assert.deepEqual(made.snapshot.tls.hosts, new Map([["app.test", "strict@file"]]));
  assert.equal(made.report.routers.get("c@file")?.status, "warning");
});

test("PR-16 what the proxy serves itself is not declared by others, and its priority is above theirs", () => {
  const made = gather({ file: app("priority: 9223372036854774807") }, [
    "--entryPoints.web.address=:80",
    "--ping",
    "--ping.entryPoint=web",
  ]);
  const ping = made.snapshot.routers.find(({ name }) => name === "ping@internal")!;
  assert.ok(ping.priority > routersOf(made)[0]!.priority);
  assert.equal(made.snapshot.services.get("ping@internal")?.kind, "internal");
});

test("PR-11 the same sources give the same snapshot", () => {
  const plain = ({ snapshot }: ReturnType<typeof gather>) => snapshot.routers;
  assert.deepEqual(
    plain(gather({ file: COMPOSITE, redis: app("priority: 1") })),
    plain(gather({ file: COMPOSITE, redis: app("priority: 1") })),
  );
});

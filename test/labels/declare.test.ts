import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { loadCatalogue } from "../../src/compile/catalogue.ts";
import { container, faults, lines, network, read, selfOn, urls } from "./helper.ts";

const HOUSE = { "com.docker.compose.project": "house", "com.docker.compose.service": "web" };

test("DK-06 the network is one that Waybill shares, whatever the order; without one the router stays and says why", () => {
  const networks = [network("a-back", "10.1.0.2"), network("proxy", "10.2.0.2")];
  for (const order of [networks, networks.toReversed()]) {
    assert.deepEqual(urls(read([container("web", {}, { networks: order })], {}, selfOn("proxy")), "web"), [
      "http://10.2.0.2:80",
    ]);
  }
  const apart = read([container("web", {}, { networks })], {}, selfOn("elsewhere"));
  assert.equal(apart.routers.get("web")?.broken, false);
  assert.deepEqual(faults(apart, "web"), ["no-shared-network"]);
  assert.match(lines(apart.problems)[0]!, /web is on a-back, proxy and Waybill on elsewhere/);
});

test("DK-06 in the host's network, or outside of any container, every network is shared", () => {
  const workloads = [container("web", {}, { networks: [network("back", "10.1.0.2")] })];
  assert.deepEqual(urls(read(workloads, {}, selfOn("host")), "web"), ["http://10.1.0.2:80"]);
  assert.deepEqual(urls(read(workloads), "web"), ["http://10.1.0.2:80"]);
});

test("DK-06 the port is the lowest TCP port, and never a UDP one", () => {
  const ports = [
    { privatePort: 53, protocol: "udp" },
    { privatePort: 8080, protocol: "tcp" },
    { privatePort: 3000, protocol: "tcp" },
  ] as const;
  assert.deepEqual(urls(read([container("web", {}, { ports })]), "web"), ["http://10.0.0.2:3000"]);
});

test("useBindPortIP reaches a container by its published port, if that names an address", () => {
  const published = (publicIp: string) =>
    container("web", {}, { ports: [{ privatePort: 80, protocol: "tcp", publicPort: 8080, publicIp }] });
  const options = { useBindPortIP: true };
  assert.deepEqual(urls(read([published("192.168.1.5")], options), "web"), ["http://192.168.1.5:8080"]);
  assert.deepEqual(urls(read([published("0.0.0.0")], options), "web"), ["http://10.0.0.2:80"]);
});

test("DK-07 a bad label puts only its own router out of force, in its container and in all others", () => {
  const { routers } = read([
    container("good"),
    container("mixed", {
      "traefik.http.routers.fine.rule": "Host(`fine`)",
      "traefik.http.routers.bad.rule": "Host(`bad`)",
      "traefik.http.routers.bad.tls": "maybe",
    }),
  ]);
  const state = [...routers].map(([name, { broken }]) => `${name} ${broken ? "broken" : "in force"}`);
  assert.deepEqual(state, ["good in force", "bad broken", "fine in force"]);
});

test("DK-07 HD-13 routers called __proto__ and constructor are routers", () => {
  const { routers, problems } = read([
    container("web", {
      "traefik.http.routers.__proto__.rule": "Host(`a`)",
      "traefik.http.routers.constructor.rule": "Host(`b`)",
      "traefik.http.middlewares.toString.headers.customrequestheaders.__proto__": "x",
    }),
  ]);
  assert.deepEqual([...routers.keys()], ["__proto__", "constructor"]);
  assert.deepEqual(problems, []);
});

test("DK-08 the older container keeps a router; the younger is told, with both names", () => {
  const old = container("old", { "traefik.http.routers.web.rule": "Host(`old`)" });
  const young = container("young", { "traefik.http.routers.web.rule": "Host(`young`)" });
  for (const order of [
    [old, young],
    [young, old],
  ]) {
    const { routers, problems } = read(order);
    assert.equal(routers.get("web")?.value.rule, "Host(`old`)");
    assert.deepEqual(routers.get("web")?.workloads, ["old-id"]);
    assert.deepEqual(problems.length, 1);
    assert.match(lines(problems)[0]!, /^container young, .*older container old/);
  }
  assert.equal(read([young]).routers.get("web")?.value.rule, "Host(`young`)");
});

test("PR-11 equal labels of two ages and equal ages of two names give the same answer in any order", () => {
  const twins = ["b", "a", "c"].map((name) =>
    container(name, { "traefik.http.routers.r.rule": `Host(\`${name}\`)` }, { createdAtMs: 5 }),
  );
  const rule = (order: typeof twins) => read(order).routers.get("r")?.value.rule;
  assert.equal(rule(twins), "Host(`a`)");
  assert.equal(rule(twins.toReversed()), "Host(`a`)");
});

test("DK-09 constraints let in only who fulfils them, and nobody when they cannot be read", () => {
  const workloads = [container("in", { tier: "web" }), container("out")];
  const names = (constraints: string) => [...read(workloads, { constraints }).routers.keys()];
  assert.deepEqual(names("Label(`tier`, `web`)"), ["in"]);
  assert.deepEqual(names("!LabelRegex(`tier`, `^w`)"), ["out"]);
  assert.deepEqual(names("Label(`tier`"), []);
});

test("DK-10 a label can aim outside, but not at Waybill's host, the metadata service or another container", () => {
  const victim = container("victim", {}, { networks: [network("net", "10.0.0.99")] });
  const server = (url: string, options = {}) =>
    read([victim, container("web", { "traefik.http.services.s.loadbalancer.server.url": url })], options);
  assert.deepEqual(urls(server("https://api.example.com"), "s"), ["https://api.example.com"]);
  for (const url of [
    "http://169.254.169.254/",
    "http://127.0.0.1:8080",
    "http://[::1]",
    "http://[::ffff:169.254.169.254]",
    "http://0x7f000001",
    "h2c://0177.0.0.1",
    "http://localhost.",
    "http://0.0.0.0",
    "unix:///var/run/docker.sock",
    "http://10.0.0.99",
    "ftp://example.com",
    "nonsense",
  ]) {
    assert.equal(server(url).services.get("s")?.broken, true, url);
  }
  assert.equal(
    server("https://api.example.com", { allowExternalUrls: false }).services.get("s")?.broken,
    true,
  );
});

test("DK-11 labels cannot name what is inside Waybill, declare others' objects or read files", () => {
  const { routers, transports, middlewares } = read([
    container("web", {
      "traefik.http.routers.a.service": "api@internal",
      "traefik.http.routers.b.middlewares": "dashboard_redirect@internal",
      "traefik.http.routers.c.middlewares": "auth@file",
      "traefik.http.middlewares.auth@file.compress": "true",
      "traefik.http.serversTransports.t.rootCAs": "/etc/shadow",
    }),
  ]);
  assert.deepEqual(
    [...routers].map(([name, { broken }]) => [name, broken]),
    [
      ["a", true],
      ["b", true],
      ["c", false],
    ],
  );
  assert.equal(transports.get("t")?.broken, true);
  assert.deepEqual([...middlewares.keys()], []);
});

test("DK-12 a container that starts, fails its health check, pauses or stops keeps its router and says why", () => {
  const unavailable = (rest: object) => faults(read([container("web", {}, rest)]), "web");
  assert.deepEqual(unavailable({ health: "starting" }), ["starting"]);
  assert.deepEqual(unavailable({ health: "unhealthy" }), ["unhealthy"]);
  assert.deepEqual(unavailable({ state: "paused" }), ["paused"]);
  assert.deepEqual(unavailable({ stopping: true }), ["stopped"]);
  assert.deepEqual(unavailable({ health: "healthy" }), []);
  assert.equal(read([container("web", {}, { state: "exited" })]).routers.size, 0);
});

test("DK-12 while one replica is unhealthy, the other serves", () => {
  const declaration = read([
    container("web-1", HOUSE, { health: "unhealthy" }),
    container("web-2", HOUSE, { networks: [network("net", "10.0.0.3")] }),
  ]);
  assert.deepEqual(urls(declaration, "web-house"), ["http://10.0.0.3:80"]);
  assert.deepEqual(faults(declaration, "web-house"), ["unhealthy"]);
  assert.deepEqual(declaration.routers.get("web-house")?.workloads, ["web-1-id", "web-2-id"]);
});

test("DK-15 a server is known by its container too: a reused address is another server", () => {
  const id = (name: string) => read([container(name)]).services.get(name)?.value.loadBalancer?.servers[0]?.id;
  assert.notEqual(id("first"), id("second"));
});

test("DK-19 Waybill's own container is routed only when a label asks for it", () => {
  const own = (labels: Record<string, string>) => [
    ...read([container("waybill", labels)], {}, selfOn("net")).routers.keys(),
  ];
  assert.deepEqual(own({}), []);
  assert.deepEqual(own({ "traefik.http.routers.r.rule": "Host(`a`)" }), []);
  assert.deepEqual(own({ "traefik.enable": "true" }), ["waybill"]);
  assert.deepEqual(own({ waybill: "a.example" }), ["waybill"]);
});

test("DK-19 the operator's own labels win over an older container's", () => {
  const { tlsOptions, middlewares } = read(
    [
      container("old", {
        "traefik.http.middlewares.m.compress": "true",
        "traefik.tls.options.default.sniStrict": "true",
      }),
      container("waybill", {
        "traefik.enable": "true",
        "traefik.http.middlewares.m.headers.frameDeny": "true",
        "traefik.tls.options.default.minVersion": "VersionTLS13",
      }),
    ],
    {},
    selfOn("net"),
  );
  assert.equal(middlewares.get("m")?.value.type, "headers");
  assert.equal(tlsOptions.get("default")?.value.minVersion, "VersionTLS13");
});

// Section 2.10 of Traefik's surface, one value a label that is not what the label would be without it.
const CONTEXT: Record<string, string> = {
  "traefik.http.routers.r.rule": "Host(`a`)",
  "traefik.http.services.s.loadbalancer.passhostheader": "true",
};
const ROUTER = [
  ["rule", "Host(`b`)"],
  ["ruleSyntax", "v2"],
  ["entryPoints", "web"],
  ["middlewares", "m"],
  ["service", "other"],
  ["priority", "7"],
  ["tls", "true"],
  ["tls.options", "o"],
  ["tls.certResolver", "le"],
  ["tls.domains[0].main", "a"],
  ["tls.domains[0].sans", "b"],
  ["observability.accessLogs", "false"],
  ["observability.metrics", "false"],
  ["observability.tracing", "false"],
  ["observability.traceVerbosity", "detailed"],
].map(([name, value]) => [`traefik.http.routers.r.${name}`, value!] as const);
const BALANCER = [
  ["server.url", "http://a.example"],
  ["server.scheme", "https"],
  ["server.port", "8080"],
  ["server.weight", "2"],
  ["strategy", "p2c"],
  ["sticky", "true"],
  ["sticky.cookie", "true"],
  ["sticky.cookie.name", "c"],
  ["sticky.cookie.secure", "true"],
  ["sticky.cookie.httpOnly", "true"],
  ["sticky.cookie.sameSite", "lax"],
  ["sticky.cookie.maxAge", "5"],
  ["sticky.cookie.path", "/p"],
  ["sticky.cookie.domain", "d"],
  ["healthCheck.scheme", "https"],
  ["healthCheck.mode", "grpc"],
  ["healthCheck.path", "/h"],
  ["healthCheck.method", "HEAD"],
  ["healthCheck.status", "204"],
  ["healthCheck.port", "9000"],
  ["healthCheck.interval", "1s"],
  ["healthCheck.unhealthyInterval", "1s"],
  ["healthCheck.timeout", "1s"],
  ["healthCheck.hostname", "h"],
  ["healthCheck.followRedirects", "false"],
  ["healthCheck.headers.X-A", "a"],
  ["passiveHealthCheck.failureWindow", "1s"],
  ["passiveHealthCheck.maxFailedAttempts", "9"],
  ["passHostHeader", "false"],
  ["responseForwarding.flushInterval", "1s"],
  ["serversTransport", "t"],
].map(([name, value]) => [`traefik.http.services.s.loadbalancer.${name}`, value!] as const);
const TCP = [
  ...[
    "rule",
    "ruleSyntax",
    "entryPoints",
    "middlewares",
    "service",
    "priority",
    "tls",
    "tls.passthrough",
    "tls.options",
  ],
  ...["tls.certResolver", "tls.domains[0].main", "tls.domains[0].sans"],
].map((name) => [`traefik.tcp.routers.r.${name}`, "x"] as const);
const TCP_SERVICE = [
  ...[
    "server.port",
    "server.tls",
    "serversTransport",
    "proxyProtocol",
    "proxyProtocol.version",
    "terminationDelay",
  ],
  ...["healthCheck", "healthCheck.port", "healthCheck.send", "healthCheck.expect", "healthCheck.interval"],
  ...["healthCheck.unhealthyInterval", "healthCheck.timeout"],
].map((name) => [`traefik.tcp.services.s.loadbalancer.${name}`, "x"] as const);
const OTHERS = [
  ["traefik.http.services.s.middlewares", "m"],
  ["traefik.tcp.middlewares.m.inFlightConn.amount", "1"],
  ["traefik.tcp.middlewares.m.ipAllowList.sourceRange", "10.0.0.0/8"],
  ["traefik.tcp.middlewares.m.ipWhiteList.sourceRange", "10.0.0.0/8"],
  ["traefik.udp.routers.r.entryPoints", "dns"],
  ["traefik.udp.routers.r.service", "s"],
  ["traefik.udp.services.s.loadbalancer.server.port", "53"],
  ["traefik.tls.stores.default.defaultGeneratedCert.resolver", "le"],
  ["traefik.tls.stores.default.defaultGeneratedCert.domain.main", "a"],
  ["traefik.tls.stores.default.defaultGeneratedCert.domain.sans", "b"],
  ["traefik.enable", "false"],
  ["traefik.docker.network", "net2"],
  ["traefik.docker.lbswarm", "true"],
  ["traefik.docker.allownonrunning", "true"],
  ["traefik.swarm.network", "net2"],
  ["traefik.swarm.lbswarm", "true"],
] as const;

test("every label of Traefik 3.7 is in force or refused by name", () => {
  const networks = [network("net", "10.0.0.2"), network("net2", "10.0.0.3")];
  // Without preservePath a URL's path says nothing, and a stopped container is the one that allowNonRunning is for.
  const outcome = (labels: Record<string, string>, state: "running" | "exited" = "running") => {
    const { workloads, ...rest } = read([container("web", labels, { networks, state, createdAtMs: 1 })]);
    return { text: show(rest), problems: rest.problems };
  };
  const withUrl = { ...CONTEXT, "traefik.http.services.s.loadbalancer.server.url": "http://a.example/p" };
  const preserve = ["traefik.http.services.s.loadbalancer.server.preservePath", "true"] as const;
  for (const [label, value] of [...ROUTER, ...BALANCER, ...TCP, ...TCP_SERVICE, ...OTHERS, preserve]) {
    const base = label === preserve[0] ? withUrl : CONTEXT;
    const state = label.endsWith("allownonrunning") ? "exited" : "running";
    const { text, problems } = outcome({ ...base, [label]: value }, state);
    const named = problems.some(({ place }) => place.key !== "" && label.startsWith(place.key));
    assert.ok(named || text !== outcome(base, state).text, `${label} is ignored`);
  }
});

/** Maps and big numbers included, places left out: they differ by themselves. */
function show(value: unknown): string {
  return JSON.stringify(value, (key, part) => {
    if (key === "place") return undefined;
    if (part instanceof Map) return [...part];
    return typeof part === "bigint" ? String(part) : part;
  });
}

test("every middleware of the catalogue can be declared by label", async () => {
  const { middlewares: registry } = await loadCatalogue();
  for (const name of registry.keys()) {
    const label = `traefik.http.middlewares.m.${name.toLowerCase()}.no-such-option`;
    const { middlewares, problems } = read([container("web", { [label]: "x" })], {}, undefined, registry);
    assert.equal(middlewares.get("m")?.value.type, name);
    assert.ok(
      problems.some(({ code, place }) => code === "unknown-option" && place.key === label),
      name,
    );
  }
});

test("any labels on any containers give a declaration, the same in any order", () => {
  const key = fc
    .tuple(
      fc.constantFrom("traefik.", "waybill.", "TRAEFIK."),
      fc.constantFrom(
        "enable",
        "port",
        "docker.network",
        "http.routers.r.rule",
        "http.routers.R.rule",
        "http.routers.r.tls",
        "http.services.s.loadbalancer.server.port",
        "http.services.s.loadbalancer.server.url",
        "http.services.s.weighted.services[0].name",
        "http.middlewares.m.compress",
        "http.middlewares.m.headers.customrequestheaders.a.b",
        "tls.certificates[0].certfile",
        "tcp.routers.r.rule",
      ),
    )
    .map((parts) => parts.join(""));
  const value = fc.oneof(
    fc.constantFrom("true", "false", "80", "Host(`a`)", "a.example", "", "[0]"),
    fc.string(),
  );
  const some = fc.array(fc.dictionary(fc.oneof(key, fc.constant("waybill")), value), { maxLength: 4 });
  fc.assert(
    fc.property(some, (all) => {
      const workloads = all.map((labels, i) => container(`c${i}`, labels, { createdAtMs: i }));
      const { workloads: _, ...one } = read(workloads);
      const { workloads: __, ...other } = read(workloads.toReversed());
      assert.equal(show(one), show(other));
    }),
    { numRuns: 300 },
  );
});

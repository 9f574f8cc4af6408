import assert from "node:assert/strict";
import { test } from "node:test";
import { settingsOptions } from "../../src/model/settings.ts";
import { describeProblem, type Problem } from "../../src/schema/problem.ts";
import { readOptions } from "../../src/schema/read-options.ts";
import { checkSettings } from "../../src/settings/check.ts";
import { completeSettings } from "../../src/settings/complete.ts";
import { tree, type Written } from "../schema/harness.ts";
import { load } from "./harness.ts";

const flags = (...argv: string[]) => load({ argv });
const addresses = (...argv: string[]) =>
  [...flags(...argv).settings.entryPoints].map(([name, { address }]) => `${name}=${address}`).join(" ");

test("without an entry point, http listens on port 80; traefik alone does not count", () => {
  assert.equal(addresses(), "http=:80");
  assert.equal(addresses("--entrypoints.traefik.address=:9000"), "traefik=:9000 http=:80");
  assert.equal(addresses("--entrypoints.web.address=:81"), "web=:81");
});

test("the entry point traefik is made where something of ours is on it", () => {
  const web = "--entrypoints.web.address=:80";
  assert.equal(addresses(web, "--api.insecure"), "web=:80 traefik=:8080");
  assert.equal(addresses(web, "--ping"), "web=:80 traefik=:8080");
  assert.equal(addresses(web, "--metrics.prometheus"), "web=:80 traefik=:8080");
  assert.equal(addresses(web, "--api"), "web=:80");
  assert.equal(addresses(web, "--ping.manualrouting"), "web=:80");
  assert.equal(addresses(web, "--ping.entrypoint=web"), "web=:80");
  assert.equal(addresses(web, "--ping", "--entrypoints.traefik.address=:1"), "web=:80 traefik=:1");
});

test("without a provider Docker is watched", () => {
  assert.equal(flags().settings.providers.docker?.endpoint, "unix:///var/run/docker.sock");
  assert.equal(flags("--providers.file.filename=x.yml").settings.providers.docker, undefined);
  assert.equal(flags("--providers.docker=false").settings.providers.docker, undefined);
});

test("what Waybill does not have, and what decides where requests go or who gets in, is refused by name", () => {
  for (const flag of [
    "--providers.kubernetescrd",
    "--providers.kubernetesingress.endpoint=x",
    "--providers.kubernetesgateway",
    "--providers.kubernetesingressnginx",
    "--providers.consul.endpoints=x",
    "--providers.consulcatalog",
    "--providers.nomad",
    "--providers.etcd",
    "--providers.zookeeper",
    "--providers.ecs",
    "--providers.knative",
    "--providers.rest.insecure",
    "--providers.plugin.x.y=z",
    "--providers.marathon",
    "--providers.rancher",
    "--providers.docker.swarmmode=true",
    "--spiffe.workloadapiaddr=x",
    "--hostresolver.cnameflattening=true",
    "--providers.swarm",
    "--providers.redis.endpoints=x",
    "--providers.http.endpoint=x",
    "--certificatesresolvers.ts.tailscale",
  ]) {
    const { problems } = flags("--entrypoints.web.address=:80", flag);
    const refused = problems.filter(({ code }) => code === "unsupported-option");
    assert.equal(refused.length, 1, flag);
    assert.match(refused[0]!.message, /is not supported: .{20}/);
  }
});

test("what says nothing of where requests go does not keep Waybill from starting, and is named in a warning", () => {
  for (const flag of [
    "--providers.docker.tls.caoptional=true",
    "--pilot.token=x",
    "--ocsp",
    "--tcpserverstransport.dialtimeout=1s",
    "--experimental.plugins.x.modulename=y",
    "--experimental.localplugins.x.modulename=y",
    "--experimental.http3=true",
    "--metrics.datadog",
    "--metrics.statsd.address=x",
    "--metrics.influxdb2",
    "--entrypoints.web.http3",
    "--entrypoints.web.udp.timeout=1s",
    "--api.debug",
    "--metrics.influxdb2.address=http://influx:8086",
    "--experimental.plugins.x.settings.envs=A",
    "--experimental.abortonpluginfailure=true",
    "--experimental.kubernetesgateway=true",
    "--experimental.knative=true",
    "--tracing.jaeger.samplingserverurl=http://jaeger",
    "--tracing.spannamelimit=10",
    "--tracing.zipkin",
    "--hostresolver.resolvdepth=3",
    "--entrypoints.web.http3.advertisedport=443",
  ]) {
    const { problems, settings } = flags("--entrypoints.web.address=:80", flag);
    assert.deepEqual(
      problems.map(({ code, severity }) => [code, severity]),
      [["obsolete-option", "warning"]],
      flag,
    );
    assert.match(problems[0]!.message, /has no effect: .{20}/);
    assert.equal(settings.entryPoints.get("web")?.address, ":80");
  }
});

test("what Traefik forgives is a warning here too, and the default is used", () => {
  for (const [flag, expected] of [
    ["--log.level=WARNING", /log\.level: expected one of .*, found "WARNING"; INFO is used/],
    ["--accesslog.format=combined", /accesslog\.format: .* found "combined"; common is used/],
    ["--certificatesresolvers.le.acme.keytype=P256", /keytype: .* found "P256"; EC256 is used/],
  ] as const) {
    const { problems, said } = flags("--entrypoints.web.address=:80", flag);
    const [first] = problems;
    assert.match(said[0] ?? "", expected);
    assert.equal(first?.severity, "warning");
  }
  assert.equal(flags("--log.level=WARNING").settings.log?.level, "INFO");
});

test("a UDP entry point is left out with a warning, and the others are there", () => {
  const { said, settings } = flags(
    "--entrypoints.web.address=:80",
    "--entrypoints.vpn.address=:51820/UDP",
    "--entrypoints.db.address=:5432/tcp",
  );
  assert.deepEqual([...settings.entryPoints.keys()], ["web", "db"]);
  assert.deepEqual(said.length, 1);
  assert.match(said[0]!, /^flag --entrypoints\.vpn\.address: the entry point vpn is left out: UDP/);
  // Whoever has written only such ones did not ask for port 80.
  assert.deepEqual([...flags("--entrypoints.vpn.address=:51820/udp").settings.entryPoints.keys()], []);
});

test("what copied compose files switch off, and never did anything here, is no problem", () => {
  assert.deepEqual(
    flags(
      "--global.checknewversion=false",
      "--global.sendanonymoususage=false",
      "--api.debug=false",
      "--api.disabledashboardad=true",
      "--experimental.otlplogs=true",
      "--providers.docker.swarmmode=false",
      "--providers.kubernetescrd=false",
    ).said,
    [],
  );
  assert.deepEqual(
    flags("--global.sendanonymoususage", "--experimental.fastproxy").problems.map(({ severity }) => severity),
    ["warning", "warning"],
  );
});

test("addresses are checked, and no two entry points share one", () => {
  assert.match(flags("--entrypoints.web.address=80").said[0]!, /expected \[host\]:port.*did you mean :80\?/);
  assert.match(flags("--entrypoints.web.address=:99999").said[0]!, /expected \[host\]:port/);
  assert.match(flags("--entrypoints.web").said[0]!, /address: is required/);
  assert.match(
    flags("--entrypoints.a.address=:80", "--entrypoints.b.address=:80").said[0]!,
    /b\.address: .*that of "a"/,
  );
  assert.deepEqual(
    flags("--entrypoints.a.address=127.0.0.1:0", "--entrypoints.b.address=[::1]:443/tcp").said,
    [],
  );
});

test("names of entry points and resolvers are checked, with the nearest", () => {
  const web = "--entrypoints.web.address=:80";
  const cases: [string, RegExp][] = [
    ["--ping.entrypoint=wbe", /flag --ping\.entrypoint: .*found "wbe" \(did you mean web\?\)/],
    ["--metrics.prometheus.entrypoint=x", /metrics\.prometheus\.entrypoint/],
    ["--entrypoints.web.http.redirections.entrypoint.to=secure", /name of an entry point/],
    ["--entrypoints.web.http.redirections.entrypoint.to=web", /another entry point than itself/],
    ["--entrypoints.web.http.tls.certresolver=le", /name of a certificates resolver/],
    ["--entrypoints.web.http.middlewares=auth", /such as auth@file/],
    ["--certificatesresolvers.le.acme.httpchallenge.entrypoint=wep", /did you mean web\?/],
  ];
  for (const [flag, expected] of cases) assert.match(flags(web, flag).said.join("\n"), expected, flag);
  assert.deepEqual(flags(web, "--entrypoints.web.http.redirections.entrypoint.to=:443").said, []);
});

test("what does not fit together is an error at its option", () => {
  const cases: [string[], RegExp][] = [
    [["--entrypoints.web.proxyprotocol.insecure=false"], /expected trustedIPs/],
    [["--providers.precedence=docker,fil"], /names of providers.*did you mean file\?/],
    [["--providers.file.watch=true"], /expected filename or directory/],
    [["--providers.docker.endpoint=/var/run/docker.sock"], /such as unix:\/\//],
    [["--api.basepath=x"], /expected a path/],
    [["--threads=1000"], /at most 64/],
    [
      ["--certificatesresolvers.le.acme.tlschallenge", "--certificatesresolvers.le.acme.storage="],
      /directory to keep/,
    ],
    [
      ["--certificatesresolvers.le.acme.tlschallenge", "--certificatesresolvers.le.acme.clienttimeout=1s"],
      /clientResponseHeaderTimeout/,
    ],
    [
      [
        "--certificatesresolvers.le.acme.tlschallenge",
        "--certificatesresolvers.le.acme.certificatesduration=0",
      ],
      /at least 1 hour/,
    ],
    [
      ["--certificatesresolvers.le.acme.tlschallenge", "--certificatesresolvers.le.acme.caserver=x"],
      /https:\/\//,
    ],
    [["--certificatesresolvers.le.acme.dnschallenge.delaybeforecheck=1"], /expected a DNS provider/],
    [["--certificatesresolvers.le.acme.email=a@b"], /has no challenge/],
    [["--certificatesresolvers.le"], /has no acme/],
  ];
  for (const [argv, expected] of cases) {
    assert.match(flags("--entrypoints.web.address=:80", ...argv).said.join("\n"), expected, argv.join(" "));
  }
  assert.deepEqual(flags("--providers.precedence=kubernetesCRD,Docker,file").settings.providers.precedence, [
    "kubernetescrd",
    "docker",
    "file",
  ]);
});

test("old names of options and of the CA still work", () => {
  const { settings } = flags(
    "--certificatesresolvers.le.acme.dnschallenge.provider=cloudflare",
    "--certificatesresolvers.le.acme.dnschallenge.delaybeforecheck=5",
    "--certificatesresolvers.le.acme.dnschallenge.disablepropagationcheck",
    "--certificatesresolvers.le.acme.caserver=https://acme-v01.api.letsencrypt.org/directory",
  );
  const acme = settings.certificatesResolvers.get("le")?.acme;
  assert.equal(acme?.caServer, "https://acme-v02.api.letsencrypt.org/directory");
  assert.equal(acme?.dnsChallenge?.propagation.delayBeforeChecks, 5000);
  assert.equal(acme?.dnsChallenge?.propagation.disableChecks, true);
});

test("tracing has its checks and old names", () => {
  const check = (written: Written) => {
    const node = tree({ tracing: written });
    const problems: Problem[] = [];
    const reader = {
      report: (problem: Problem) => void problems.push(problem),
      secret: (text: string) => text,
    };
    const settings = completeSettings(readOptions(settingsOptions, node, reader), node, reader);
    checkSettings(settings, node, reader.report);
    return { settings, said: problems.map(describeProblem).join("\n") };
  };
  assert.match(check({ sampleRate: 2 }).said, /tracing\.sampleRate: expected a share from 0 to 1/);
  assert.match(
    check({ otlp: { grpc: { insecure: true, tls: { ca: "x" } } } }).said,
    /insecure or tls, found both/,
  );
  const { settings } = check({ globalAttributes: { a: "1" }, resourceAttributes: { b: "2" } });
  assert.deepEqual(
    [...settings.tracing!.resourceAttributes],
    [
      ["a", "1"],
      ["b", "2"],
    ],
  );
});

test("what is global counts on every entry point", () => {
  const { settings } = flags(
    "--global.notappendxforwardedfor",
    "--entrypoints.a.address=:1",
    "--entrypoints.b.address=:2",
  );
  for (const { forwardedHeaders } of settings.entryPoints.values()) {
    assert.equal(forwardedHeaders.notAppendXForwardedFor, true);
  }
});

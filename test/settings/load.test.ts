import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { settingsOptions } from "../../src/model/settings.ts";
import { listOptions } from "../../src/schema/describe.ts";
import { load, sourceOf } from "./harness.ts";

const flags = (...argv: string[]) => load({ argv });

test("flags are written with one dash or two, with = or a space, in any case", () => {
  const { settings, said, words } = flags(
    "--entrypoints.web.address=:80",
    "-entryPoints.Secure.ADDRESS",
    ":443",
    "--providers.docker",
    "--providers.docker.exposedByDefault=false",
    "--api",
    "--log.level",
    "warn",
  );
  assert.deepEqual([said, words], [[], []]);
  assert.deepEqual([...settings.entryPoints.keys()], ["web", "Secure"]);
  assert.equal(settings.entryPoints.get("Secure")?.address, ":443");
  assert.equal(settings.providers.docker?.exposedByDefault, false);
  assert.equal(settings.api?.dashboard, true);
  assert.equal(settings.log.level, "WARN");
});

test("a switch never takes the next word, and anything else always does", () => {
  assert.deepEqual(flags("--accesslog", "true").words, ["true"]);
  assert.deepEqual(flags("--api.insecure", "--ping").settings.api?.insecure, true);
  assert.equal(flags("--log.filepath", "--odd").settings.log.filePath, "--odd");
  assert.match(flags("--log.level").said[0]!, /flag --log\.level: expected a value after it/);
});

test("a list that is repeated grows, and of a single value the last counts", () => {
  const { settings } = flags(
    "--entrypoints.web.address=:80",
    "--entrypoints.web.forwardedheaders.trustedips=10.0.0.0/8",
    "--entrypoints.web.forwardedHeaders.trustedIPs=::1,192.168.0.1",
    "--log.level=warn",
    "--log.level=error",
  );
  assert.deepEqual(settings.entryPoints.get("web")?.forwardedHeaders.trustedIPs, [
    "10.0.0.0/8",
    "::1",
    "192.168.0.1",
  ]);
  assert.equal(settings.log.level, "ERROR");
});

test("lists of groups are numbered, in the order of the numbers", () => {
  const domain = "--entrypoints.web.http.tls.domains";
  const { settings, said } = flags(
    "--entrypoints.web.address=:1",
    `${domain}[10].main=c`,
    `${domain}[2].main=b`,
    `${domain}[2].sans=x,y`,
  );
  assert.deepEqual(said, []);
  const domains = settings.entryPoints.get("web")?.http.tls?.domains ?? [];
  assert.deepEqual(
    domains.map(({ main, sans }) => [main, sans]),
    [
      ["b", ["x", "y"]],
      ["c", []],
    ],
  );
});

test("a value may hold anything, = and line ends too", () => {
  const rule = "Host(`{{ .Name }}`) && Query(`a=b`)\n";
  assert.equal(flags(`--providers.docker.defaultrule=${rule}`).settings.providers.docker?.defaultRule, rule);
});

test("-- ends the options, and words that are no options are told", () => {
  const { settings, words } = flags("--ping", "--", "--api", "x");
  assert.equal(settings.api, undefined);
  assert.deepEqual(words, ["--api", "x"]);
  assert.equal(flags("--ping", "-h").help, true);
});

test("an unknown flag is one problem with the nearest name, its value included", () => {
  const { said, words } = flags("--log.levle", "warn", "--providers.dokcer=true");
  assert.equal(said.length, 2);
  assert.match(said.join("\n"), /flag --providers\.dokcer: .*did you mean docker\?/);
  assert.match(said.join("\n"), /flag --log\.levle: .*did you mean level\?/);
  assert.deepEqual(words, []);
});

test("variables are named by the path in capitals, for Traefik's prefix and for ours", () => {
  const { settings, said } = load({
    env: {
      TRAEFIK_ENTRYPOINTS_WEB_ADDRESS: ":80",
      WAYBILL_ENTRYPOINTS_WEB_HTTP_TLS_DOMAINS_10_MAIN: "b",
      WAYBILL_ENTRYPOINTS_WEB_HTTP_TLS_DOMAINS_2_MAIN: "a",
      TRAEFIK_PROVIDERS_DOCKER: "true",
      TRAEFIK_LOG_LEVEL: "DEBUG",
      WAYBILL_LOG_LEVEL: "warn",
      TRAEFIK_LOG_FORMAT: "",
      PATH: "/bin",
    },
  });
  assert.deepEqual(said, []);
  assert.deepEqual([...settings.entryPoints.keys()], ["web"]);
  assert.deepEqual(
    settings.entryPoints.get("web")?.http.tls?.domains.map(({ main }) => main),
    ["a", "b"],
  );
  assert.equal(settings.log.level, "WARN");
  assert.equal(settings.log.format, "common");
});

test("a variable that nearly names an option is a warning, others and secrets are not ours", () => {
  const { said, problems } = load({
    env: {
      TRAEFIK_LOGG_LEVEL: "x",
      TRAEFIK_PORT_80_TCP: "tcp://1",
      WAYBILL_SECRET_TOKEN: "t",
      TRAEFIK_LOG_LEVLE: "x",
    },
  });
  assert.deepEqual(problems.map(({ severity, place }) => [severity, place.key]).sort(), [
    ["error", "TRAEFIK_LOG_LEVLE"],
    ["warning", "TRAEFIK_LOGG_LEVEL"],
  ]);
  assert.match(said.join("\n"), /did you mean TRAEFIK_LOG\?/);
});

test("the usual files are looked for in order, and the first that is there counts", () => {
  const order = [
    "/etc/waybill/waybill.yml",
    "/etc/waybill/waybill.toml",
    "/etc/traefik/traefik.yml",
    "/etc/traefik/traefik.toml",
    "/xdg/waybill.yml",
    "/home/.config/traefik.yaml",
    "/work/waybill.yml",
    "/work/traefik.toml",
  ];
  const env = { XDG_CONFIG_HOME: "/xdg", HOME: "/home" };
  const text = (path: string) => (path.endsWith("toml") ? "[ping]" : "ping: {}");
  for (let first = 0; first < order.length; first++) {
    const files = Object.fromEntries(order.slice(first).map((path) => [path, text(path)]));
    const { configFile, settings } = load({ env, files });
    assert.equal(configFile, order[first]);
    assert.ok(settings.ping);
  }
});

test("a home that is closed to us holds no settings of ours, a file of ours that is closed is an error", () => {
  const closed = { code: "EACCES" };
  const inHome = { "/home/.config": closed, "/home/.config/waybill.yml": closed };
  assert.deepEqual(load({ env: { HOME: "/home" }, files: inHome }).said, []);
  const inPlace = { "/etc/waybill": { code: "EISDIR" }, "/etc/waybill/waybill.yml": closed };
  assert.match(load({ files: inPlace }).said[0]!, /cannot be read \(EACCES\)/);
});

test("a file that was named must be there and be readable", () => {
  assert.match(load({ argv: ["--configFile=/x.yml"] }).said[0]!, /^\/x\.yml: expected a settings file/);
  const files = { "/x.yml": { code: "EACCES" } };
  assert.match(load({ argv: ["--configfile", "/x.yml"], files }).said[0]!, /cannot be read \(EACCES\)/);
  assert.equal(
    load({ env: { TRAEFIK_CONFIGFILE: "/y.yml" }, files: { "/y.yml": "ping: {}" } }).configFile,
    "/y.yml",
  );
});

test("flags go before variables and variables before the file, value by value, and every loser is known", () => {
  const loaded = load({
    argv: ["--log.level=error", "--entrypoints.web.address=:81"],
    env: { TRAEFIK_LOG_LEVEL: "warn", TRAEFIK_LOG_FORMAT: "json" },
    files: {
      "/etc/traefik/traefik.yml":
        "log: {level: DEBUG, noColor: true, format: common}\nentryPoints: {Web: {address: ':80', asDefault: true}}\nproviders: {docker: false}\n",
    },
  });
  assert.deepEqual(loaded.said, []);
  const { log, entryPoints } = loaded.settings;
  assert.deepEqual([log.level, log.format, log.noColor], ["ERROR", "json", true]);
  assert.deepEqual([entryPoints.get("Web")?.address, entryPoints.get("Web")?.asDefault], [":81", true]);
  assert.deepEqual(
    loaded.overrides.map(({ option, by, over }) => [option, by.key, over.source]),
    [
      ["log.format", "TRAEFIK_LOG_FORMAT", "file"],
      ["log.level", "TRAEFIK_LOG_LEVEL", "file"],
      ["log.level", "--log.level", "environment"],
      ["entryPoints.Web.address", "--entrypoints.web.address", "file"],
    ],
  );
});

test("a group that the file switches off is on again where a flag fills it", () => {
  const files = { "/etc/traefik/traefik.yml": "api: false\n" };
  const { settings, overrides } = load({ argv: ["--api.insecure"], files });
  assert.equal(settings.api?.insecure, true);
  assert.deepEqual(
    overrides.map(({ option }) => option),
    ["api"],
  );
  assert.equal(
    load({ argv: ["--api=false"], files: { "/etc/traefik/traefik.yml": "api: {insecure: true}" } }).settings
      .api,
    undefined,
  );
});

test("a list of the file is replaced as a whole", () => {
  const files = { "/etc/traefik/traefik.yml": "providers: {precedence: [docker, file]}\n" };
  assert.deepEqual(load({ argv: ["--providers.precedence=file"], files }).settings.providers.precedence, [
    "file",
  ]);
});

test("every value that is in force has its source, and secrets are masked", () => {
  const loaded = load({
    argv: ["--log.level=warn"],
    env: { TRAEFIK_PROVIDERS_DOCKER_PASSWORD: "hunter2" },
    files: { "/work/waybill.yml": "ping:\n  entryPoint: web\nentryPoints:\n  web: {address: ':80'}\n" },
  });
  assert.equal(sourceOf(loaded, "log.level"), "flag --log.level");
  assert.equal(
    sourceOf(loaded, "providers.docker.password"),
    "environment TRAEFIK_PROVIDERS_DOCKER_PASSWORD",
  );
  assert.equal(sourceOf(loaded, "ping.entryPoint"), "file ping.entryPoint");
  assert.equal(sourceOf(loaded, "log.format"), "default log.format");
  assert.equal(sourceOf(loaded, "entryPoints.web.address"), "file entryPoints.web.address");
  assert.doesNotMatch(JSON.stringify(loaded.sources), /hunter2/);
});

test("unknown names at the top of a file are warnings, below it errors; dynamic ones are told where they belong", () => {
  const files = {
    "/work/waybill.yml": "x-anchors: {}\nentrypoint: {}\nhttp: {routers: {}}\nlog: {levle: x}\n",
  };
  const { problems, said } = load({ files });
  assert.deepEqual(
    problems.map(({ severity, place }) => [place.key, severity]),
    [
      ["entrypoint", "warning"],
      ["http", "warning"],
      ["log.levle", "error"],
    ],
  );
  assert.match(said[0]!, /^\/work\/waybill\.yml:2:1 entrypoint: .*did you mean entryPoints\?/);
  assert.match(said[1]!, /belongs in a file of providers\.file/);
});

test("a file that cannot be parsed is one error, and everything else is read", () => {
  const { problems, settings } = load({ argv: ["--ping"], files: { "/work/waybill.yml": "log: [" } });
  assert.deepEqual(
    problems.map(({ code, place }) => [code, place.line]),
    [["unreadable-file", 1]],
  );
  assert.ok(settings.ping);
});

test("a file without settings says so", () => {
  for (const text of ["", "# nothing\n", "x-a: 1\n"]) {
    assert.match(load({ files: { "/work/waybill.yml": text } }).said.join(), /holds no settings/);
  }
});

test("secrets may be in any file or variable: these are the operator's own settings", () => {
  const { settings, said } = load({
    argv: ["--providers.docker.password=file:/somewhere/docker", "--providers.docker.tls.key=env:KEY"],
    env: { KEY: "k" },
    files: { "/somewhere/docker": "d\n" },
  });
  assert.deepEqual(said, []);
  assert.deepEqual([settings.providers.docker?.password, settings.providers.docker?.tls?.key], ["d", "k"]);
});

test("nothing that flags, variables and files can hold makes loading throw", () => {
  const paths = listOptions(settingsOptions).map(({ path }) =>
    path.replaceAll("<name>", "a").replaceAll("[n]", "[0]"),
  );
  const value = fc.oneof(fc.string(), fc.constantFrom("true", "false", "1", ":80", "x,y", "-1s"));
  const flag = fc
    .tuple(fc.oneof(fc.constantFrom(...paths), fc.string()), value)
    .map(([path, text]) => `--${path}=${text}`);
  const variable = fc.tuple(
    fc
      .constantFrom(...paths)
      .map((path) => `TRAEFIK_${path.toUpperCase().replace(/[.[]/g, "_").replaceAll("]", "")}`),
    value,
  );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(flag, fc.string()), { maxLength: 8 }),
      fc.array(variable, { maxLength: 5 }),
      fc.oneof(fc.string(), fc.json()),
      (argv, variables, text) => {
        const { settings, sources } = load({
          argv,
          env: Object.fromEntries(variables),
          files: { "/work/waybill.yml": text },
        });
        assert.ok(settings.entryPoints.size > 0);
        JSON.stringify(sources);
      },
    ),
    { numRuns: 500 },
  );
});

test("the flags that people have in their compose files are read without a word", () => {
  const { said, settings } = flags(
    "--global.checkNewVersion=false",
    "--global.sendAnonymousUsage=false",
    "--entryPoints.http.address=:80",
    "--entryPoints.https.address=:443",
    "--entrypoints.http.http.redirections.entrypoint.to=https",
    "--entrypoints.http.http.redirections.entrypoint.scheme=https",
    "--entrypoints.https.forwardedHeaders.trustedIPs=173.245.48.0/20,103.21.244.0/22,10.0.0.0/8",
    "--entrypoints.https.http.middlewares=chain@file,secure@docker",
    "--entrypoints.https.http.tls=true",
    "--entrypoints.https.http.tls.options=tls-opts@file",
    "--entrypoints.https.http.tls.certresolver=dns-cloudflare",
    "--entrypoints.https.http.tls.domains[0].main=example.com",
    "--entrypoints.https.http.tls.domains[0].sans=*.example.com",
    "--entrypoints.https.transport.respondingTimeouts.readTimeout=600s",
    "--api=true",
    "--api.dashboard=true",
    "--log=true",
    "--log.filePath=/logs/traefik.log",
    "--log.level=DEBUG",
    "--accessLog=true",
    "--accessLog.filePath=/logs/access.log",
    "--accessLog.filters.statusCodes=204-299,400-499,500-599",
    "--accesslog.fields.headers.names.User-Agent=keep",
    "--accesslog.fields.names.ClientUsername=drop",
    "--providers.docker=true",
    "--providers.docker.endpoint=tcp://socket-proxy:2375",
    "--providers.docker.exposedByDefault=false",
    "--providers.docker.network=proxy",
    '--providers.docker.defaultRule=Host(`{{ index .Labels "com.docker.compose.service" }}.example.com`)',
    "--providers.docker.constraints=Label(`stage`,`prod`) && !Label(`a`,`b`)",
    "--providers.file.directory=/rules",
    "--providers.file.watch=true",
    "--serverstransport.insecureskipverify=true",
    "--certificatesResolvers.dns-cloudflare.acme.email=me@example.com",
    "--certificatesResolvers.dns-cloudflare.acme.storage=/acme.json",
    "--certificatesResolvers.dns-cloudflare.acme.dnsChallenge=true",
    "--certificatesResolvers.dns-cloudflare.acme.dnsChallenge.provider=cloudflare",
    "--certificatesResolvers.dns-cloudflare.acme.dnsChallenge.resolvers=1.1.1.1:53,1.0.0.1:53",
    "--certificatesResolvers.dns-cloudflare.acme.dnsChallenge.delayBeforeCheck=90",
    "--certificatesresolvers.le.acme.httpchallenge=true",
    "--certificatesresolvers.le.acme.httpchallenge.entrypoint=http",
    "--certificatesresolvers.tls.acme.tlschallenge=true",
    "--metrics.prometheus=true",
    "--metrics.prometheus.buckets=0.1,0.3,1.2,5.0",
    "--metrics.prometheus.addRoutersLabels=true",
    "--ping=true",
    "--ping.entrypoint=http",
  );
  assert.deepEqual(said, []);
  assert.deepEqual([...settings.entryPoints.keys()], ["http", "https", "traefik"]);
});

test("AD-01 an open dashboard is said to be open, one on loopback or with a login is not", () => {
  const [warning = "", ...others] = flags("--api.insecure=true").said;
  assert.match(warning, /without a login, to everyone who reaches :8080; api\.auth\.token asks for one/);
  assert.deepEqual(others, []);
  const address = "--entryPoints.traefik.address=127.0.0.1:8080";
  assert.deepEqual(flags("--api.insecure=true", address).said, []);
  assert.deepEqual(flags("--api.insecure=true", "--api.auth.token=0123456789abcdef").said, []);
});

test("AD-06 users of the API that cannot be read are told of, without their hash", () => {
  const { said } = flags("--api.auth.users=ann:secret");
  assert.match(said[0] ?? "", /api\.auth\.users.*"ann" whose hash is/);
  assert.doesNotMatch(said.join(), /secret/);
});

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are compose's.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readWorld } from "../../src/check/world.ts";
import { loadCatalogue } from "../../src/compile/catalogue.ts";
import { describeProblem } from "../../src/schema/problem.ts";

const { middlewares: registry } = await loadCatalogue();

interface Given {
  readonly env?: Readonly<Record<string, string>>;
  readonly named?: readonly string[];
  readonly oneProject?: boolean;
}

/** What compose files in /shop come to. The first is the one named, unless others are. */
function world(files: Readonly<Record<string, string>>, { env = {}, named, oneProject = false }: Given = {}) {
  const found = readWorld(named ?? Object.keys(files).slice(0, 1), {
    cwd: "/shop",
    env: new Map(Object.entries(env)),
    readFile(path) {
      const text = files[path.replace(/^\/shop\//, "")];
      if (text === undefined) throw Object.assign(new Error(path), { code: "ENOENT" });
      return text;
    },
    registry,
    oneProject,
  });
  return {
    ...found,
    said: found.problems.map(describeProblem),
    rule: (name: string) => found.report.routers.get(`${name}@docker`)?.declared.rule,
    containers: found.report.workloads.map(({ workload }) => workload.name).sort(),
  };
}

const PROXY = `
  proxy: { image: traefik, command: [--providers.docker=true, "--entrypoints.web.address=:80"] }`;
const rule = (host: string) => `[ "traefik.http.routers.app.rule=Host(\`${host}\`)" ]`;

test("a service that extends one of another file has its labels, and a mistake there is found there", () => {
  const files = {
    "compose.yml": `services:${PROXY}
  app:
    extends: { file: common/base.yml, service: web }
    labels: [ "traefik.http.routers.app.priority=7" ]
`,
    "common/base.yml": `services:
  web:
    extends: root
    labels: [ "traefik.http.routers.app.rul=x" ]
  root:
    image: app
    labels: ${rule("app.test")}
`,
  };
  const { rule: ruleOf, said, containers } = world(files);
  assert.equal(ruleOf("app"), "Host(`app.test`)");
  assert.deepEqual(containers, ["shop-app-1", "shop-proxy-1"]);
  assert.match(said.join("\n"), /^common\/base\.yml:4:15 .*"rul" is not an option here.*did you mean rule\?/);
});

test("what is extended and is not there is named, and a circle ends", () => {
  const broken = world({
    "compose.yml": `services:${PROXY}
  a: { image: a, extends: { service: bb } }
  b: { image: b, extends: a }
  c: { image: c, extends: { service: d } }
  d: { image: d, extends: c }
  e: { image: e, extends: { file: gone.yml, service: x } }
`,
  });
  const said = broken.said.join("\n");
  assert.match(
    said,
    /compose\.yml:3:\d+ .*there is no service bb in compose\.yml to extend \(did you mean b\?\)/,
  );
  assert.match(said, /extends itself/);
  assert.match(said, /compose\.yml:7:\d+ .*gone\.yml does not exist/);
  assert.equal(broken.unreadable, 0);
});

test("files that are included belong to the project, theirs too, and a circle ends", () => {
  const { containers, rule: ruleOf } = world({
    "compose.yml": `include: [ sub/one.yml, { path: [ two.yml ] } ]\nservices:${PROXY}\n`,
    "sub/one.yml": `include: [ ../compose.yml ]\nservices:\n  app: { image: app, labels: ${rule("app.test")} }\n`,
    "two.yml": "services:\n  two: { image: two }\n",
  });
  assert.deepEqual(containers, ["shop-app-1", "shop-proxy-1", "shop-two-1"]);
  assert.equal(ruleOf("app"), "Host(`app.test`)");
});

test("files of one directory are laid over each other, as -f lays them", () => {
  const files = {
    "compose.yml": `services:${PROXY}
  app:
    image: app
    command: x
    networks: [ default, other ]
    labels:
      traefik.http.routers.app.rule: Host(\`one.test\`)
      traefik.http.routers.app.priority: 5
networks: { other: {} }
`,
    "compose.override.yml": `services:\n  app:\n    labels: ${rule("two.test")}\n`,
  };
  const both = world(files, { named: ["compose.yml", "compose.override.yml"] });
  assert.equal(both.rule("app"), "Host(`two.test`)");
  assert.equal(both.report.routers.get("app@docker")?.declared.priority, 5n);
  assert.deepEqual(both.said, []);
  const place = both.locate(both.report.routers.get("app@docker")!.place);
  assert.deepEqual([place.file, place.line], ["compose.override.yml", 3]);
  const far = { ...files, "prod/over.yml": files["compose.override.yml"] };
  const named = ["compose.yml", "prod/over.yml"];
  assert.equal(world(far, { named, oneProject: true }).rule("app"), "Host(`two.test`)");
});

test("projects in one directory that have names of their own stay two", () => {
  const one = (name: string) => `name: ${name}\nservices:\n  app: { image: app }\n`;
  const { containers } = world(
    { "a.yml": one("first"), "b.yml": one("second") },
    { named: ["a.yml", "b.yml"] },
  );
  assert.deepEqual(containers, ["first-app-1", "second-app-1"]);
});

test("!reset and !override take away what lies below", () => {
  const files = {
    "compose.yml": `services:${PROXY}\n  app: { image: app, labels: ${rule("one.test")} }\n  b: { image: b, labels: [ traefik.enable=false ] }\n`,
    "over.yml": `services:\n  app:\n    labels: !override [ "a=b" ]\n  b:\n    labels: !reset null\n`,
  };
  const { report } = world(files, { named: ["compose.yml", "over.yml"] });
  const labelsOf = (name: string) =>
    [...report.workloads.find(({ workload }) => workload.name === name)!.workload.labels.keys()].filter(
      (key) => !key.startsWith("com."),
    );
  assert.deepEqual([labelsOf("shop-app-1"), labelsOf("shop-b-1")], [["a"], []]);
});

test("anchors, merges and x- sections stand for what they hold", () => {
  const { rule: ruleOf, said } = world({
    "compose.yml": `x-labels: &labels
  traefik.http.routers.app.rule: Host(\`app.test\`)
x-app: &app { image: app, environment: { http_proxy: a, HTTP_PROXY: b } }
services:${PROXY}
  app:
    <<: *app
    labels: { <<: *labels, traefik.http.routers.app.priority: 3 }
`,
  });
  assert.equal(ruleOf("app"), "Host(`app.test`)");
  assert.deepEqual(said, []);
});

test("variables have defaults within defaults, and alternatives", () => {
  const ruleFor = (text: string, env = {}) =>
    world(
      {
        "compose.yml": `services:${PROXY}\n  app: { image: app, labels: ${rule(text)} }\n`,
        ".env": "B=b.test # x\n",
      },
      { env },
    ).rule("app");
  assert.equal(ruleFor("$${A}"), "Host(`${A}`)");
  assert.equal(ruleFor("${A:-${B}}"), "Host(`b.test`)");
  assert.equal(ruleFor("${A:-x${C-c}.test}"), "Host(`xc.test`)");
  assert.equal(ruleFor("${A:-x}", { A: "" }), "Host(`x`)");
  assert.equal(ruleFor("a${A-x}.test", { A: "" }), "Host(`a.test`)");
  assert.equal(ruleFor("${B:+has.test}"), "Host(`has.test`)");
  assert.equal(ruleFor("$B", { B: "shell.test" }), "Host(`shell.test`)");
});

test("a variable that is demanded, a hash without its second dollars and a lone dollar are said", () => {
  const said = (label: string) =>
    world({
      "compose.yml": `services:${PROXY}\n  app: { image: app, labels: [ ${JSON.stringify(label)} ] }\n`,
    }).said.join("\n");
  assert.match(
    said("x=${DOMAIN:?say which}"),
    /variable DOMAIN is not set here.*the file demands it: "say which"/,
  );
  assert.match(said("x=ann:$apr1$abc$def"), /the dollars of a hash are written \$\$/);
  assert.match(
    said("x=^a$"),
    /compose\.yml:3:\d+ .*a dollar that begins no variable; one that stands for itself/,
  );
  assert.match(said("x=${A"), /a dollar that begins no variable/);
  const inName = `services:${PROXY}\n  app: { image: app, labels: { "traefik.http.routers.\${X:-app}.rule": "Host(\`a\`)" } }\n`;
  assert.match(world({ "compose.yml": inName }).said.join("\n"), /names of a map are not filled in/);
});

test("the proxy's settings may be in its env_file, and what is written in the service goes before it", () => {
  const compose = (more: string) => `services:
  proxy:
    image: traefik
    env_file: [ proxy.env, { path: more.env, required: false } ]
    environment: { TRAEFIK_PROVIDERS_DOCKER: "true" ${more} }
`;
  const files = {
    "proxy.env": "TRAEFIK_ENTRYPOINTS_IN_ADDRESS=:81\nTRAEFIK_ENTRYPOINTS_IN_ADRESS=:82\n",
    "more.env": "# nothing\n",
  };
  const { settings, said } = world({ "compose.yml": compose(""), ...files });
  assert.equal(settings.entryPoints.get("in")?.address, ":81");
  assert.match(
    said.join("\n"),
    /compose\.yml:4:\d+ TRAEFIK_ENTRYPOINTS_IN_ADRESS: .*did you mean address\?/i,
  );
  const over = world({ "compose.yml": compose(", TRAEFIK_ENTRYPOINTS_IN_ADDRESS: ':83'"), ...files });
  assert.equal(over.settings.entryPoints.get("in")?.address, ":83");
  const gone = world({ "compose.yml": compose("") });
  assert.match(gone.said.join("\n"), /proxy\.env cannot be read here/);
});

test("all profiles are looked at, unless COMPOSE_PROFILES says which are started", () => {
  const files = {
    "compose.yml": `services:${PROXY}
  a: { image: a, profiles: [ one ] }
  b: { image: b, profiles: [ two, three ] }
`,
  };
  assert.equal(world(files).containers.length, 3);
  assert.deepEqual(world(files, { env: { COMPOSE_PROFILES: "three" } }).containers, [
    "shop-b-1",
    "shop-proxy-1",
  ]);
  assert.equal(world(files, { env: { COMPOSE_PROFILES: "*" } }).containers.length, 3);
});

test("a port is doubted only where the file shows which ones there are", () => {
  const said = (more: string) =>
    world({
      "compose.yml": `services:${PROXY}
  app:
    image: app
    ${more}
    labels: [ "traefik.http.routers.app.rule=Host(\`a\`)", traefik.http.services.app.loadbalancer.server.port=8080 ]
`,
    }).said;
  assert.deepEqual(said("command: x"), []);
  assert.match(said("expose: [ 80 ]").join(), /shop-app-1 exposes 80, not 8080/);
  assert.match(said("ports: [ 127.0.0.1:8080:80 ]").join(), /exposes 80, not 8080/);
  assert.deepEqual(said("ports: [ { target: 8080, published: 80 } ]"), []);
});

test("a label whose first word is mistyped, and a problem of labels that are not there, are said", () => {
  const { problems } = world({
    "compose.yml": `services:
  proxy: { image: traefik, command: [--providers.docker=true, "--entrypoints.web.address=:80"], networks: [ a ] }
  app:
    image: app
    networks: [ b ]
    labels:
      - org.example.team=x
      - traefic.http.routers.x.rule=Host(\`x\`)
      - traefik.http.routers.app.rule=Host(\`app.test\`)
networks: { a: {}, b: {} }
`,
  });
  const shown = problems.map(({ code, place, suggestion }) => [code, place.line, place.key, suggestion]);
  assert.deepEqual(shown, [
    ["unknown-label", 8, "traefic.http.routers.x.rule", "traefik.http.routers.x.rule"],
    ["no-shared-network", 9, "", undefined],
  ]);
});

test("labels below deploy are on no container, and a network that is not there is named", () => {
  const { said } = world({
    "compose.yml": `services:${PROXY}
  app:
    image: app
    networks: [ egde ]
    deploy:
      labels: ${rule("app.test")}
networks: { edge: {} }
`,
  });
  assert.match(said.join("\n"), /compose\.yml:7:\d+ .*labels below deploy/);
  assert.match(
    said.join("\n"),
    /compose\.yml:5:\d+ .*there is no network egde in networks \(did you mean edge\?\)/,
  );
});

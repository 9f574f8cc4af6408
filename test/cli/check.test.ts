import assert from "node:assert/strict";
import { test } from "node:test";
import type { Shell } from "../../src/cli/command.ts";
import { main } from "../../src/cli/main.ts";

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(files: Readonly<Record<string, string>>, ...argv: string[]): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const shell: Shell = {
    env: new Map(),
    cwd: "/shop",
    readFile(path) {
      const name = path.replace(/^\/shop\//, "");
      const text = files[name];
      if (text === undefined) throw Object.assign(new Error(path), { code: "ENOENT" });
      return text;
    },
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    askSecret: () => Promise.resolve(""),
  };
  const code = await main(argv, shell);
  return { code, out: out.join(""), err: err.join("") };
}

const PROXY = `
  proxy:
    image: traefik:v3.7
    command: [--providers.docker=true, --entrypoints.web.address=:80]`;

const app = (...labels: string[]) => `services:${PROXY}
  app:
    image: app
    labels:
${labels.map((label) => `      - ${JSON.stringify(label)}`).join("\n")}
`;

const RULE = "traefik.http.routers.app.rule=Host(`app.test`)";

test("a compose file without mistakes is clean, and the code is 0", async () => {
  const { code, out } = await run({ "compose.yml": app(RULE) }, "check");
  assert.deepEqual([code, out], [0, "compose.yml: no problems found.\n"]);
});

test("labels are found at their line and column, in a list and in a map", async () => {
  const map = `services:${PROXY}
  app:
    image: app
    labels:
      traefik.http.routers.app.rule: Hots(\`app.test\`)
`;
  const inList = await run(
    { "a.yml": app("other=x", "traefik.http.routers.app.rule=Hots(`a`)") },
    "check",
    "a.yml",
  );
  assert.match(
    inList.out,
    /^a\.yml:9:9 error traefik\.http\.routers\.app\.rule: column 1: Hots is not a matcher/,
  );
  const inMap = await run({ "b.yml": map }, "check", "b.yml");
  assert.match(inMap.out, /^b\.yml:8:7 error .*\n.*\n.*did you mean Host\?/);
  assert.deepEqual([inList.code, inMap.code], [1, 1]);
});

test("a file that is not there, or is no YAML, ends with code 2", async () => {
  const missing = await run({}, "check", "nope.yml");
  assert.equal(missing.code, 2);
  assert.match(missing.out, /nope\.yml error does not exist/);
  const bad = await run({ "bad.yml": "services: [\n" }, "check", "bad.yml");
  assert.equal(bad.code, 2);
  assert.match(bad.out, /^bad\.yml:\d+:\d+ error/);
  assert.equal((await run({}, "check")).code, 2);
  assert.equal((await run({}, "check", "--fix")).code, 2);
});

test("problems come as JSON and as annotations for GitHub", async () => {
  const files = { "compose.yml": app("traefik.http.routers.app.rul=Host(`a`)") };
  const json = JSON.parse((await run(files, "check", "--format", "json")).out) as Record<string, unknown>[];
  assert.deepEqual(
    json.map(({ file, line, column, code, severity, suggestion }) => [
      file,
      line,
      column,
      code,
      severity,
      suggestion,
    ]),
    [["compose.yml", 8, 9, "unknown-option", "error", "rule"]],
  );
  const { out } = await run(files, "check", "--format=github");
  assert.match(
    out,
    /^::error file=compose\.yml,line=8,col=9,title=unknown-option::traefik\.http\.routers\.app\.rul: /,
  );
  assert.equal(out.trimEnd().split("\n").length, 1);
});

test("flags of the proxy's own service are checked at their line", async () => {
  const file = app(RULE).replace("--entrypoints.web.address=:80", "--entrypoints.web.adress=:80");
  const { out } = await run({ "compose.yml": file }, "check");
  assert.match(out, /compose\.yml:4:\d+ error --entrypoints\.web\.adress: .*did you mean address\?/);
});

test("settings and files of routes that the proxy mounts are read and checked", async () => {
  const compose = `services:
  proxy:
    image: waybill
    volumes:
      - ./traefik.yml:/etc/traefik/traefik.yml:ro
`;
  const settings = "entryPoints:\n  web:\n    adress: ':80'\n";
  const { out } = await run(
    { "compose.yml": compose, "traefik.yml": settings, "/shop/traefik.yml": settings },
    "check",
  );
  assert.match(out, /traefik\.yml:3:5 error entryPoints\.web\.adress: .*did you mean address\?/);
});

test("a file of routes is checked by itself, references to what it does not show left alone", async () => {
  const routes = `http:
  routers:
    app:
      rule: Host(\`app.test\`) && Method(\`GET\`) && Method(\`PUT\`)
      entryPoints: [anything]
      middlewares: [auth@docker, here]
      service: app
  services:
    app: { loadBalancer: { servers: [ { url: "http://10.0.0.1" } ] } }
  middlewares:
    here: { compress: {} }
`;
  const { out, code } = await run({ "routes.yml": routes }, "check", "routes.yml");
  assert.match(
    out,
    /routes\.yml:\d+:\d+ warning .*can never match: no request has both methods GET and PUT/m,
  );
  assert.doesNotMatch(out, /there is no middleware auth@docker|entry point anything/);
  assert.equal(code, 1);
});

test("routers that never get a request are named: shadowed, doubled, impossible", async () => {
  const file = app(
    "traefik.http.routers.all.rule=Host(`app.test`)",
    "traefik.http.routers.all.priority=100",
    "traefik.http.routers.part.rule=Host(`app.test`) && PathPrefix(`/x`)",
    "traefik.http.routers.twice.rule=Host(`app.test`)",
    "traefik.http.routers.never.rule=Host(`a.test`) && Host(`b.test`)",
    "traefik.http.routers.fine.rule=Host(`c.test`) || PathPrefix(`/c`)",
  );
  const { out } = await run({ "compose.yml": file }, "check");
  assert.match(out, /routers\.part\.rule: never gets a request: router all@docker is tried first/);
  assert.match(out, /routers\.twice\.rule: has the same rule as router all@docker/);
  assert.match(out, /routers\.never\.rule: can never match: no request has both hosts a\.test and b\.test/);
  assert.doesNotMatch(out, /routers\.fine/);
});

test("a router on an entry point whose port is not published is said to be out of reach", async () => {
  const said = async (ports: string, entryPoints: string) => {
    const label = `traefik.http.routers.app.entrypoints=${entryPoints}`;
    const proxy = "--entrypoints.web.address=:80, --entrypoints.websecure.address=:8443]";
    const file = app(RULE, label).replace("--entrypoints.web.address=:80]", `${proxy}\n    ports: ${ports}`);
    return (await run({ "compose.yml": file }, "check")).out;
  };
  assert.match(
    await said("[ '80:80', '443:443' ]", "websecure"),
    /compose\.yml:10:9 warning .*is not reached from outside: it listens on websecure \(:8443\), and the ports that are published lead to 80, 443/,
  );
  assert.match(await said("[ '80:80', '443:443' ]", "web,websecure"), /no problems/);
  assert.match(await said("[ '443:8443' ]", "websecure"), /no problems/);
  assert.match(await said("[]", "websecure"), /no problems/);
});

test("weak TLS and an open dashboard are warnings, which --errors-only leaves out", async () => {
  const compose = app(
    "traefik.http.routers.d.rule=Host(`d.test`)",
    "traefik.http.routers.d.service=api@internal",
  )
    .replace("image: app", "image: app2")
    .replace("  app:\n", "  app:\n    command: x\n");
  const routes =
    "tls:\n  options:\n    old: { minVersion: VersionTLS10 }\n    weak: { cipherSuites: [TLS_RSA_WITH_AES_128_CBC_SHA] }\n";
  const both = await run({ "compose.yml": compose, "tls.yml": routes }, "check", "compose.yml", "tls.yml");
  assert.match(both.out, /tls\.yml:3:12 warning .*versions older than TLS 1\.2 are not spoken/);
  assert.match(both.out, /tls\.yml:4:5 warning .*allows weak ciphers: TLS_RSA_WITH_AES_128_CBC_SHA/);
  const own = `services:${PROXY.replace("--providers", "--api=true, --providers")}
    labels:
      - traefik.enable=true
      - traefik.http.routers.d.rule=Host(\`d.test\`)
      - traefik.http.routers.d.service=api@internal
      - traefik.http.services.x.loadbalancer.server.port=1
`;
  const open = await run({ "compose.yml": own }, "check");
  assert.match(open.out, /compose\.yml:8:9 warning .*shows the dashboard without a login/);
  assert.equal((await run({ "compose.yml": own }, "check", "--errors-only")).code, 0);
});

test("variables come from the environment, from .env, or from their defaults", async () => {
  const file = app(
    `traefik.http.routers.app.rule=Host(\`\${DOMAIN}\`) && PathPrefix(\`\${BASE:-/x}\`)`,
    "cost=$$5",
  );
  const files = { "compose.yml": file, ".env": "DOMAIN=app.test\n" };
  assert.equal((await run(files, "check")).code, 0);
  const { out } = await run({ "compose.yml": file }, "check");
  assert.match(out, /variable DOMAIN is not set here/);
});

test("a compose file with 100 services is checked within a second", async () => {
  const services = Array.from(
    { length: 100 },
    (_, i) => `  app${i}:
    image: app
    labels:
      - traefik.http.routers.app${i}.rule=Host(\`app${i}.test\`) && PathPrefix(\`/x\`)
      - traefik.http.routers.app${i}.middlewares=mw${i}
      - traefik.http.middlewares.mw${i}.headers.customrequestheaders.x-app=${i}
      - traefik.http.services.app${i}.loadbalancer.server.port=80
`,
  );
  const file = `services:${PROXY}\n${services.join("")}`;
  await run({ "compose.yml": app(RULE) }, "check");
  const before = process.cpuUsage();
  const { code, out } = await run({ "compose.yml": file }, "check");
  const { user, system } = process.cpuUsage(before);
  assert.equal(code, 0, out);
  assert.ok(user + system < 1_000_000, `${(user + system) / 1000} ms of processor time`);
});

test("AD-04 HD-20 hostile names are shown as text on one line", async () => {
  const hostile = "traefik.http.routers.<img src=x onerror=1>\u001b[31m\u202e.rul=x";
  const { out } = await run({ "compose.yml": app(hostile, RULE) }, "check");
  assert.doesNotMatch(out, /[\u001b\u202e]/);
  const { out: annotated } = await run({ "compose.yml": app(hostile, RULE) }, "check", "--format", "github");
  assert.doesNotMatch(annotated, /[\u001b\u202e]/);
});

test("secrets that are kept elsewhere are taken to be there", async () => {
  const file = app(
    RULE,
    "traefik.http.routers.app.middlewares=login",
    "traefik.http.middlewares.login.basicauth.users=file:/run/secrets/users",
  );
  const { code, out } = await run({ "compose.yml": file }, "check");
  assert.equal(code, 0, out);
});

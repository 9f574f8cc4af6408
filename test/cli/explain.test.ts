import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { Explanation } from "../../src/admin/shapes.ts";
import type { Shell } from "../../src/cli/command.ts";
import { main } from "../../src/cli/main.ts";
import { makeCertificate } from "../tls/certificates.ts";

const COMPOSE = `services:
  proxy:
    image: traefik:v3.7
    command: [--providers.docker=true, --entrypoints.web.address=:80, --entrypoints.websecure.address=:443]
  app:
    image: app
    labels:
      - traefik.http.routers.app.rule=Host(\`app.test\`) && PathPrefix(\`/api\`)
      - traefik.http.routers.app.entrypoints=web
      - traefik.http.routers.app.middlewares=login
      - traefik.http.middlewares.login.basicauth.users=user:$$2y$$05$$abcdefghijklmnopqrstuuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ
  db:
    image: db
    labels: [traefik.enable=false]
`;

const TWO = `services:
  proxy:
    image: traefik:v3.7
    command:
      - --providers.docker=true
      - --entrypoints.web.address=:80
      - --entrypoints.websecure.address=:443
      - --certificatesresolvers.le.acme.tlschallenge=true
  app:
    image: app
    labels:
      - traefik.http.routers.app.rule=Host(\`app.test\`) && PathPrefix(\`/api\`)
      - traefik.http.routers.app.entrypoints=web
      - traefik.http.routers.list.rule=Host(\`app.test\`) && PathPrefix(\`/list\`) && Method(\`GET\`)
      - traefik.http.routers.list.entrypoints=web
  pay:
    image: pay
    labels:
      - traefik.http.routers.pay.rule=Host(\`pay.test\`) && Method(\`POST\`)
      - traefik.http.routers.pay.entrypoints=websecure
      - traefik.http.routers.pay.tls.certresolver=le
`;

const RED = `services:
  proxy:
    image: traefik:v3.7
    command:
      - --api=true
      - --providers.docker=true
      - --entrypoints.web.address=:80
      - --entrypoints.websecure.address=:443
      - --entrypoints.web.http.redirections.entrypoint.to=websecure
    labels:
      - traefik.enable=true
      - traefik.http.routers.own.rule=Host(\`own.test\`)
      - traefik.http.routers.own.entrypoints=websecure
      - traefik.http.routers.own.tls=true
      - traefik.http.routers.own.service=api@internal
`;

const GUARD = `services:
  proxy:
    image: waybill
    command: [--providers.docker=true, --entrypoints.web.address=:80]
  app:
    image: app
    labels:
      - traefik.http.routers.app.rule=Host(\`app.test\`)
      - traefik.http.routers.app.service=app
      - traefik.http.services.app.loadbalancer.server.port=80
      - traefik.http.routers.admin.rule=Host(\`app.test\`) && PathPrefix(\`/admin\`)
      - traefik.http.routers.admin.service=app
      - traefik.http.routers.admin.entrypoints=webb
`;

const SLIPS = `services:
  proxy:
    image: waybill
    command: [--providers.docker=true, --entrypoints.web.address=:80]
  shop:
    image: shop
    labels: [waybil=shop.test]
  blog:
    image: blog
    labels: [traefik.http.routers.blog.rul=Host(\`blog.test\`)]
  pay:
    image: pay
    labels:
      - traefik.http.routers.pay.rule=Host(\`pay.test\`)
      - traefik.http.services.pay.loadbalancer.server.prot=80
`;

const files = new Map([
  ["/shop/slips.yml", SLIPS],
  ["/shop/compose.yml", COMPOSE],
  ["/shop/two.yml", TWO],
  ["/shop/red.yml", RED],
  ["/shop/guard.yml", GUARD],
]);

async function explain(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const shell: Shell = {
    env: new Map([["WAYBILL_API_TOKEN", "t"]]),
    cwd: "/shop",
    readFile(path) {
      const text = files.get(path);
      if (text !== undefined) return text;
      throw Object.assign(new Error(path), { code: "ENOENT" });
    },
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    askSecret: () => Promise.resolve(""),
  };
  const code = await main(["explain", ...argv], shell);
  return { code, out: out.join(""), err: err.join("") };
}

test("a request that is routed is followed to its servers, and the code is 0", async () => {
  const { code, out } = await explain("http://app.test/api/x", "--compose", "compose.yml");
  assert.equal(code, 0);
  assert.match(out, /^GET http:\/\/app\.test\/api\/x from 127\.0\.0\.1\nRouted by app@docker/);
  assert.match(out, /It comes in as plain HTTP on the entry point web \(:80\)\./);
  assert.match(out, /app@docker takes it: its rule matches/);
  assert.match(out, /It passes one middleware:\n {2}login@docker \(basicAuth\): users \["\*\*\*"\]/);
  assert.match(
    out,
    /It goes to the service app-shop@docker, whose servers are:\n {2}http:\/\/10\.\d+\.\d+\.\d+:80 is up\./,
  );
  assert.doesNotMatch(out, /\$2y\$/);
});

test("a request that is not routed says why, and the code is 1", async () => {
  const { code, out } = await explain("http://app.test/other", "--compose=compose.yml");
  assert.equal(code, 1);
  assert.match(
    out,
    /\nRouter app@docker does not take it: PathPrefix\(`\/api`\) does not hold: the path is \/other\./,
  );
  assert.match(out, /container shop-db-1: its label traefik\.enable says false/);
  const near = await explain("http://ap.test/", "--compose=compose.yml");
  assert.match(near.out, /did you mean app\.test\?/);
});

test("what comes nearest is the router that one change would win, and that change is said", async () => {
  const diagnose = async (...argv: string[]) =>
    (await explain(...argv, "--compose", "two.yml")).out.split("\n")[1];
  const rows = [
    [["http://app.test/apii/x"], /^Routed by app@docker/],
    [["http://app.test/API"], /^Router app@docker .*the path is \/API; did you mean \/api\?$/],
    [["http://app.test/pai"], /^Router app@docker .*the path is \/pai; did you mean \/api\?$/],
    [["http://app.test/list", "-X", "PUT"], /^Router list@docker .*the method is PUT\.$/],
    [
      ["https://app.test/api"],
      /^Router app@docker .*listens on web, and the request came in on websecure; ask http:\/\/app\.test\/api\.$/,
    ],
    [["http://pay.test/", "-X", "POST"], /^Router pay@docker .*; ask https:\/\/pay\.test\/\.$/],
    [["https://pay.test/"], /^Router pay@docker .*Method\(`POST`\) does not hold: the method is GET\.$/],
    [["http://payy.test/"], /^No router takes payy\.test on entry point web; did you mean pay\.test\?$/],
    [["http://wiki.test/"], /^No router takes wiki\.test on entry point web\.$/],
    [["http://pay.localhost/"], /; did you mean pay\.test\?$/],
  ] as const;
  for (const [argv, line] of rows) assert.match((await diagnose(...argv)) ?? "", line, argv.join(" "));
});

test("a redirection to HTTPS is said to be one, with where it leads, and our own services are ours", async () => {
  const { out, code } = await explain("http://own.test/x?y=1", "--compose", "red.yml");
  assert.equal(code, 0);
  assert.match(
    out,
    /\nWeb-to-websecure@internal redirects it; explain https:\/\/own\.test(?::443)?\/x\?y=1 to follow it\.\n/,
  );
  const own = await explain("https://own.test/", "--compose", "red.yml");
  assert.match(own.out, /It goes to the service api@internal, which is Waybill's own\./);
  // Only those that are shown are counted.
  const numbers = /the (?:one|\d+) tried before it/.exec(own.out)?.[0] ?? "it is tried first";
  const listed = own.out.match(/does not take it/g)?.length ?? 0;
  assert.equal(
    numbers,
    listed === 0 ? "it is tried first" : `the ${listed === 1 ? "one" : listed} tried before it`,
  );
});

test("the certificate that would be shown is named, also when the files alone cannot tell", async () => {
  const { out } = await explain("https://pay.test/", "-X", "POST", "--compose", "two.yml");
  assert.match(out, /\nThe certificate for pay\.test is got by the resolver le once Waybill runs\.\n/);
  const own = await explain("https://x.test/", "--compose", "two.yml", "--json");
  const { certificate } = JSON.parse(own.out) as Explanation;
  assert.match(
    certificate?.note ?? "",
    /no certificate for x\.test is known, so one of Waybill's own is shown/,
  );
});

test("certificates of tls.certificates are named, where their files can be read", async () => {
  const { chain, key } = await makeCertificate({ names: ["*.shop.test"], commonName: "shop" });
  files.set("/shop/certs/shop.pem", chain).set("/shop/certs/shop.key", key);
  const certificate = (name: string) => `{ certFile: /certs/${name}.pem, keyFile: /certs/${name}.key }`;
  files.set("/shop/routes.yml", `tls: { certificates: [ ${certificate("shop")}, ${certificate("away")} ] }`);
  files.set(
    "/shop/tls.yml",
    TWO.replace("    image: traefik:v3.7\n", "    image: traefik:v3.7\n    volumes: [./certs:/certs]\n"),
  );
  const shown = async (host: string) => {
    const { out } = await explain(
      `https://${host}/`,
      "--compose",
      "tls.yml",
      "--config",
      "routes.yml",
      "--json",
    );
    return (JSON.parse(out) as Explanation).certificate!;
  };
  assert.deepEqual((await shown("pay.shop.test")).names, ["*.shop.test"]);
  assert.match(
    (await shown("x.test")).note ?? "",
    /; a certificate of the files cannot be read here, and may/,
  );
});

test("a label that is mistyped is the answer, whether its container is routed otherwise or not at all", async () => {
  const said = async (host: string) =>
    (await explain(`http://${host}/`, "--compose", "slips.yml")).out.split("\n")[1];
  assert.equal(
    await said("shop.test"),
    'Container shop-shop-1 is routed elsewhere: label waybil: has no effect, because it begins with "waybil" (did you mean waybill?)',
  );
  assert.match(
    (await said("pay.test"))!,
    /^It is refused with 503 \(misconfigured\): router pay@docker is not in force: .*server\.prot: .*\(did you mean port\?\)$/,
  );
  assert.match(
    (await said("blog.test"))!,
    /^Container shop-blog-1 is not routed: label \S+blog\.rul: "rul" is not/,
  );
});

test("a router that no entry point has is told of where a broader one takes its requests", async () => {
  const { out } = await explain("http://app.test/admin", "--compose", "guard.yml");
  assert.match(
    out,
    /\nRouted by app@docker to app@docker, with a doubt: .* no entry point webb, .*\(did you mean web\?\)/,
  );
  assert.doesNotMatch((await explain("http://app.test/", "--compose", "guard.yml")).out, /with a doubt/);
  assert.doesNotMatch(out, /listens on ,/);
});

test("method, headers, client and entry point of the request may be said", async () => {
  const { out, code } = await explain(
    "https://app.test/api",
    "-X",
    "post",
    "-H",
    "X-A: b",
    "--from=192.0.2.9",
    "--entrypoint=web",
    "--compose=compose.yml",
    "--json",
  );
  const found = JSON.parse(out) as Explanation;
  assert.deepEqual(
    [found.request.method, found.request.from, found.entryPoint?.name, found.routed],
    ["POST", "192.0.2.9", "web", false],
  );
  assert.equal(code, 1);
});

test("a question that cannot be asked ends with code 2", async () => {
  for (const argv of [
    [],
    ["http://a", "http://b"],
    ["http://a", "--nope"],
    ["http://a", "-H"],
    ["http://a", "-H", "x"],
    ["http://a", "--compose", "missing.yml"],
    ["http://a", "--compose", "compose.yml", "--from", "me"],
    ["http://a", "--api", "http://127.0.0.1:1"],
  ]) {
    const { code, out, err } = await explain(...argv);
    assert.deepEqual([code, out], [2, ""], argv.join(" "));
    assert.notEqual(err, "");
  }
});

test("a running Waybill is asked through its API, with the token", async () => {
  const asked: string[] = [];
  let status = 200;
  const answer = {
    request: { method: "GET", url: "http://a/", from: "::1", scheme: "http" },
    routed: true,
    diagnosis: "routed",
    considered: [],
    consideredMore: 0,
    middlewares: [],
    servers: [],
    unavailable: [],
    nearest: [],
    leftOut: [],
  };
  const server = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization}`);
    response.writeHead(status).end(JSON.stringify(status === 200 ? answer : { message: "no such URL" }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}/base/`;
  const routed = await explain("http://a/?b=c", "--api", api, "-H", "X-A: b");
  assert.equal(routed.code, 0);
  assert.match(
    asked[0]!,
    /^\/base\/api\/explain\?url=http%3A%2F%2Fa%2F%3Fb%3Dc&method=GET&from=127\.0\.0\.1&header=X-A%3A\+b Bearer t$/,
  );
  status = 400;
  assert.match((await explain("http://a", "--api", api)).err, /no such URL/);
  status = 401;
  assert.match((await explain("http://a", "--api", api)).err, /asks for a login/);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { exportCertificates } from "../../src/acme/commands.ts";
import { resolverOptions } from "../acme/helpers.ts";
import { hasPebble, type Pebble, type PebbleOptions, startPebble } from "../acme/pebble.ts";
import { BUSYBOX_IMAGE, docker, importBusybox, skipWithoutContainers } from "../busybox-image.ts";
import { eventually, type Product } from "./harness.ts";
import {
  assertNoErrors,
  issuedIn,
  namesOf,
  resolverFlags,
  scratchFolder,
  secureApp,
  secureGet,
  shown,
  startFor,
} from "./https.ts";

/** HTTPS, whole: labels in, a real CA, our own sockets and threads. */

const HTTP = ["httpChallenge.entryPoint=web"];
const TLS = ["tlsChallenge=true"];

/** Until the host is served with a certificate of the CA, verified. */
async function served(product: Product, pebble: Pebble, host: string, seconds = 20): Promise<void> {
  const ca = await pebble.root(0);
  await eventually(async () => {
    const { status, body } = await secureGet(pebble.tlsPort, host, { ca });
    assert.equal(status, 200, body);
  }, seconds).catch((error: Error) => {
    const said = product.log.map(({ level, message }) => `${level} ${message}`).join("\n");
    throw new Error(`${host}: ${error.message}\n${said}`);
  });
}

async function begin(t: Parameters<typeof startPebble>[0], options: PebbleOptions = {}) {
  const pebble = await startPebble(t, options);
  return { pebble, storage: join(scratchFolder(t), "store") };
}

test("a label gets its certificate by HTTP-01 through a redirect and a login, and keeps it over a restart", async (t) => {
  if (!hasPebble(t)) return;
  const { pebble, storage } = await begin(t);
  const flags = [
    ...resolverFlags(pebble, storage, HTTP),
    "--entryPoints.web.http.redirections.entryPoint.to=websecure",
    "--entryPoints.web.http.redirections.entryPoint.scheme=https",
  ];
  const login = {
    "traefik.http.middlewares.login.basicauth.users": "a:$apr1$8UY9u8Gx$8O1zgzJOKHkWYy2GxRJ1k1",
  };
  const guarded = secureApp("guarded.example.com", {
    ...login,
    "traefik.http.routers.guarded.middlewares": "login",
    // The same host on the plain entry point, guarded too.
    "traefik.http.routers.plain.rule": "Host(`guarded.example.com`)",
    "traefik.http.routers.plain.entrypoints": "web",
    "traefik.http.routers.plain.middlewares": "login",
  });
  const containers = [secureApp("app.example.com"), guarded];
  const first = await startFor(t, { flags, containers });
  await served(first, pebble, "app.example.com");
  await eventually(async () => {
    const { status } = await secureGet(pebble.tlsPort, "guarded.example.com", { ca: await pebble.root(0) });
    assert.equal(status, 401);
  }, 20);
  const redirected = await first.get("app.example.com", "/a?b=c");
  assert.equal(redirected.status, 301);
  assert.equal(redirected.headers["location"], `https://app.example.com:${pebble.tlsPort}/a?b=c`);
  const metrics = first.runtime.metrics();
  assert.match(metrics, /^traefik_tls_certs_not_after\{.*sans="app\.example\.com".*\} \d/m);
  assert.match(metrics, /^waybill_certificate_orders_total\{resolver="le"\} 2$/m);
  assert.match(metrics, /^waybill_certificate_failures_total\{resolver="le"\} 0$/m);
  const serial = (await shown(pebble.tlsPort, "app.example.com")).serialNumber;
  assert.equal(issuedIn(first), 2);
  assertNoErrors(first);
  await first[Symbol.asyncDispose]();

  const root = await pebble.root(0);
  pebble.kill();
  const second = await startFor(t, { flags, containers });
  const { status } = await secureGet(pebble.tlsPort, "app.example.com", { ca: root });
  assert.equal(status, 200, "it is served from the first request on");
  assert.equal((await shown(pebble.tlsPort, "app.example.com")).serialNumber, serial);
  assert.equal(issuedIn(second), 0);
});

test("PR-17 tokens that are not ours go to the application", async (t) => {
  if (!hasPebble(t)) return;
  const { pebble, storage } = await begin(t);
  const flags = resolverFlags(pebble, storage, HTTP);
  const plain = {
    "traefik.http.routers.plain.rule": "Host(`app.example.com`)",
    "traefik.http.routers.plain.entrypoints": "web",
  };
  const product = await startFor(t, { flags, containers: [secureApp("app.example.com", plain)] });
  const path = "/.well-known/acme-challenge/of-somebody-else";
  const asked = async () => {
    const { status, body } = await product.get("app.example.com", path);
    assert.equal(status, 200);
    assert.match(body, /^Name: app$/m);
  };
  await asked();
  await served(product, pebble, "app.example.com");
  await asked();
});

test("a certificate is got by TLS-ALPN-01 on the port that serves HTTPS", async (t) => {
  if (!hasPebble(t)) return;
  const { pebble, storage } = await begin(t);
  const product = await startFor(t, {
    flags: resolverFlags(pebble, storage, TLS),
    containers: [secureApp("alpn.example.com")],
  });
  await served(product, pebble, "alpn.example.com");
  assertNoErrors(product);
});

test("AC-24 hosts of one rule have a certificate each, and what is removed is served no more and kept", async (t) => {
  if (!hasPebble(t)) return;
  const { pebble, storage } = await begin(t);
  const rule = "Host(`one.example.com`) || Host(`two.example.com`)";
  const product = await startFor(t, { flags: resolverFlags(pebble, storage, HTTP) });
  const added = await product.demo.engine.add(
    secureApp("one.example.com", { "traefik.http.routers.one.rule": rule }),
  );
  await served(product, pebble, "one.example.com");
  await served(product, pebble, "two.example.com");
  assert.deepEqual(namesOf(await shown(pebble.tlsPort, "two.example.com")), ["two.example.com"]);
  const issuance = () =>
    product.runtime
      .issuance()
      .flatMap(({ names }) => names)
      .sort();
  assert.deepEqual(issuance(), ["one.example.com", "two.example.com"]);
  await product.demo.engine.remove(added);
  await eventually(() => assert.deepEqual(issuance(), [], "nobody looks after it any more"));
  assert.deepEqual(namesOf(await shown(pebble.tlsPort, "one.example.com")), ["one.example.com"]);
});

test("an acme.json of Traefik is served at once, without an order", async (t) => {
  if (!hasPebble(t)) return;
  const { pebble, storage } = await begin(t);
  const containers = [secureApp("moved.example.com")];
  const first = await startFor(t, { flags: resolverFlags(pebble, storage, HTTP), containers });
  await served(first, pebble, "moved.example.com");
  await first[Symbol.asyncDispose]();
  const file = join(scratchFolder(t), "acme.json");
  const resolvers = new Map([["le", resolverOptions({ storage, caServer: pebble.directory })]]);
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  assert.equal(await exportCertificates({ resolvers, environment: {}, log: quiet }, "traefik", file), 1);

  const root = await pebble.root(0);
  pebble.kill();
  const second = await startFor(t, { flags: resolverFlags(pebble, file, HTTP), containers });
  assert.equal((await secureGet(pebble.tlsPort, "moved.example.com", { ca: root })).status, 200);
  assert.equal(issuedIn(second), 0);
  assert.ok(second.log.some(({ message }) => message === "imported Traefik's certificates"));
  assert.ok(readdirSync(file.replace(".json", "")).includes("certs"), "kept beside the file from now on");
});

test("an external account and a preferred chain are what labels' resolvers say", async (t) => {
  if (!hasPebble(t)) return;
  const hmac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
  const { pebble, storage } = await begin(t, {
    eab: { "kid-1": hmac },
    environment: { PEBBLE_ALTERNATE_ROOTS: "1" },
  });
  const root = await pebble.root(1);
  const { X509Certificate } = await import("node:crypto");
  const preferred = /CN=(.*)/.exec(new X509Certificate(root).subject)![1]!;
  const options = [...HTTP, "eab.kid=kid-1", `eab.hmacEncoded=${hmac}`, `preferredChain=${preferred}`];
  const product = await startFor(t, {
    flags: resolverFlags(pebble, storage, options),
    containers: [secureApp("bound.example.com")],
  });
  await eventually(async () => {
    assert.equal((await secureGet(pebble.tlsPort, "bound.example.com", { ca: root })).status, 200);
  }, 20);
  assertNoErrors(product);
});

for (const [nonces, reuse] of [
  ["0", "100"],
  ["5", "0"],
  ["60", "0"],
] as const) {
  test(`AC-04 AC-10 ten hosts are served while ${nonces} % of nonces are refused and ${reuse} % of proofs reused`, async (t) => {
    if (!hasPebble(t)) return;
    const environment = { PEBBLE_WFE_NONCEREJECT: nonces, PEBBLE_AUTHZREUSE: reuse };
    const { pebble, storage } = await begin(t, { environment });
    const hosts = Array.from({ length: 10 }, (_, i) => `nonce${i}.example.com`);
    const product = await startFor(t, {
      flags: resolverFlags(pebble, storage, HTTP),
      containers: hosts.map((host) => secureApp(host)),
    });
    for (const host of hosts) await served(product, pebble, host, 60);
    assert.equal(issuedIn(product), 10);
    assertNoErrors(product);
  });
}

test("the short form with a resolver is HTTPS with a redirect", async (t) => {
  if (!hasPebble(t)) return;
  const { pebble, storage } = await begin(t);
  const product = await startFor(t, {
    flags: [...resolverFlags(pebble, storage, HTTP), "--entryPoints.websecure.http.tls.certResolver=le"],
    containers: [{ name: "short", labels: { waybill: "short.example.com" } }],
  });
  await served(product, pebble, "short.example.com");
  const { status, headers } = await product.get("short.example.com", "/x?y=z");
  assert.equal(status, 301);
  assert.match(String(headers["location"]), /^https:\/\/short\.example\.com(:\d+)?\/x\?y=z$/);
  assertNoErrors(product);
});

test("the resolver called internal serves *.localhost with a certificate of its own authority", async (t) => {
  const storage = join(scratchFolder(t), "store");
  const host = "whoami.localhost";
  const flags = [
    "--entryPoints.websecure.address=127.0.0.1:0",
    `--certificatesResolvers.le.acme.storage=${storage}`,
  ];
  const product = await startFor(t, { flags, containers: [secureApp(host, {}, "internal")] });
  const { internalRoot } = await import("../../src/acme/commands.ts");
  const resolvers = new Map([["le", resolverOptions({ storage })]]);
  const ca = await internalRoot({
    resolvers,
    environment: {},
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  await eventually(async () => {
    assert.equal((await secureGet(product.ports.get("websecure")!, host, { ca })).status, 200);
  });
  assertNoErrors(product);
});

test(
  "a real container on a real engine is served over HTTPS by its labels alone",
  skipWithoutContainers(),
  async (t) => {
    if (!hasPebble(t)) return;
    await importBusybox();
    const { pebble, storage } = await begin(t);
    const mark = `waybill-https-${process.pid}`;
    const product = await startFor(t, {
      flags: [
        ...resolverFlags(pebble, storage, HTTP),
        "--providers.docker.endpoint=unix:///var/run/docker.sock",
        // Other tests use the same engine.
        `--providers.docker.constraints=Label(\`e2e.test\`, \`${mark}\`)`,
      ],
    });
    t.after(() => docker(["rm", "-f", mark]));
    const { labels } = secureApp("real.example.com");
    const flags = Object.entries({ ...labels, "e2e.test": mark }).flatMap(([key, value]) => [
      "-l",
      `${key}=${value}`,
    ]);
    await docker(["run", "-d", "--name", mark, "--hostname", "real", ...flags, BUSYBOX_IMAGE]);
    await served(product, pebble, "real.example.com", 30);
    const { body } = await secureGet(pebble.tlsPort, "real.example.com", { ca: await pebble.root(0) });
    assert.match(body, /^real$/m);
    assertNoErrors(product);
  },
);

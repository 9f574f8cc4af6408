import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { compareCase, compareFields, recordedCases } from "../../scripts/compare-api.ts";
import { PAGES } from "../../src/admin/openapi.ts";
import type { CertificateView } from "../../src/model/certificate-view.ts";
import type { ServerState } from "../../src/model/report.ts";
import { openSite } from "./site.ts";

/** What clients made for Traefik read; what the answers must hold was worked out from its documentation. */
const GOLDEN = join(import.meta.dirname, "..", "golden", "api");

const YAML = {
  docker: `
http:
  routers:
    shop:
      rule: Host(\`shop.example.com\`)
      entryPoints: [web]
      middlewares: [gate, slow]
      service: shop
    secure:
      rule: Host(\`shop.example.com\`) && PathPrefix(\`/pay\`)
      entryPoints: [web]
      service: shop
      priority: 1000
      tls: { certResolver: le }
    lost:
      rule: Host(\`lost.example.com\`)
      service: nobody
  services:
    shop:
      loadBalancer:
        servers: [{ url: http://10.0.0.2:80 }, { url: http://10.0.0.3:80, weight: 3 }]
        healthCheck: { path: /health, interval: 10s, timeout: 1m40s }
        sticky: { cookie: { name: shop, httpOnly: true } }
    split:
      weighted: { services: [{ name: shop, weight: 2 }] }
  middlewares:
    gate:
      basicAuth: { users: ["ann:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"] }
    slow:
      rateLimit: { average: 10, burst: 20, period: 1s }
`,
};

const CERTIFICATE: CertificateView = {
  id: "ab".repeat(32),
  names: ["www.example.com", "example.com"],
  commonName: "example.com",
  issuerCommonName: "R10",
  issuerOrganization: "Let's Encrypt",
  issuerCountry: "US",
  organization: "",
  country: "",
  serialNumber: "12345678901234567890",
  notBeforeMs: Date.UTC(2026, 0, 1),
  notAfterMs: Date.UTC(2099, 0, 1),
  version: "3",
  keyType: "ECDSA",
  keyBits: 256,
  signatureAlgorithm: "ECDSA-SHA384",
  publicKeyFingerprint: "cd".repeat(32),
  source: "le",
};

const server = (url: string, healthy: boolean): ServerState => ({
  service: "shop@docker",
  server: { id: url, scheme: "http", host: "", port: 80, path: "", weight: 1, url, workload: undefined },
  healthy,
  ejected: false,
  inFlight: 0,
});

const FLAGS = [
  "--certificatesResolvers.le.acme.email=me@example.com",
  "--certificatesResolvers.le.acme.tlsChallenge",
];
const open = () =>
  openSite({
    yaml: YAML,
    flags: FLAGS,
    certificates: [CERTIFICATE],
    servers: [server("http://10.0.0.2:80", true), server("http://10.0.0.3:80", false)],
  });

for (const recorded of recordedCases) {
  test(`Traefik's answers about ${recorded.name} are given field by field`, async () => {
    assert.ok(recorded.answers.length > 5);
    assert.deepEqual(await compareCase(recorded), []);
  });
}

test("the comparison sees what is missing, of another type, or in another order", () => {
  const differs = (expected: unknown, found: unknown) => compareFields(expected, found, "/x").length;
  assert.equal(differs({ a: 1, b: ["x"] }, { b: ["x"], a: 1, ours: true }), 0);
  assert.equal(differs({ a: 1 }, { a: "1" }), 1);
  assert.equal(differs({ a: { b: 1 } }, { a: {} }), 1);
  assert.equal(differs(["a", "b"], ["b", "a"]), 2);
  assert.equal(differs([{ name: "a", x: 1 }], [{ name: "b" }, { name: "a", x: 1 }]), 0);
  assert.equal(differs([{ name: "a" }], [{ name: "b" }]), 1);
  assert.equal(differs([], [1]), 1);
  assert.equal(differs("<any>", undefined), 1);
});

test("the file for those who help holds version, settings and configuration, and no secret", async () => {
  await using site = await openSite({
    yaml: YAML,
    flags: [...FLAGS, "--api.auth.token=very-secret-token-1"],
  });
  const reply = await fetch(`http://127.0.0.1:${site.port}/api/support-dump`, {
    headers: { authorization: "Bearer very-secret-token-1" },
  });
  const folder = mkdtempSync(join(tmpdir(), "waybill-dump-"));
  writeFileSync(join(folder, "dump.tar.gz"), Buffer.from(await reply.arrayBuffer()));
  execFileSync("tar", ["-xzf", "dump.tar.gz"], { cwd: folder });
  const read = (name: string) => readFileSync(join(folder, name), "utf8");
  const [version, settings, runtime] = ["version", "static-config", "runtime-config"].map((name) =>
    read(`${name}.json`),
  );
  rmSync(folder, { recursive: true });
  assert.equal((JSON.parse(version!) as { Version: string }).Version, "1.2.3");
  assert.match(settings!, /"entryPoints\.web\.address"/);
  assert.match(runtime!, /"shop@docker"/);
  assert.doesNotMatch(settings! + runtime!, /very-secret|\$apr1\$/);
});

const RECORDED = [
  ["overview", "/api/overview"],
  ["rawdata", "/api/rawdata"],
  ["version", "/api/version"],
  ["routers", "/api/http/routers"],
  ["router", "/api/http/routers/shop@docker"],
  ["services", "/api/http/services"],
  ["service", "/api/http/services/shop@docker"],
  ["middlewares", "/api/http/middlewares"],
  ["middleware", "/api/http/middlewares/slow@docker"],
  ["tcp-routers", "/api/tcp/routers"],
  ["udp-services", "/api/udp/services"],
  ["certificates", "/api/certificates"],
] as const;

for (const [name, path] of RECORDED) {
  test(`${path} answers as recorded`, async () => {
    await using site = await open();
    const { status, headers, body } = await site.ask(path);
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "application/json");
    const file = join(GOLDEN, `${name}.json`);
    const found = `${JSON.stringify(JSON.parse(body), undefined, 2)}\n`;
    if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, found);
    assert.equal(found, readFileSync(file, "utf8"));
  });
}

test("every page of the OpenAPI document answers", async () => {
  await using site = await open();
  const { body } = await site.ask("/api/openapi.json");
  const document = JSON.parse(body) as { paths: Record<string, unknown> };
  assert.deepEqual(
    Object.keys(document.paths),
    PAGES.map(({ path }) => path),
  );
  const names = new Map([
    ["/api/entrypoints/{name}", "web"],
    ["/api/http/routers/{name}", "shop@docker"],
    ["/api/http/services/{name}", "shop@docker"],
    ["/api/http/middlewares/{name}", "gate@docker"],
    ["/api/certificates/{name}", CERTIFICATE.id],
  ]);
  for (const { path, stream } of PAGES) {
    if (stream) continue;
    const query = path === "/api/explain" ? "?url=http://shop.example.com/" : "";
    const { status } = await site.ask(path.replace("{name}", names.get(path) ?? "") + query);
    assert.equal(status, 200, path);
  }
});

test("lists are searched, filtered, sorted and cut as Traefik's are", async () => {
  await using site = await open();
  const names = async (query: string) => {
    const { body } = await site.ask(`/api/http/routers?${query}`);
    return (JSON.parse(body) as { name: string }[]).map(({ name }) => name);
  };
  assert.deepEqual(await names("search=SHOP.example"), ["secure@docker", "shop@docker"]);
  assert.deepEqual(await names("status=DISABLED"), ["lost@docker"]);
  assert.deepEqual(await names("serviceName=shop@docker&sortBy=name&direction=desc"), [
    "shop@docker",
    "secure@docker",
  ]);
  assert.deepEqual(await names("middlewareName=gate@docker"), ["shop@docker"]);
  assert.deepEqual(await names("search=docker&sortBy=priority"), [
    "lost@docker",
    "shop@docker",
    "secure@docker",
  ]);
  const first = await site.ask("/api/http/routers?per_page=2");
  assert.equal(first.headers["x-next-page"], "2");
  const last = await site.ask("/api/http/routers?per_page=4&page=2");
  assert.equal(last.headers["x-next-page"], "1");
});

test("errors have Traefik's statuses and words", async () => {
  await using site = await open();
  const errors = [
    ["/api/http/routers/none@docker", 404, "router not found: none@docker"],
    ["/api/http/services/none@docker", 404, "service not found: none@docker"],
    ["/api/http/middlewares/none@docker", 404, "middleware not found: none@docker"],
    ["/api/entrypoints/none", 404, "entry point not found: none"],
    ["/api/certificates/none", 404, "certificate not found: none"],
    ["/api/http/routers?page=0", 400, "invalid request: page: 0"],
    ["/api/http/routers?per_page=x", 400, "invalid request: per_page: x"],
    ["/api/http/routers?page=9", 400, "invalid request: page: 9, per_page: 100"],
    ["/api/http/routers/%zz", 400, "unable to decode %zz"],
    ["/api/http", 404, "there is nothing here"],
    ["/api/http/routers/shop@docker/more", 404, "there is nothing here"],
    ["/api", 404, "there is nothing here"],
  ] as const;
  for (const [path, status, message] of errors) {
    const answer = await site.ask(path);
    assert.equal(answer.status, status, path);
    assert.equal(answer.body, `${JSON.stringify({ message })}\n`);
    assert.match(answer.headers["content-type"]!, /^text\/plain/);
    assert.equal(answer.headers["x-content-type-options"], "nosniff");
  }
});

test("AD-06 no page of the API shows a secret", async () => {
  await using site = await openSite({
    yaml: YAML,
    flags: [
      ...FLAGS,
      "--api.auth.token=very-secret-token-1",
      "--providers.docker.endpoint=http://127.0.0.1:9",
      "--providers.docker.username=me",
      "--providers.docker.password=very-secret-2",
    ],
  });
  const headers = { authorization: "Bearer very-secret-token-1" };
  for (const { path, stream } of PAGES) {
    if (stream || path.includes("{name}")) continue;
    const query = path === "/api/explain" ? "?url=http://shop.example.com/" : "";
    const { status, body } = await site.ask(path + query, { headers });
    assert.equal(status, 200, path);
    assert.doesNotMatch(body, /very-secret|\$apr1\$|PRIVATE KEY/, path);
  }
});

test("each setting says what it is for and who set it", async () => {
  await using site = await open();
  const { body } = await site.ask("/api/settings");
  const settings = JSON.parse(body) as {
    option: string;
    value: unknown;
    source: string;
    place: string;
    doc: string;
  }[];
  const address = settings.find(({ option }) => option === "entryPoints.web.address");
  assert.deepEqual(address, {
    option: "entryPoints.web.address",
    value: ":80",
    source: "flag",
    place: "--entryPoints.web.address",
    doc: "Where it listens: `[host]:port`.",
  });
  assert.ok(settings.every(({ doc }) => doc !== ""));
});

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { systemClock } from "../../src/acme/clock.ts";
import { acmeDns } from "../../src/acme/dns/acme-dns.ts";
import { cloudflare } from "../../src/acme/dns/cloudflare.ts";
import { desec } from "../../src/acme/dns/desec.ts";
import { digitalocean } from "../../src/acme/dns/digitalocean.ts";
import { duckdns } from "../../src/acme/dns/duckdns.ts";
import { exec } from "../../src/acme/dns/exec.ts";
import { gandi } from "../../src/acme/dns/gandi.ts";
import { hetzner } from "../../src/acme/dns/hetzner.ts";
import { httpreq } from "../../src/acme/dns/httpreq.ts";
import { ovh } from "../../src/acme/dns/ovh.ts";
import { type DnsRecord, type ProviderKind, Variables } from "../../src/acme/dns/provider.ts";
import { route53, sign } from "../../src/acme/dns/route53.ts";
import { dnsSolver } from "../../src/acme/dns/solver.ts";

const NAME = "_acme-challenge.app.example.com";
const record = (value: string, name = NAME): DnsRecord => ({
  name,
  value,
  domain: "app.example.com",
  token: "token",
  keyAuthorization: "token.thumb",
});

interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

type Answer = { status?: number; body?: unknown };

/** A provider's API in miniature: each test says what it answers, and looks at what it was asked. */
async function fakeApi(t: TestContext, answer: (call: Call, json: unknown) => Answer) {
  const calls: Call[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const call = { method: request.method!, path: request.url!, headers: request.headers, body };
    calls.push(call);
    const { status = 200, body: reply = {} } = answer(
      call,
      body.startsWith("{") || body.startsWith("[") ? JSON.parse(body) : undefined,
    );
    response.writeHead(status).end(typeof reply === "string" ? reply : JSON.stringify(reply));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close().closeAllConnections());
  const { port } = server.address() as { port: number };
  return { url: `http://127.0.0.1:${port}`, calls };
}

const make = (kind: ProviderKind, variables: Record<string, string>) =>
  kind.create(new Variables(new Map(), variables), { clock: systemClock });

/** Two values under one name come and go without hurting each other. */
async function twoValues(provider: ReturnType<typeof make>, values: () => readonly string[]) {
  await provider.present(record("one"));
  await provider.present(record("two"));
  assert.deepEqual([...values()].sort(), ["one", "two"]);
  await provider.cleanUp(record("one"));
  assert.deepEqual(values(), ["two"]);
  await provider.cleanUp(record("two"));
  assert.deepEqual(values(), []);
}

test("cloudflare: records are added and removed in the zone that holds the name", async (t) => {
  const held = new Map<string, string>();
  const { url, calls } = await fakeApi(t, ({ method, path }, json) => {
    if (path.startsWith("/zones?"))
      return { body: { result: path.endsWith("=example.com") ? [{ id: "z1" }] : [] } };
    if (method === "POST") held.set(`r${held.size}${Math.random()}`, (json as { content: string }).content);
    if (method === "DELETE") held.delete(path.split("/").at(-1)!);
    return { body: { result: [...held].map(([id, content]) => ({ id, content })) } };
  });
  const provider = make(cloudflare, { CF_DNS_API_TOKEN: "secret", CLOUDFLARE_BASE_URL: url });
  await twoValues(provider, () => [...held.values()].map((content) => content.replaceAll('"', "")));
  assert.ok(calls.every(({ headers }) => headers.authorization === "Bearer secret"));
  assert.ok(calls.some(({ path }) => path === "/zones/z1/dns_records"));
  const posts = () => calls.filter(({ method }) => method === "POST").length;
  const before = posts();
  await provider.present(record("again"));
  await provider.present(record("again"));
  assert.equal(posts() - before, 1, "what a resumed order finds is not added twice");
});

test("digitalocean: records are added and removed under the zone", async (t) => {
  const held = new Map<number, string>();
  let next = 1;
  const { url } = await fakeApi(t, ({ method, path }, json) => {
    if (/^\/v2\/domains\/[^/]+$/.test(path)) return { status: path.endsWith("/example.com") ? 200 : 404 };
    if (method === "POST") {
      assert.equal((json as { name: string }).name, "_acme-challenge.app");
      held.set(next++, (json as { data: string }).data);
    }
    if (method === "DELETE") held.delete(Number(path.split("/").at(-1)));
    return { body: { domain_records: [...held].map(([id, data]) => ({ id, data })) } };
  });
  await twoValues(make(digitalocean, { DO_AUTH_TOKEN: "x", DO_API_URL: url }), () => [...held.values()]);
});

test("hetzner: values are added to and removed from the record set", async (t) => {
  const held = new Set<string>();
  const { url } = await fakeApi(t, ({ path }, json) => {
    if (/^\/zones\/[^/]+$/.test(path)) return { status: path.endsWith("/example.com") ? 200 : 404 };
    assert.match(path, /^\/zones\/example\.com\/rrsets\/_acme-challenge\.app\/TXT\/actions\//);
    for (const { value } of (json as { records: { value: string }[] }).records) {
      if (path.endsWith("add_records")) held.add(value);
      else held.delete(value);
    }
    return { status: 201 };
  });
  const provider = make(hetzner, { HETZNER_API_TOKEN: "x", HETZNER_API_URL: url });
  await twoValues(provider, () => [...held].map((value) => value.replaceAll('"', "")));
});

test("desec: the whole record set is written, and emptied", async (t) => {
  let held: string[] = [];
  const { url, calls } = await fakeApi(t, ({ method, path }, json) => {
    if (/^\/domains\/[^/]+\/$/.test(path)) return { status: path === "/domains/example.com/" ? 200 : 404 };
    if (method === "PUT") held = (json as { records: string[] }[])[0]!.records;
    return held.length === 0 && method === "GET" ? { status: 404 } : { body: { records: held } };
  });
  const provider = make(desec, { DESEC_TOKEN: "x", DESEC_API_URL: url });
  await twoValues(provider, () => held.map((value) => value.replaceAll('"', "")));
  assert.equal(calls[0]!.headers.authorization, "Token x");
});

test("gandiv5: the whole record set is written, and removed when it is empty", async (t) => {
  let held: string[] = [];
  const { url } = await fakeApi(t, ({ method, path }, json) => {
    if (/^\/domains\/[^/]+$/.test(path)) return { status: path === "/domains/example.com" ? 200 : 404 };
    if (method === "PUT") held = (json as { rrset_values: string[] }).rrset_values;
    if (method === "DELETE") held = [];
    return held.length === 0
      ? { status: method === "GET" ? 404 : 204, body: "" }
      : { body: { rrset_values: held.map((one) => `"${one}"`) } };
  });
  await twoValues(make(gandi, { GANDIV5_PERSONAL_ACCESS_TOKEN: "x", GANDIV5_API_URL: url }), () => held);
});

test("duckdns: the one value is set and cleared, and its complaint is an error", async (t) => {
  let held = "";
  const { url } = await fakeApi(t, ({ path }) => {
    const query = new URL(path, "http://x").searchParams;
    if (query.get("token") !== "good") return { body: "KO" };
    assert.equal(query.get("domains"), "home");
    held = query.get("txt")!;
    return { body: "OK" };
  });
  const home = (value: string) => record(value, "_acme-challenge.home.duckdns.org");
  const provider = make(duckdns, { DUCKDNS_TOKEN: "good", DUCKDNS_API_URL: url });
  await provider.present(home("one"));
  assert.equal(held, "one");
  await provider.cleanUp(home("one"));
  assert.equal(held, "");
  const refused = make(duckdns, { DUCKDNS_TOKEN: "bad", DUCKDNS_API_URL: url });
  await assert.rejects(refused.present(home("one")), /KO/);
});

test("ovh: requests are signed and the zone is refreshed", async (t) => {
  const held = new Map<number, string>();
  let next = 1;
  const { url, calls } = await fakeApi(t, ({ method, path, headers, body }, json) => {
    const signed = ["secret", "consumer", method, `${url}${path}`, body, headers["x-ovh-timestamp"]].join(
      "+",
    );
    assert.equal(headers["x-ovh-signature"], `$1$${createHash("sha1").update(signed).digest("hex")}`);
    if (/^\/domain\/zone\/[^/]+$/.test(path)) return { status: path.endsWith("/example.com") ? 200 : 404 };
    if (path.endsWith("/refresh")) return {};
    const id = Number(/\/record\/(\d+)$/.exec(path)?.[1]);
    if (method === "POST") held.set(next++, (json as { target: string }).target);
    if (method === "DELETE") held.delete(id);
    return { body: Number.isNaN(id) ? [...held.keys()] : { id, target: held.get(id) } };
  });
  const provider = make(ovh, {
    OVH_ENDPOINT: url,
    OVH_APPLICATION_KEY: "app",
    OVH_APPLICATION_SECRET: "secret",
    OVH_CONSUMER_KEY: "consumer",
  });
  await twoValues(provider, () => [...held.values()].map((target) => target.replaceAll('"', "")));
  assert.equal(calls.filter(({ path }) => path.endsWith("/refresh")).length, 4);
});

test("route53: the record set is written with all values, and deleted as it is", async (t) => {
  let held: string[] = [];
  const { url } = await fakeApi(t, ({ method, path, headers, body }) => {
    assert.match(
      headers.authorization ?? "",
      /^AWS4-HMAC-SHA256 Credential=id\/\d{8}\/us-east-1\/route53\/aws4_request/,
    );
    if (path.includes("hostedzonesbyname")) {
      const zone = "<HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name></HostedZone>";
      return { body: `<x>${zone}</x>` };
    }
    if (method === "POST") {
      const values = [...body.matchAll(/<Value>"(.*?)"<\/Value>/g)].map(([, value]) => value!);
      held = body.includes("<Action>DELETE") ? held.filter((one) => !values.includes(one)) : values;
    }
    const values = held
      .map((value) => `<ResourceRecord><Value>&quot;${value}&quot;</Value></ResourceRecord>`)
      .join("");
    const set = `<ResourceRecordSet><Name>${NAME}.</Name><Type>TXT</Type><TTL>120</TTL>${values}</ResourceRecordSet>`;
    return { body: `<x>${held.length > 0 ? set : ""}</x>` };
  });
  const credentials = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "s", AWS_ENDPOINT_URL_ROUTE_53: url };
  await twoValues(make(route53, credentials), () => held);
});

test("route53: the signature is the one in the worked example of AWS's documentation", () => {
  const credentials = {
    id: "AKIDEXAMPLE",
    secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    session: undefined,
  };
  const at = Date.UTC(2015, 7, 30, 12, 36, 0);
  const url = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08";
  const form = { "content-type": "application/x-www-form-urlencoded; charset=utf-8" };
  const { authorization } = sign("GET", url, "", credentials, at, "iam", form);
  assert.match(authorization!, /Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7$/);
});

test("httpreq: lego's two requests are sent, in both modes", async (t) => {
  const { url, calls } = await fakeApi(t, () => ({}));
  const provider = make(httpreq, { HTTPREQ_ENDPOINT: url, HTTPREQ_USERNAME: "u", HTTPREQ_PASSWORD: "p" });
  await provider.present(record("one"));
  await make(httpreq, { HTTPREQ_ENDPOINT: url, HTTPREQ_MODE: "RAW" }).cleanUp(record("one"));
  assert.deepEqual(
    calls.map(({ method, path, body }) => [method, path, JSON.parse(body)]),
    [
      ["POST", "/present", { fqdn: `${NAME}.`, value: "one" }],
      ["POST", "/cleanup", { domain: "app.example.com", token: "token", keyAuth: "token.thumb" }],
    ],
  );
  assert.equal(calls[0]!.headers.authorization, `Basic ${Buffer.from("u:p").toString("base64")}`);
});

test("exec: the program is called as lego calls it, and its complaint is passed on", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "waybill-exec-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, "hook");
  writeFileSync(
    program,
    `#!/bin/sh\necho "$@" >> ${folder}/calls\n[ "$3" = bad ] && { echo no such zone >&2; exit 1; }\nexit 0\n`,
  );
  chmodSync(program, 0o755);
  const provider = make(exec, { EXEC_PATH: program });
  await provider.present(record("one"));
  await make(exec, { EXEC_PATH: program, EXEC_MODE: "RAW" }).cleanUp(record("one"));
  await assert.rejects(provider.present(record("bad")), /no such zone/);
  const calls = readFileSync(join(folder, "calls"), "utf8").split("\n");
  assert.deepEqual(calls.slice(0, 2), [
    `present ${NAME}. one`,
    "cleanup -- app.example.com token token.thumb",
  ]);
});

test("acme-dns: a new name is registered and its CNAME asked for; a known one is updated", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "waybill-acmedns-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const account = { fulldomain: "d42.auth.example.org", subdomain: "d42", username: "u", password: "p" };
  const { url, calls } = await fakeApi(t, ({ path }) => ({ body: path === "/register" ? account : {} }));
  const file = join(folder, "accounts.json");
  const provider = make(acmeDns, { ACME_DNS_API_BASE: url, ACME_DNS_STORAGE_PATH: file });
  await assert.rejects(
    provider.present(record("one")),
    /_acme-challenge\.app\.example\.com\. CNAME d42\.auth\.example\.org\./,
  );
  await provider.present(record("one"));
  assert.deepEqual(JSON.parse(calls.at(-1)!.body), { subdomain: "d42", txt: "one" });
  assert.equal(calls.at(-1)!.headers["x-api-key"], "p");
});

test("a missing variable, a refused token and an unknown provider each say what to do", async (t) => {
  assert.throws(
    () => make(cloudflare, {}),
    /CF_DNS_API_TOKEN or CLOUDFLARE_DNS_API_TOKEN \(or CF_DNS_API_TOKEN_FILE\)/,
  );
  const { url } = await fakeApi(t, () => ({ status: 403, body: "token revoked" }));
  const refused = make(cloudflare, { CF_DNS_API_TOKEN: "x", CLOUDFLARE_BASE_URL: url });
  await assert.rejects(refused.present(record("one")), /answered 403: token revoked/);
  const nowhere = make(httpreq, { HTTPREQ_ENDPOINT: "http://127.0.0.1:1" });
  await assert.rejects(nowhere.present(record("one")), /could not be reached/);
  const options = { provider: "godaddy", credentials: new Map(), resolvers: [] } as unknown as Parameters<
    typeof dnsSolver
  >[0];
  assert.throws(
    () => dnsSolver(options, { clock: systemClock, environment: {} }),
    /httpreq and exec fit any other/,
  );
});

test("credentials of the resolver come before the environment, and _FILE variants are read", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "waybill-vars-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "token"), "from a file\n");
  const environment = { DO_AUTH_TOKEN: "from the environment", DESEC_TOKEN_FILE: join(folder, "token") };
  const variables = new Variables(new Map([["do_auth_token", "of this resolver"]]), environment);
  assert.equal(variables.get("DO_AUTH_TOKEN"), "of this resolver");
  assert.equal(variables.get("DESEC_TOKEN"), "from a file");
  assert.equal(new Variables(new Map(), environment).get("DO_AUTH_TOKEN"), "from the environment");
});

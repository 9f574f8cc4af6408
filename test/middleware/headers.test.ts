import assert from "node:assert/strict";
import { test } from "node:test";
import headers from "../../src/middleware/headers.ts";
import { getHeader, getHeaders } from "../../src/model/headers.ts";
import { answer, make, problemsOf, type RequestExtras, request, run } from "./harness.ts";

const reply = async (options: Record<string, unknown>, extras: RequestExtras = {}, from: string[] = []) => {
  const exchange = request(extras);
  const result = await run(make(headers, options), exchange, (x) => answer(x, 200, [...from]));
  return { ...result, exchange };
};

test("customRequestHeaders sets, replaces and removes headers of the request", async () => {
  const customRequestHeaders = { "X-New": "1", "X-Old": "2", "X-Gone": "" };
  const sent = ["x-old", "a", "X-Old", "b", "x-gone", "c", "Keep", "d"];
  const { exchange } = await reply({ customRequestHeaders }, { headers: sent });
  assert.deepEqual(exchange.headers, ["X-Old", "2", "Keep", "d", "X-New", "1"]);
});

test("customRequestHeaders sets the host in any case", async () => {
  const { exchange } = await reply({ customRequestHeaders: { hOST: "Other.test:8080" } });
  assert.equal(exchange.authority, "Other.test:8080");
  assert.equal(exchange.host, "other.test");
  assert.equal(getHeader(exchange.headers, "host"), undefined);
});

test("customRequestHeaders can leave X-Forwarded-For out", async () => {
  const { exchange } = await reply(
    { customRequestHeaders: { "X-Forwarded-For": "" } },
    { headers: ["X-Forwarded-For", "203.0.113.7"] },
  );
  assert.deepEqual(exchange.headers, []);
  assert.equal(exchange.hidesPeer, true, "nor is the peer added later");
});

test("customResponseHeaders sets, replaces and removes headers of the reply", async () => {
  const { exchange } = await reply({ customResponseHeaders: { "X-New": "é", Server: "" } }, {}, [
    "server",
    "nginx",
    "x-new",
    "a",
    "X-NEW",
    "b",
  ]);
  assert.deepEqual(exchange.replyHeaders, ["X-New", "\u00c3\u00a9"], "UTF-8, one character a byte");
});

test("HD-15 a header's value is not expanded", async () => {
  const value = ["{env.HOME} $", "{HOME} {{ .Env }} $1"].join("");
  const { exchange } = await reply({ customRequestHeaders: { "X-A": value } });
  assert.equal(getHeader(exchange.headers, "x-a"), value);
});

test("HD-04 what belongs to the connection cannot be set, nor a header be split", () => {
  for (const name of ["Connection", "transfer-encoding", "Content-Length", "Upgrade", "TE", "bad name"])
    assert.equal(problemsOf(headers, { customRequestHeaders: { [name]: "x" } }).length, 1, name);
  assert.equal(problemsOf(headers, { customResponseHeaders: { "X-A": "a\r\nb" } }).length, 1);
  assert.equal(problemsOf(headers, { customRequestHeaders: { Host: "a/b" } }).length, 1);
  assert.equal(problemsOf(headers, { contentSecurityPolicy: "a\nb" }).length, 1);
});

test("headers that do nothing are a mistake", () => {
  assert.match(problemsOf(headers, {}).join(), /does nothing/);
  assert.match(problemsOf(headers, { isDevelopment: "true" }).join(), /does nothing/);
});

const CORS = {
  accessControlAllowOriginList: "https://a.test,https://b.test",
  accessControlAllowMethods: "GET,PUT",
  accessControlAllowHeaders: "X-A, X-B",
  accessControlExposeHeaders: "X-C,X-D",
  accessControlMaxAge: "100",
};
const preflight = (origin: string) => ({
  method: "OPTIONS",
  headers: [
    "Origin",
    origin,
    "Access-Control-Request-Method",
    "PUT",
    "Access-Control-Request-Headers",
    "X-Z",
  ],
});

test("a preflight is answered with 200 and nothing in it, before every other middleware", async () => {
  const hooks = make(headers, { ...CORS, accessControlAllowCredentials: "true" });
  const stopped = await hooks.outer!.onRequest!(request(preflight("https://b.test")));
  assert.equal(stopped?.status, 200);
  assert.ok(Buffer.isBuffer(stopped?.body) && stopped.body.length === 0);
  assert.deepEqual(stopped?.headers, [
    "Access-Control-Allow-Headers",
    "X-A,X-B",
    "Access-Control-Allow-Methods",
    "GET,PUT",
    "Access-Control-Max-Age",
    "100",
    "Access-Control-Allow-Origin",
    "https://b.test",
    "Access-Control-Allow-Credentials",
    "true",
  ]);
});

test("a preflight from another origin is answered without permission", async () => {
  const { stopped, header } = await reply(CORS, preflight("https://evil.test"));
  assert.equal(stopped?.status, 200);
  assert.equal(header("access-control-allow-origin"), undefined);
});

test("OPTIONS that is no preflight goes to the application", async () => {
  assert.equal(
    (await reply(CORS, { method: "OPTIONS", headers: ["Origin", "https://a.test"] })).stopped,
    undefined,
  );
  assert.equal(
    (await reply({ frameDeny: "true" }, preflight("https://a.test"))).stopped,
    undefined,
    "no CORS, no answer",
  );
});

test("replies carry the CORS headers, errors and refusals of others too", async () => {
  const { header } = await reply(CORS, { headers: ["Origin", "https://a.test"] }, [
    "Access-Control-Allow-Origin",
    "*",
  ]);
  assert.equal(header("access-control-allow-origin"), "https://a.test");
  assert.equal(header("access-control-expose-headers"), "X-C,X-D");
  assert.equal(header("access-control-allow-credentials"), undefined);
  const hooks = make(headers, CORS);
  const refused = request({ headers: ["Origin", "https://a.test"] });
  answer(refused, 401);
  await hooks.outer!.onResponse!(refused);
  assert.equal(getHeader(refused.replyHeaders, "access-control-allow-origin"), "https://a.test");
});

test("accessControlAllowOriginListRegex allows origins that match anywhere", async () => {
  const options = { accessControlAllowOriginListRegex: "\\.example\\.com$" };
  assert.equal(
    (await reply(options, { headers: ["Origin", "https://a.example.com"] })).header(
      "access-control-allow-origin",
    ),
    "https://a.example.com",
  );
  assert.equal(
    (await reply(options, { headers: ["Origin", "https://a.example.com.evil"] })).header(
      "access-control-allow-origin",
    ),
    undefined,
  );
  assert.match(
    problemsOf(headers, { accessControlAllowOriginListRegex: "(" }).join(),
    /accessControlAllowOriginListRegex/,
  );
});

test("the origin * is allowed as it is, and echoed with credentials", async () => {
  const any = {
    accessControlAllowOriginList: "*",
    accessControlExposeHeaders: "X-C",
    accessControlAllowMethods: "*",
    accessControlAllowHeaders: "*",
  };
  assert.equal((await reply(any)).header("access-control-allow-origin"), "*", "even without an origin");
  const both = { ...any, accessControlAllowCredentials: "true" };
  const { stopped, header } = await reply(both, preflight("https://c.test"));
  assert.equal(stopped?.status, 200);
  assert.equal(header("access-control-allow-origin"), "https://c.test");
  assert.equal(header("access-control-allow-methods"), "PUT");
  assert.equal(header("access-control-allow-headers"), "X-Z");
  const actual = await reply(both, { headers: ["Origin", "https://c.test"] });
  assert.equal(actual.header("access-control-expose-headers"), undefined);
});

test("addVaryHeader adds Origin to Vary", async () => {
  const options = { accessControlAllowOriginList: "https://a.test", addVaryHeader: "true" };
  assert.equal((await reply(options)).header("vary"), "Origin");
  assert.equal(
    (await reply(options, {}, ["Vary", "Accept-Encoding"])).header("vary"),
    "Accept-Encoding,Origin",
  );
  assert.equal((await reply(options, {}, ["Vary", "Origin"])).header("vary"), "Origin");
  assert.equal((await reply(options, {}, ["Vary", "Accept, origin"])).header("vary"), "Accept, origin");
  assert.equal((await reply(options, {}, ["Vary", "*"])).header("vary"), "*");
  assert.equal(
    (await reply(options, {}, ["Vary", "Cookie", "Vary", "Accept-Encoding"])).header("vary"),
    "Cookie,Accept-Encoding,Origin",
    "no line of it is lost",
  );
  assert.equal((await reply({ ...options, addVaryHeader: "false" })).header("vary"), undefined);
});

test("allowedHosts refuses other hosts with 400", async () => {
  const allowedHosts = "App.test,other.test:8080";
  assert.equal((await reply({ allowedHosts }, { url: "http://app.test/" })).stopped, undefined);
  assert.equal(
    (await reply({ allowedHosts }, { url: "http://APP.test:99/" })).stopped,
    undefined,
    "an entry without port is for any",
  );
  assert.equal((await reply({ allowedHosts }, { url: "http://other.test:8080/" })).stopped, undefined);
  const { stopped } = await reply({ allowedHosts }, { url: "http://other.test/" });
  assert.equal(stopped?.status, 400);
  assert.equal(stopped?.body, "Bad Host\n");
  assert.equal(
    (await reply({ allowedHosts, isDevelopment: "true", frameDeny: "true" }, { url: "http://x.test/" }))
      .stopped,
    undefined,
  );
});

test("hostsProxyHeaders are looked at before the host", async () => {
  const options = { allowedHosts: "app.test", hostsProxyHeaders: "X-None,X-Forwarded-Host" };
  assert.equal(
    (await reply(options, { url: "http://x.test/", headers: ["X-Forwarded-Host", "app.test"] })).stopped,
    undefined,
  );
  assert.equal(
    (await reply(options, { url: "http://app.test/", headers: ["X-Forwarded-Host", "x.test"] })).status,
    400,
  );
});

test("Strict-Transport-Security goes to clients that speak HTTPS", async () => {
  const sts = async (options: Record<string, unknown>, extras: RequestExtras = {}) =>
    (await reply({ frameDeny: "true", ...options }, { url: "https://app.test/", ...extras })).header(
      "strict-transport-security",
    );
  assert.equal(await sts({ stsSeconds: "10" }), "max-age=10");
  assert.equal(
    await sts({ stsSeconds: "10", stsIncludeSubdomains: "true", stsPreload: "true" }),
    "max-age=10; includeSubDomains; preload",
  );
  assert.equal(await sts({ stsSeconds: "0", stsPreload: "true" }), undefined);
  const plain = { url: "http://app.test/" };
  assert.equal(await sts({ stsSeconds: "10" }, plain), undefined);
  assert.equal(await sts({ stsSeconds: "10", forceSTSHeader: "true" }, plain), "max-age=10");
  const sslProxyHeaders = { "X-Forwarded-Proto": "https" };
  assert.equal(
    await sts({ stsSeconds: "10", sslProxyHeaders }, { ...plain, headers: ["x-forwarded-proto", "https"] }),
    "max-age=10",
  );
  assert.equal(
    await sts({ stsSeconds: "10", sslProxyHeaders }, { ...plain, headers: ["x-forwarded-proto", "http"] }),
    undefined,
  );
  assert.equal(await sts({ stsSeconds: "10", isDevelopment: "true" }), undefined);
});

for (const [option, value, name, expected] of [
  ["frameDeny", "true", "x-frame-options", "DENY"],
  ["customFrameOptionsValue", "SAMEORIGIN", "x-frame-options", "SAMEORIGIN"],
  ["contentTypeNosniff", "true", "x-content-type-options", "nosniff"],
  ["browserXssFilter", "true", "x-xss-protection", "1; mode=block"],
  ["customBrowserXSSValue", "0", "x-xss-protection", "0"],
  ["contentSecurityPolicy", "default-src 'self'", "content-security-policy", "default-src 'self'"],
  ["contentSecurityPolicyReportOnly", "img-src *", "content-security-policy-report-only", "img-src *"],
  ["referrerPolicy", "same-origin", "referrer-policy", "same-origin"],
  ["permissionsPolicy", "camera=()", "permissions-policy", "camera=()"],
] as const) {
  test(`${option} sets ${name} in place of the application's`, async () => {
    const { exchange } = await reply({ [option]: value }, {}, [name, "theirs"]);
    assert.deepEqual(getHeaders(exchange.replyHeaders, name), [expected]);
  });
}

test("publicKey is sent over HTTPS only", async () => {
  assert.equal(
    (await reply({ publicKey: "pin" }, { url: "https://a.test/" })).header("public-key-pins"),
    "pin",
  );
  assert.equal((await reply({ publicKey: "pin" })).header("public-key-pins"), undefined);
});

test("$NONCE in a policy is another nonce for every reply", async () => {
  const hooks = make(headers, {
    contentSecurityPolicy: "script-src $NONCE",
    contentSecurityPolicyReportOnly: "style-src $NONCE",
  });
  const policies = [];
  for (let i = 0; i < 2; i++) policies.push((await run(hooks, request())).header("content-security-policy"));
  for (const policy of policies) assert.match(policy!, /^script-src 'nonce-[A-Za-z0-9+/]{22}=='$/);
  assert.notEqual(policies[0], policies[1]);
});

test("customResponseHeaders have the last word over the security headers", async () => {
  const { header } = await reply({
    frameDeny: "true",
    customResponseHeaders: { "X-Frame-Options": "SAMEORIGIN" },
  });
  assert.equal(header("x-frame-options"), "SAMEORIGIN");
});

test("HD-07 a header that customRequestHeaders sets or removes cannot come as a trailer", () => {
  const hooks = make(headers, { customRequestHeaders: { "X-Gone": "", "X-Set": "1" } });
  for (const name of ["x-gone", "x-set"]) assert.equal(hooks.ownsHeader!(name), true);
  assert.equal(hooks.ownsHeader!("x-other"), false);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { openSite } from "./site.ts";

/** As the data plane marks what came by a router of our own. */
const OWN = { "X-Waybill-Own-Route": "true" };
const JSON_TYPE = { "content-type": "application/json" };

test("AD-01 without a login the API is closed to nobody who reaches it, and with one to everybody else", async () => {
  await using open = await openSite();
  assert.equal((await open.ask("/api/overview")).status, 200);
  await using closed = await openSite({ flags: ["--api.auth.token=0123456789abcdef"] });
  for (const path of [
    "/api/overview",
    "/api/http/routers",
    "/api/events",
    "/api/requests",
    "/api/settings",
  ]) {
    const { status, body } = await closed.ask(path);
    assert.equal(status, 401, path);
    assert.equal(body, '{"message":"a login is needed"}\n');
  }
});

test("AD-02 a name that somebody else may own is refused, addresses and local names are not", async () => {
  await using site = await openSite({ flags: ["--api.allowedHosts=proxy.example.com"] });
  const statusFor = async (host: string) =>
    (await site.ask("/api/version", { headers: { ...OWN, host } })).status;
  for (const host of [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.example:8080",
  ]) {
    assert.equal(await statusFor(host), 403, host);
  }
  const allowed = [
    "localhost",
    "localhost:8080",
    "127.0.0.1:8080",
    "[::1]:8080",
    "192.168.1.2",
    "traefik:8080",
  ];
  for (const host of [
    ...allowed,
    "nas.local",
    "box.home.arpa",
    "proxy.example.com",
    "PROXY.example.com:8080",
  ]) {
    assert.equal(await statusFor(host), 200, host);
  }
  const { body } = await site.ask("/dashboard/", { headers: { ...OWN, host: "evil.example" } });
  assert.match(body, /api\.allowedHosts names those that are/);
});

test("AD-02 what came by a router of the user's may bear any name that router takes", async () => {
  await using site = await openSite();
  assert.equal((await site.ask("/api/version", { headers: { host: "admin.example.com" } })).status, 200);
});

test("AD-03 requests from other origins are refused", async () => {
  await using site = await openSite({ flags: ["--api.auth.token=0123456789abcdef"] });
  const host = "localhost:8080";
  const body = '{"password":"0123456789abcdef"}';
  const login = async (headers: Record<string, string>) =>
    (await site.ask("/api/login", { method: "POST", headers: { ...OWN, host, ...headers }, body })).status;
  assert.equal(await login({ ...JSON_TYPE, origin: "http://evil.example" }), 403);
  assert.equal(await login({ ...JSON_TYPE, origin: "null" }), 403);
  assert.equal(await login({ ...JSON_TYPE, origin: "http://localhost:3000" }), 403);
  assert.equal(await login({ ...JSON_TYPE, "sec-fetch-site": "cross-site" }), 403);
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]) {
    assert.equal(await login({ "content-type": type, origin: "http://localhost:8080" }), 403, type);
  }
  assert.equal(
    await login({ ...JSON_TYPE, origin: "http://localhost:8080", "sec-fetch-site": "same-origin" }),
    204,
  );
});

test("AD-03 a link from elsewhere may lead here, a script from elsewhere may not read", async () => {
  await using site = await openSite();
  const elsewhere = { ...OWN, host: "localhost", "sec-fetch-site": "cross-site" };
  const visit = await site.ask("/dashboard/", { headers: { ...elsewhere, "sec-fetch-mode": "navigate" } });
  assert.equal(visit.status, 200);
  assert.equal(
    (await site.ask("/api/rawdata", { headers: { ...elsewhere, "sec-fetch-mode": "no-cors" } })).status,
    403,
  );
});

test("AD-09 no page may be framed, and nothing inline or from elsewhere is run", async () => {
  await using site = await openSite();
  const { headers } = await site.ask("/dashboard/");
  const policy = headers["content-security-policy"] as string;
  assert.match(policy, /default-src 'self'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  assert.equal(headers["x-frame-options"], "DENY");
  assert.equal(headers["x-content-type-options"], "nosniff");
  const api = await site.ask("/api/version");
  assert.match(
    api.headers["content-security-policy"] as string,
    /default-src 'none'; frame-ancestors 'none'/,
  );
});

test("AD-12 what would change something is refused, whatever is in it", async () => {
  await using site = await openSite();
  for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
    const { status } = await site.ask("/api/http/routers", {
      method,
      headers: JSON_TYPE,
      body: method === "DELETE" ? "" : "[".repeat(10_000),
    });
    assert.equal(status, 405, method);
  }
  const big = await site.ask("/api/login", { method: "POST", headers: JSON_TYPE, body: " ".repeat(100_000) });
  assert.equal(big.status, 413);
  const bad = await site.ask("/api/login", { method: "POST", headers: JSON_TYPE, body: "[".repeat(4000) });
  assert.equal(bad.status, 400);
  assert.equal((await site.ask("/api/version")).status, 200);
});

test("AD-13 no path leads out of the dashboard's files", async () => {
  await using site = await openSite();
  for (const path of [
    "/dashboard/../package.json",
    "/dashboard/%2e%2e/package.json",
    "/dashboard/..\\package.json",
  ]) {
    assert.equal((await site.ask(path)).status, 404, path);
  }
  for (const path of [
    "/dashboard//etc/passwd",
    "/dashboard/%2fetc%2fpasswd",
    "/dashboard/toString",
    "/~dashboard/x",
  ]) {
    assert.equal((await site.ask(path)).status, 404, path);
  }
});

test("the dashboard is found where Traefik's is, under a base path and behind a stripped prefix too", async () => {
  await using site = await openSite();
  const where = async (path: string, headers = {}) => (await site.ask(path, { headers })).headers.location;
  assert.equal(await where("/"), "/dashboard/");
  assert.equal(await where("/dashboard"), "/dashboard/");
  assert.equal(await where("/", { "x-forwarded-prefix": "/proxy" }), "/proxy/dashboard/");
  assert.equal(await where("/", { "x-forwarded-prefix": "//evil.example" }), "/dashboard/");
  assert.equal(await where("/", { "x-forwarded-prefix": "https://evil.example" }), "/dashboard/");
  await using based = await openSite({ flags: ["--api.basePath=/waybill"] });
  assert.equal((await based.ask("/waybill")).headers.location, "/waybill/dashboard/");
  assert.equal((await based.ask("/waybill/dashboard/")).status, 200);
  assert.equal((await based.ask("/waybill/api/version")).status, 200);
  assert.equal((await based.ask("/api/version")).status, 404);
  await using bare = await openSite({ flags: ["--api.dashboard=false"] });
  assert.equal((await bare.ask("/dashboard/")).status, 404);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { openSite } from "./site.ts";

const TOKEN = "0123456789abcdef0123";
const BY_TOKEN = { flags: [`--api.auth.token=${TOKEN}`] };
// ann, with the password test
const BY_USER = { flags: ["--api.auth.users=ann:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"] };

const post = (user: string, password: string, client = "192.0.2.1", more: Record<string, string> = {}) => ({
  method: "POST",
  headers: { "content-type": "application/json", "x-forwarded-for": client, ...more },
  body: JSON.stringify({ user, password }),
});

test("a token opens the API, as a header and as a session", async () => {
  await using site = await openSite(BY_TOKEN);
  const asked = JSON.parse((await site.ask("/api/login")).body);
  assert.deepEqual(asked, { asksFor: "token", isIn: false });
  assert.equal(
    (await site.ask("/api/version", { headers: { authorization: `Bearer ${TOKEN}` } })).status,
    200,
  );
  assert.equal((await site.ask("/api/version", { headers: { authorization: "Bearer no" } })).status, 401);
  const { status, headers } = await site.ask("/api/login", post("", TOKEN));
  assert.equal(status, 204);
  const [cookie = ""] = headers["set-cookie"] ?? [];
  const session = { cookie: cookie.split(";")[0]! };
  assert.equal((await site.ask("/api/version", { headers: session })).status, 200);
  const end = await site.ask("/api/logout", {
    ...post("", ""),
    headers: { ...post("", "").headers, ...session },
  });
  assert.equal(end.status, 204);
  assert.equal((await site.ask("/api/version", { headers: session })).status, 401);
});

test("a user's password opens it, and the token's place does not", async () => {
  await using site = await openSite(BY_USER);
  assert.equal((await site.ask("/api/login", post("ann", "test"))).status, 204);
  assert.equal((await site.ask("/api/login", post("ann", "wrong"))).status, 401);
  assert.equal((await site.ask("/api/login", post("", "test"))).status, 401);
  assert.equal((await site.ask("/api/login", post("", ""))).status, 401);
  const basic = { authorization: `Basic ${Buffer.from("ann:test").toString("base64")}` };
  assert.equal((await site.ask("/api/version", { headers: basic })).status, 200);
});

test("AD-07 the sixth wrong try in a minute is not looked at, right or wrong, and others are not kept out", async () => {
  await using site = await openSite(BY_TOKEN);
  for (let i = 0; i < 5; i++) assert.equal((await site.ask("/api/login", post("", "wrong"))).status, 401);
  assert.equal((await site.ask("/api/login", post("", TOKEN))).status, 429);
  const bearer = { authorization: `Bearer ${TOKEN}`, "x-forwarded-for": "192.0.2.1" };
  assert.equal((await site.ask("/api/version", { headers: bearer })).status, 429);
  assert.equal((await site.ask("/api/login", post("", TOKEN, "192.0.2.2"))).status, 204);
});

test("AD-07 many clients together are slowed down too, and many at once do not slip through", async () => {
  await using site = await openSite(BY_TOKEN);
  const tries = Array.from({ length: 80 }, (_, i) =>
    site.ask("/api/login", post("", "wrong", `192.0.2.${i}`)),
  );
  const statuses = (await Promise.all(tries)).map(({ status }) => status);
  assert.equal(statuses.filter((status) => status === 401).length, 60);
  assert.equal(statuses.filter((status) => status === 429).length, 20);
});

test("AD-07 right passwords are never counted", async () => {
  await using site = await openSite(BY_TOKEN);
  for (let i = 0; i < 20; i++) assert.equal((await site.ask("/api/login", post("", TOKEN))).status, 204);
});

test("AD-08 the cookie is closed to scripts and other sites, and secure over TLS", async () => {
  await using site = await openSite(BY_TOKEN);
  const cookieOf = async (more: Record<string, string>) =>
    (await site.ask("/api/login", post("", TOKEN, "192.0.2.1", more))).headers["set-cookie"]![0]!;
  const plain = await cookieOf({});
  assert.match(plain, /^waybill-session=[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/);
  const secure = await cookieOf({ "x-forwarded-proto": "https" });
  assert.match(secure, /; Secure$/);
  const before = plain.split(";")[0]!;
  const rotated = await cookieOf({ cookie: before });
  assert.notEqual(rotated.split(";")[0], before);
  assert.equal((await site.ask("/api/version", { headers: { cookie: before } })).status, 401);
});

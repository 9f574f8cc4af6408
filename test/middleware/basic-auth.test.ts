import assert from "node:assert/strict";
import { test } from "node:test";
import bcrypt from "bcrypt";
import basicAuth from "../../src/middleware/basic-auth.ts";
import { getHeader, getHeaders } from "../../src/model/headers.ts";
import { fakeHost, make, problemsOf, request, run } from "./harness.ts";

const HASH = bcrypt.hashSync("secret", 4);
const USERS = `anna:${HASH}, otto:{SHA}nU4eI71bcnBGqeO0t9tXvY1u5oQ=,ines:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/`;

const login = (user: string, password: string) => [
  "Authorization",
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
];

test("basicAuth lets users with their passwords through, whichever way they are hashed", async () => {
  const hooks = make(basicAuth, { users: USERS });
  for (const [user, password] of [
    ["anna", "secret"],
    ["otto", "pass"],
    ["ines", "test"],
  ] as const) {
    const exchange = request({ headers: login(user, password) });
    assert.equal((await run(hooks, exchange)).stopped, undefined, user);
    assert.equal(exchange.username, user);
    assert.equal((await run(hooks, request({ headers: login(user, `${password}x`) }))).status, 401);
  }
});

test("basicAuth asks for a password with 401", async () => {
  const hooks = make(basicAuth, { users: USERS });
  const { stopped, header } = await run(hooks, request());
  assert.equal(stopped?.status, 401);
  assert.equal(stopped?.body, "401 Unauthorized\n");
  assert.equal(header("www-authenticate"), 'Basic realm="traefik"');
  assert.equal(header("content-type"), "text/plain");
});

test("basicAuth names the realm", async () => {
  const { header } = await run(make(basicAuth, { users: USERS, realm: 'My "home"' }), request());
  assert.equal(header("www-authenticate"), 'Basic realm="My \\"home\\""');
});

test("basicAuth logs the name even when the password is wrong", async () => {
  const exchange = request({ headers: login("anna", "wrong") });
  await run(make(basicAuth, { users: USERS }), exchange);
  assert.equal(exchange.username, "anna");
});

test("basicAuth tells the application who it is, and nobody else can", async () => {
  const hooks = make(basicAuth, { users: USERS, headerField: "X-WebAuth-User" });
  const headers = [...login("anna", "secret"), "x-webauth-user", "root", "X_WebAuth_User", "root"];
  const exchange = request({ headers });
  await run(hooks, exchange);
  assert.deepEqual(getHeaders(exchange.headers, "x-webauth-user"), ["anna"]);
  assert.equal(getHeader(exchange.headers, "x_webauth_user"), undefined);
  assert.ok(exchange.headers.includes("X-WebAuth-User"), "in the spelling of the option");
});

test("a user's name cannot break a header", async () => {
  const hooks = make(basicAuth, { users: `\u010a:${HASH}`, headerField: "X-User" });
  const exchange = request({ headers: login("\u010a", "secret") });
  assert.equal((await run(hooks, exchange)).stopped, undefined);
  assert.equal(getHeader(exchange.headers, "x-user"), "\u00c4\u008a", "UTF-8, one character a byte");
  assert.equal((await run(hooks, request({ headers: login("a\r\nX: y", "secret") }))).status, 401);
});

test("basicAuth removes the Authorization header only if it is told to", async () => {
  for (const [removeHeader, expected] of [
    ["true", undefined],
    ["false", login("anna", "secret")[1]],
  ] as const) {
    const exchange = request({ headers: login("anna", "secret") });
    await run(make(basicAuth, { users: USERS, removeHeader }), exchange);
    assert.equal(getHeader(exchange.headers, "authorization"), expected);
  }
});

test("basicAuth reads users of a file first, and the option overrides", async () => {
  const other = bcrypt.hashSync("other", 4);
  const host = fakeHost({ files: { "/users": `# people\n\n anna:${other}\neva:${HASH}\r\n` } });
  const hooks = make(basicAuth, { users: `anna:${HASH}`, usersFile: "/users" }, host);
  assert.equal((await run(hooks, request({ headers: login("eva", "secret") }))).stopped, undefined);
  assert.equal((await run(hooks, request({ headers: login("anna", "secret") }))).stopped, undefined);
  assert.equal((await run(hooks, request({ headers: login("anna", "other") }))).status, 401);
  assert.throws(() => make(basicAuth, { usersFile: "/nowhere" }, host), /no such file/);
  assert.throws(
    () => make(basicAuth, { usersFile: "/empty" }, fakeHost({ files: { "/empty": "#\n" } })),
    /no user/,
  );
});

test("basicAuth runs bcrypt once a login and then remembers it for a while", async () => {
  const host = { ...fakeHost(), shared: new SharedArrayBuffer(basicAuth.sharedBytes!({} as never)) };
  const first = make(basicAuth, { users: USERS }, host);
  const tries = (hooks: typeof first) => hooks.onRequest!(request({ headers: login("anna", "secret") }));
  const outcome = tries(first);
  assert.ok(outcome instanceof Promise, "the first time it is worked out");
  assert.equal(await outcome, undefined);
  assert.equal(tries(first), undefined, "the second time it is known at once");
  assert.equal(
    tries(make(basicAuth, { users: USERS }, host)),
    undefined,
    "after a change of configuration too",
  );
  assert.ok(
    tries(make(basicAuth, { users: `anna:${bcrypt.hashSync("new", 4)}` }, host)) instanceof Promise,
    "but not after a change of password",
  );
  const { nowMs } = host;
  host.nowMs = () => nowMs() + 10 * 60_000;
  assert.ok(tries(make(basicAuth, { users: USERS }, host)) instanceof Promise, "and not for ever");
});

test("HD-17 an unknown user is tried like a known one, and refused", async () => {
  const hooks = make(basicAuth, { users: `anna:${HASH}` });
  const outcome = hooks.onRequest!(request({ headers: login("nobody", "secret") }));
  assert.ok(outcome instanceof Promise);
  assert.equal((await outcome)?.status, 401);
});

test("the same login sent by many at once is tried once, and too many different ones are turned away", async () => {
  const hooks = make(basicAuth, { users: USERS });
  const same = await Promise.all(
    Array.from({ length: 200 }, () => hooks.onRequest!(request({ headers: login("anna", "secret") }))),
  );
  assert.ok(same.every((outcome) => outcome === undefined));
  const different = await Promise.all(
    Array.from({ length: 80 }, (_, i) => hooks.onRequest!(request({ headers: login("anna", `x${i}`) }))),
  );
  assert.equal(different.filter((outcome) => outcome?.status === 503).length, 16);
  assert.equal(different.filter((outcome) => outcome?.status === 401).length, 64);
});

test("HD-17 no users is a mistake in the configuration, not an open door", () => {
  assert.match(problemsOf(basicAuth, {}).join(), /at least one user/);
  assert.match(problemsOf(basicAuth, { users: "anna" }).join(), /user 1 has no colon/);
  assert.doesNotMatch(problemsOf(basicAuth, { users: "hunter2" }).join(), /hunter2/, "it may be a secret");
  assert.match(problemsOf(basicAuth, { users: `a:b:${HASH}` }).join(), /user 1 has 2 colons/);
  assert.match(
    problemsOf(basicAuth, { users: "anna:plain" }).join(),
    /swallow its \$ signs.*write every \$ as \$\$/,
  );
  assert.match(problemsOf(basicAuth, { users: USERS, headerField: "X User" }).join(), /header name/);
});

test("basicAuth never says a hash in a problem", () => {
  assert.doesNotMatch(problemsOf(basicAuth, { users: "anna:topsecret:x" }).join(), /topsecret/);
});

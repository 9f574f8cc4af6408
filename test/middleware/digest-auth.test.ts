import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import digestAuth from "../../src/middleware/digest-auth.ts";
import { getHeader, getHeaders } from "../../src/model/headers.ts";
import type { Hooks } from "../../src/model/middleware.ts";
import { fakeHost, make, problemsOf, request, run } from "./harness.ts";

const md5 = (text: string) => hash("md5", text, "hex");
const userOf = (name: string, password: string, realm = "traefik") =>
  `${name}:${realm}:${md5(`${name}:${realm}:${password}`)}`;
const USERS = userOf("anna", "secret");

async function challengeOf(hooks: Hooks): Promise<Map<string, string>> {
  const { header } = await run(hooks, request());
  return new Map(
    [...header("www-authenticate")!.matchAll(/(\w+)="?([^",]*)"?/g)].map(([, k, v]) => [k!, v!]),
  );
}

interface Given {
  user?: string;
  password?: string;
  nonce: string;
  nc?: number;
  uri?: string;
  realm?: string;
  method?: string;
}

function digest({
  user = "anna",
  password = "secret",
  nonce,
  nc = 1,
  uri = "/",
  realm = "traefik",
  method = "GET",
}: Given) {
  const count = nc.toString(16).padStart(8, "0");
  const first = md5(`${user}:${realm}:${password}`);
  const response = md5(`${first}:${nonce}:${count}:abc:auth:${md5(`${method}:${uri}`)}`);
  return [
    "Authorization",
    `Digest username="${user}", realm="${realm}", nonce="${nonce}", uri="${uri}", qop=auth, nc=${count}, cnonce="abc", response="${response}", algorithm=MD5`,
  ];
}

test("digestAuth challenges with a nonce and takes the right answer", async () => {
  const hooks = make(digestAuth, { users: USERS });
  const { stopped, header } = await run(hooks, request());
  assert.equal(stopped?.status, 401);
  assert.equal(stopped?.body, "401 Unauthorized\n");
  assert.match(
    header("www-authenticate")!,
    /^Digest realm="traefik", nonce="[^"]+", opaque="[^"]+", algorithm=MD5, qop="auth"$/,
  );
  const nonce = (await challengeOf(hooks)).get("nonce")!;
  const exchange = request({ headers: digest({ nonce }) });
  assert.equal((await run(hooks, exchange)).stopped, undefined);
  assert.equal(exchange.username, "anna");
});

test("digestAuth refuses a wrong password, an unknown user, another realm, method or path", async () => {
  const hooks = make(digestAuth, { users: USERS });
  const nonce = (await challengeOf(hooks)).get("nonce")!;
  const wrong: Given[] = [
    { nonce, password: "x" },
    { nonce, user: "nobody" },
    { nonce, realm: "other" },
    { nonce, method: "POST" },
    { nonce, uri: "/other" },
    { nonce, uri: "" },
  ];
  for (const given of wrong)
    assert.equal((await run(hooks, request({ headers: digest(given) }))).status, 401, JSON.stringify(given));
});

test("digestAuth takes a uri with its query, or without", async () => {
  const hooks = make(digestAuth, { users: USERS });
  const nonce = (await challengeOf(hooks)).get("nonce")!;
  const url = "http://app.test/a?b=1";
  assert.equal(
    (await run(hooks, request({ url, headers: digest({ nonce, uri: "/a?b=1" }) }))).stopped,
    undefined,
  );
  assert.equal(
    (await run(hooks, request({ url, headers: digest({ nonce, nc: 2, uri: "/a" }) }))).stopped,
    undefined,
  );
  assert.equal(
    (await run(hooks, request({ url, headers: digest({ nonce, nc: 3, uri: "/a?b=2" }) }))).status,
    401,
  );
});

test("digestAuth takes each count of a nonce once, in any thread and after a configuration change", async () => {
  const host = { ...fakeHost(), shared: new SharedArrayBuffer(digestAuth.sharedBytes!({} as never)) };
  const one = make(digestAuth, { users: USERS }, host);
  const nonce = (await challengeOf(one)).get("nonce")!;
  assert.equal((await run(one, request({ headers: digest({ nonce, nc: 1 }) }))).stopped, undefined);
  const two = make(digestAuth, { users: USERS }, host);
  assert.equal((await run(two, request({ headers: digest({ nonce, nc: 3 }) }))).stopped, undefined);
  for (const nc of [1, 2, 3]) {
    const { status, header } = await run(one, request({ headers: digest({ nonce, nc }) }));
    assert.equal(status, 401);
    assert.match(header("www-authenticate")!, /, stale=TRUE$/);
  }
  assert.equal((await run(one, request({ headers: digest({ nonce, nc: 4 }) }))).stopped, undefined);
});

test("digestAuth asks again after an hour and for a nonce that is not its own", async () => {
  const host = fakeHost();
  const hooks = make(digestAuth, { users: USERS }, host);
  const nonce = (await challengeOf(hooks)).get("nonce")!;
  host.advance(3_700_000);
  const late = await run(hooks, request({ headers: digest({ nonce }) }));
  assert.match(late.header("www-authenticate")!, /stale=TRUE/);
  const forged = await run(hooks, request({ headers: digest({ nonce: "abc.def" }) }));
  assert.match(forged.header("www-authenticate")!, /stale=TRUE/);
});

test("digestAuth names the realm and takes only its users", async () => {
  const users = `${userOf("anna", "secret", "home")},${userOf("otto", "secret")}`;
  const hooks = make(digestAuth, { users, realm: "home" });
  const challenge = await challengeOf(hooks);
  assert.equal(challenge.get("realm"), "home");
  const nonce = challenge.get("nonce")!;
  assert.equal((await run(hooks, request({ headers: digest({ nonce, realm: "home" }) }))).stopped, undefined);
  assert.equal((await run(hooks, request({ headers: digest({ nonce, nc: 2, user: "otto" }) }))).status, 401);
});

test("digestAuth sets headerField, which no client can, and removes Authorization if told to", async () => {
  const hooks = make(digestAuth, { users: USERS, headerField: "X-User", removeHeader: "true" });
  const nonce = (await challengeOf(hooks)).get("nonce")!;
  const exchange = request({ headers: ["X-User", "root", "X_User", "root", ...digest({ nonce })] });
  await run(hooks, exchange);
  assert.deepEqual(getHeaders(exchange.headers, "x-user"), ["anna"]);
  assert.equal(getHeader(exchange.headers, "x_user"), undefined);
  assert.equal(getHeader(exchange.headers, "authorization"), undefined);
});

test("digestAuth reads users of a file and says what is wrong with one", async () => {
  const host = fakeHost({ files: { "/users": `# x\n${userOf("eva", "secret")}\n` } });
  const hooks = make(digestAuth, { usersFile: "/users" }, host);
  const nonce = (await challengeOf(hooks)).get("nonce")!;
  assert.equal((await run(hooks, request({ headers: digest({ nonce, user: "eva" }) }))).stopped, undefined);
  assert.match(problemsOf(digestAuth, {}).join(), /at least one user/);
  assert.match(problemsOf(digestAuth, { users: "anna:x" }).join(), /name:realm:hash/);
  assert.match(problemsOf(digestAuth, { users: "anna:traefik:plain" }).join(), /32 hexadecimal/);
  assert.match(problemsOf(digestAuth, { users: userOf("anna", "x", "other") }).join(), /realm/);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import forwardAuth from "../../src/middleware/forward-auth.ts";
import { getHeader, getHeaders, type Headers } from "../../src/model/headers.ts";
import { FetchFailure, type FetchReply, type FetchRequest } from "../../src/model/host.ts";
import { answer, drain, fakeHost, make, problemsOf, type RequestExtras, request, run } from "./harness.ts";

const ADDRESS = "http://auth.test:9000/verify";

function service(status: number, headers: Headers = [], body = ""): () => FetchReply {
  return () => ({ status, headers, body: Buffer.from(body) });
}

async function ask(
  options: Record<string, unknown>,
  extras: RequestExtras = {},
  fetch: (request: FetchRequest) => FetchReply = service(200),
) {
  const host = fakeHost({ fetch, files: { "/ca.pem": "CA", "/cert.pem": "CERT", "/key.pem": "KEY" } });
  const hooks = make(forwardAuth, { address: ADDRESS, ...options }, host);
  const exchange = request(extras);
  const result = await run(hooks, exchange);
  return { ...result, exchange, asked: host.fetched[0]!, host };
}

test("forwardAuth asks its address with GET and lets the request through on any 2xx", async () => {
  for (const status of [200, 204, 299]) {
    const { stopped, asked } = await ask(
      {},
      { method: "POST", url: "http://app.test/a?b=1" },
      service(status),
    );
    assert.equal(stopped, undefined);
    assert.equal(asked.url, ADDRESS);
    assert.equal(asked.method, "GET");
    assert.equal(asked.body, undefined);
  }
});

test("forwardAuth gives the client any other answer as it is", async () => {
  const headers = [
    "X-Why",
    "no",
    "Set-Cookie",
    "a=1",
    "Set-Cookie",
    "b=2",
    "Content-Type",
    "text/plain",
    "Content-Length",
    "2",
    "Connection",
    "close",
  ];
  const { stopped } = await ask({}, {}, service(403, headers, "no"));
  assert.equal(stopped?.status, 403);
  assert.equal(String(stopped?.body), "no");
  assert.deepEqual(stopped?.headers, headers.slice(0, 8), "without what only concerns the other connection");
});

test("forwardAuth says where the request was going", async () => {
  const { asked } = await ask(
    {},
    {
      method: "PUT",
      url: "https://app.test:8443/a%20b?c=d",
      headers: ["X-Forwarded-For", "9.9.9.9"],
    },
  );
  assert.equal(getHeader(asked.headers, "x-forwarded-method"), "PUT");
  assert.equal(getHeader(asked.headers, "x-forwarded-proto"), "https");
  assert.equal(getHeader(asked.headers, "x-forwarded-host"), "app.test:8443");
  assert.equal(getHeader(asked.headers, "x-forwarded-uri"), "/a%20b?c=d");
  assert.equal(getHeader(asked.headers, "x-forwarded-for"), "203.0.113.7", "the peer alone");
});

test("HD-08 forwardAuth sends headers, but neither body nor framing nor hop-by-hop", async () => {
  const headers = [
    "Cookie",
    "a=1",
    "Content-Length",
    "5",
    "TE",
    "trailers",
    "Expect",
    "100-continue",
    "Proxy-Authorization",
    "x",
  ];
  const { asked } = await ask({}, { method: "POST", headers, body: "hello" });
  assert.equal(getHeader(asked.headers, "cookie"), "a=1");
  for (const name of ["content-length", "te", "expect"])
    assert.equal(getHeader(asked.headers, name), undefined, name);
  assert.equal(getHeader(asked.headers, "proxy-authorization"), "x");
  assert.equal(asked.body, undefined);
});

const SPOOFED = [
  "X-Forwarded-For",
  "1.1.1.1",
  "X-Forwarded-Proto",
  "https",
  "X-Forwarded-Host",
  "told.test",
  "X-Forwarded-Uri",
  "/told",
  "X-Forwarded-Method",
  "TOLD",
  "X-Forwarded-Prefix",
  "/p",
];

test("forwardAuth with trustForwardHeader passes on what the entry point let in", async () => {
  const { asked } = await ask({ trustForwardHeader: "true" }, { headers: [...SPOOFED] });
  assert.equal(getHeader(asked.headers, "x-forwarded-for"), "1.1.1.1, 203.0.113.7", "with the peer added");
  for (let i = 2; i < SPOOFED.length; i += 2)
    assert.equal(getHeader(asked.headers, SPOOFED[i]!.toLowerCase()), SPOOFED[i + 1]);
  const { asked: bare } = await ask({ trustForwardHeader: "true" }, {});
  assert.equal(getHeader(bare.headers, "x-forwarded-uri"), "/", "what is missing is filled in");
  assert.equal(getHeader(bare.headers, "x-forwarded-port"), "80");
});

test("HD-08 forwardAuth with trustForwardHeader=false makes all X-Forwarded headers anew", async () => {
  const { asked } = await ask(
    { trustForwardHeader: "false" },
    { headers: [...SPOOFED, "X-Real-Ip", "1.1.1.1"] },
  );
  assert.equal(getHeader(asked.headers, "x-forwarded-for"), "203.0.113.7");
  assert.equal(getHeader(asked.headers, "x-forwarded-proto"), "http");
  assert.equal(getHeader(asked.headers, "x-forwarded-host"), "app.test");
  assert.equal(getHeader(asked.headers, "x-forwarded-uri"), "/");
  assert.equal(getHeader(asked.headers, "x-forwarded-method"), "GET");
  assert.equal(getHeader(asked.headers, "x-forwarded-port"), "80");
  assert.equal(getHeader(asked.headers, "x-forwarded-prefix"), undefined);
  assert.equal(getHeader(asked.headers, "x-real-ip"), undefined);
});

test("forwardAuth without trustForwardHeader leaves the other X-Forwarded headers", async () => {
  const { asked } = await ask({}, { headers: [...SPOOFED] });
  assert.equal(getHeader(asked.headers, "x-forwarded-uri"), "/");
  assert.equal(getHeader(asked.headers, "x-forwarded-prefix"), "/p");
  assert.equal(getHeader(asked.headers, "x-forwarded-port"), undefined);
});

test("forwardAuth sends only authRequestHeaders if some are named", async () => {
  const headers = ["Cookie", "a=1", "Accept", "*/*", "X-Forwarded-Prefix", "/p"];
  const { asked } = await ask({ authRequestHeaders: "accept" }, { headers: [...headers] });
  assert.equal(getHeader(asked.headers, "accept"), "*/*");
  assert.equal(getHeader(asked.headers, "cookie"), undefined);
  assert.equal(getHeader(asked.headers, "x-forwarded-prefix"), undefined);
  assert.equal(getHeader(asked.headers, "x-forwarded-uri"), "/");
  const trusting = await ask(
    { authRequestHeaders: "accept", trustForwardHeader: "true" },
    { headers: [...headers] },
  );
  assert.equal(getHeader(trusting.asked.headers, "x-forwarded-prefix"), "/p");
});

test("HD-07 forwardAuth removes every copied header from the request, whoever sent it and however it is spelled", async () => {
  const headers = [
    "Remote-User",
    "root",
    "remote-user",
    "root",
    "Remote_User",
    "root",
    "Remote.User",
    "root",
    "X-Other",
    "1",
  ];
  const { exchange } = await ask({ authResponseHeaders: "Remote-User" }, { headers });
  assert.deepEqual(exchange.headers, ["X-Other", "1"]);
});

test("HD-07 trailers cannot bring a copied header back", () => {
  const copied = { authResponseHeaders: "Remote-User", authResponseHeadersRegex: "^X-Au" };
  const hooks = make(forwardAuth, { address: ADDRESS, ...copied });
  for (const name of ["remote-user", "x-auth-user"]) assert.equal(hooks.ownsHeader!(name), true);
  assert.equal(hooks.ownsHeader!("x-sum"), false);
});

test("forwardAuth copies authResponseHeaders to the request", async () => {
  const headers = ["remote-user", "anna", "Remote-Groups", "a", "Remote-Groups", "b", "X-Not", "x"];
  const { exchange } = await ask(
    { authResponseHeaders: "Remote-User,Remote-Groups" },
    { headers: ["Remote-User", "root"] },
    service(200, headers),
  );
  assert.deepEqual(getHeaders(exchange.headers, "remote-user"), ["anna"]);
  assert.deepEqual(getHeaders(exchange.headers, "remote-groups"), ["a", "b"]);
  assert.equal(getHeader(exchange.headers, "x-not"), undefined);
});

test("HD-07 forwardAuth does the same for names that authResponseHeadersRegex matches", async () => {
  const headers = [
    "X-Auth-User",
    "root",
    "x_auth_role",
    "root",
    "Accept",
    "*/*",
    "X-Forwarded-For",
    "203.0.113.7",
  ];
  const { exchange } = await ask(
    { authResponseHeadersRegex: "^X-" },
    { headers },
    service(200, ["x-auth-user", "anna", "X-Forwarded-For", "6.6.6.6"]),
  );
  assert.deepEqual(exchange.headers, [
    "Accept",
    "*/*",
    "X-Forwarded-For",
    "203.0.113.7",
    "x-auth-user",
    "anna",
  ]);
});

test("HD-10 headers of the service that could split a request or frame it are dropped", async () => {
  const headers = [
    "X-A",
    "1\r\nX-B: 2",
    "X-B",
    "ok",
    "Content-Length",
    "9",
    "Transfer-Encoding",
    "chunked",
    "Connection",
    "close",
  ];
  const { exchange } = await ask({ authResponseHeadersRegex: "." }, {}, service(200, headers));
  assert.deepEqual(exchange.headers, ["X-B", "ok"]);
  assert.match(
    problemsOf(forwardAuth, { address: ADDRESS, authResponseHeaders: "Content-Length" }).join(),
    /cannot be copied/,
  );
  const refused = await ask({}, {}, service(403, headers));
  assert.deepEqual(refused.stopped?.headers, ["X-B", "ok"]);
});

test("forwardAuth adds the service's cookies to the reply, in place of the application's", async () => {
  const fetch = service(200, ["Set-Cookie", "session=new; Path=/", "Set-Cookie", "other=1"]);
  const host = fakeHost({ fetch });
  const hooks = make(forwardAuth, { address: ADDRESS, addAuthCookiesToResponse: "session" }, host);
  const exchange = request();
  await run(hooks, exchange, (x) => answer(x, 200, ["Set-Cookie", "session=old", "Set-Cookie", "app=1"]));
  assert.deepEqual(getHeaders(exchange.replyHeaders, "set-cookie"), ["app=1", "session=new; Path=/"]);
});

test("forwardAuth takes the user's name for logs from headerField", async () => {
  const { exchange } = await ask({ headerField: "X-User" }, {}, service(200, ["x-user", "anna"]));
  assert.equal(exchange.username, "anna");
});

test("forwardAuth sends the body only with forwardBody, and keeps it for the application", async () => {
  const { asked, exchange } = await ask({ forwardBody: "true" }, { method: "POST", body: "hello" });
  assert.equal(String(asked.body), "hello");
  assert.equal(String((await drain(exchange.requestBody)).bytes), "hello");
});

test("forwardAuth refuses a body beyond maxBodySize with 413", async () => {
  const { stopped, host } = await ask({ forwardBody: "true", maxBodySize: "4" }, { body: "hello" });
  assert.equal(stopped?.status, 413);
  assert.equal(host.fetched.length, 0);
  assert.equal(
    (await ask({ forwardBody: "true", maxBodySize: "-1" }, { body: "x".repeat(2_000_000) })).stopped,
    undefined,
  );
});

test("HD-09 forwardAuth limits the service's time and reply", async () => {
  const { asked } = await ask({});
  assert.equal(asked.timeoutMs, 5000);
  assert.equal(asked.replyBytesMax, 1_048_576);
  const other = await ask({ timeout: "300ms", maxResponseBodySize: "10" });
  assert.equal(other.asked.timeoutMs, 300);
  assert.equal(other.asked.replyBytesMax, 10);
});

test("HD-09 forwardAuth fails closed: 502 without an answer, 504 when it is late", async () => {
  const fails = (error: Error) => () => {
    throw error;
  };
  const down = await ask({}, {}, fails(new FetchFailure("network", "connect ECONNREFUSED")));
  assert.equal(down.stopped?.status, 502);
  assert.equal(down.stopped?.fault?.code, "auth-failed");
  assert.match(down.exchange.detail!, /ECONNREFUSED/);
  assert.equal((await ask({}, {}, fails(new FetchFailure("timeout", "")))).stopped?.status, 504);
  assert.equal((await ask({}, {}, fails(new FetchFailure("too-large", "")))).stopped?.status, 502);
  assert.equal((await ask({}, {}, fails(new TypeError("bug")))).stopped?.status, 502);
});

test("HD-09 a redirect of the service is the client's, made absolute unless it is to be kept", async () => {
  const fetch = service(302, ["Location", "/login?x=1"]);
  assert.deepEqual((await ask({}, {}, fetch)).stopped?.headers, [
    "Location",
    "http://auth.test:9000/login?x=1",
  ]);
  assert.deepEqual((await ask({ preserveLocationHeader: "true" }, {}, fetch)).stopped?.headers, [
    "Location",
    "/login?x=1",
  ]);
});

test("forwardAuth asks with the request's method if it is to be kept", async () => {
  assert.equal((await ask({ preserveRequestMethod: "true" }, { method: "DELETE" })).asked.method, "DELETE");
});

test("forwardAuth redirects to authSigninURL on 401", async () => {
  const { stopped } = await ask(
    { authSigninURL: "https://auth.test/in" },
    {},
    service(401, ["WWW-Authenticate", "x"]),
  );
  assert.equal(stopped?.status, 302);
  assert.deepEqual(stopped?.headers, ["Location", "https://auth.test/in"]);
  assert.equal((await ask({ authSigninURL: "https://auth.test/in" }, {}, service(403))).status, 403);
});

test("forwardAuth speaks TLS as it is told to", async () => {
  const { asked } = await ask({
    tls: { ca: "/ca.pem", cert: "/cert.pem", key: "/key.pem", insecureSkipVerify: "true" },
  });
  assert.deepEqual(asked.tls, { ca: "CA", cert: "CERT", key: "KEY", insecureSkipVerify: true });
  const inline = await ask({ tls: { ca: "-----BEGIN CERTIFICATE-----\nx" } });
  assert.deepEqual(inline.asked.tls, { ca: "-----BEGIN CERTIFICATE-----\nx", insecureSkipVerify: false });
  assert.equal((await ask({})).asked.tls, undefined);
});

test("forwardAuth says what is wrong with its options", () => {
  const wrong = (options: Record<string, string>) =>
    problemsOf(forwardAuth, { address: ADDRESS, ...options }).join();
  assert.match(problemsOf(forwardAuth, {}).join(), /address is required/);
  assert.match(wrong({ address: "auth:9000" }), /address must be an http or https URL/);
  assert.match(wrong({ authResponseHeadersRegex: "(" }), /authResponseHeadersRegex/);
  assert.match(wrong({ authRequestHeaders: "a b" }), /cannot be copied/);
  assert.match(wrong({ timeout: "0" }), /timeout/);
  assert.match(wrong({ authSigninURL: "http://[" }), /authSigninURL/);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import errors from "../../src/middleware/errors.ts";
import type { Reply } from "../../src/model/exchange.ts";
import { answer, drain, fakeHost, make, problemsOf, type RequestExtras, request, run } from "./harness.ts";

const PAGE: Reply = {
  status: 200,
  reason: "page",
  headers: ["Content-Type", "text/html", "ETag", '"x"'],
  body: "<h1>sorry",
};

async function fail(
  options: Record<string, unknown>,
  status: number,
  extras: RequestExtras = {},
  page: Reply = PAGE,
) {
  const host = fakeHost({ call: () => page });
  const hooks = make(errors, { service: "pages@docker", query: "/{status}.html", ...options }, host);
  const exchange = request(extras);
  const result = await run(hooks, exchange, (x) => answer(x, status, ["X-App", "1"], "app"));
  return {
    ...result,
    exchange,
    called: host.called[0],
    body: String((await drain(exchange.replyBody)).bytes),
  };
}

test("errors replaces replies of its statuses by pages of the service", async () => {
  const { exchange, called, body } = await fail({ status: "404,500-599" }, 503, {
    url: "http://app.test:81/x?y=1",
    method: "POST",
  });
  assert.equal(body, "<h1>sorry");
  assert.equal(exchange.status, 503, "the status stays");
  assert.deepEqual(
    exchange.replyHeaders,
    ["Content-Type", "text/html"],
    "and nothing else of the failed reply",
  );
  assert.equal(called?.service, "pages@docker");
  assert.deepEqual(called?.request, {
    method: "GET",
    host: "app.test:81",
    path: "/503.html",
    query: undefined,
    headers: [],
  });
});

test("errors leaves other statuses alone", async () => {
  const { body, called } = await fail({ status: "404,500-599" }, 403);
  assert.equal(body, "app");
  assert.equal(called, undefined);
});

test("the status stays even if the page is not there", async () => {
  const { exchange, body } = await fail(
    { status: "500" },
    500,
    {},
    { ...PAGE, status: 404, body: "no page" },
  );
  assert.equal(exchange.status, 500);
  assert.equal(body, "no page");
});

test("statusRewrites sends another status, the narrowest range first", async () => {
  const statusRewrites = { "500-599": "500", "503": "418", "400-510": "400" };
  const rewritten = async (status: number) =>
    (await fail({ status: "400-599", statusRewrites }, status)).exchange.status;
  assert.equal(await rewritten(503), 418);
  assert.equal(await rewritten(504), 500);
  assert.equal(await rewritten(404), 400);
  const { called } = await fail(
    { status: "503", statusRewrites, query: "/{status}/{originalStatus}?u={url}" },
    503,
    { url: "http://app.test/a?b=c&d" },
  );
  assert.equal(called?.request.path, "/418/503");
  assert.equal(called?.request.query, "u=http%3A%2F%2Fapp.test%2Fa%3Fb%3Dc%26d");
});

test("HD-15 what a client asked for is never expanded", async () => {
  const { called } = await fail({ status: "500", query: "/e?u={url}" }, 500, {
    path: "/{status}/{originalStatus}",
    url: "http://app.test/",
  });
  assert.equal(called?.request.query, "u=http%3A%2F%2Fapp.test%2F%7Bstatus%7D%2F%7BoriginalStatus%7D");
});

test("the service gets the request's headers, but no conditions and no framing, or only those named", async () => {
  const headers = [
    "Accept",
    "text/html",
    "Cookie",
    "a=1",
    "If-None-Match",
    "x",
    "Range",
    "bytes=0-1",
    "Content-Length",
    "3",
  ];
  const all = await fail({ status: "500" }, 500, { headers });
  assert.deepEqual(all.called?.request.headers, ["Accept", "text/html", "Cookie", "a=1"]);
  const some = await fail({ status: "500", errorRequestHeaders: "accept" }, 500, { headers });
  assert.deepEqual(some.called?.request.headers, ["Accept", "text/html"]);
});

test("errors without a query asks for the service's root", async () => {
  const { called } = await fail({ status: "500", query: "" }, 500);
  assert.equal(called?.request.path, "/");
});

test("errors says what is wrong with its options", () => {
  const wrong = (options: Record<string, unknown>) =>
    problemsOf(errors, { status: "500", service: "x", ...options }).join();
  assert.match(problemsOf(errors, {}).join(), /status is required.*service is required/);
  assert.match(wrong({ status: "" }), /at least one status/);
  assert.match(wrong({ status: "5xx" }), /status/);
  assert.match(wrong({ statusRewrites: { "5xx": "500" } }), /no status or range/);
  assert.match(wrong({ statusRewrites: { "500": "99" } }), /no status from 200/);
  assert.match(wrong({ query: "/../{status}" }), /query must be a path/);
  assert.match(wrong({ errorRequestHeaders: "a b" }), /header names/);
});

test("a query with half a character is a query with an unknown one", () => {
  assert.deepEqual(problemsOf(errors, { status: "500", service: "s", query: "/a?\ud83d" }), []);
});

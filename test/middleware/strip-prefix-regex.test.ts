import assert from "node:assert/strict";
import { test } from "node:test";
import stripPrefixRegex from "../../src/middleware/strip-prefix-regex.ts";
import { getHeader } from "../../src/model/headers.ts";
import { make, problemsOf, request, run } from "./harness.ts";

const strip = async (regex: string, path: string) => {
  const exchange = request({ path });
  const { stopped } = await run(make(stripPrefixRegex, { regex }), exchange);
  return {
    status: stopped?.status,
    path: exchange.path,
    told: getHeader(exchange.headers, "x-forwarded-prefix"),
  };
};

test("stripPrefixRegex takes off what the first matching expression covers at the start", async () => {
  assert.deepEqual(await strip("/v[0-9]+", "/v12/users"), {
    status: undefined,
    path: "/users",
    told: "/v12",
  });
  assert.deepEqual(await strip("/nope, /v[0-9]", "/v1/u"), { status: undefined, path: "/u", told: "/v1" });
  assert.equal((await strip("/v[0-9]+", "/x/v1")).path, "/x/v1", "a match elsewhere does not count");
  assert.equal((await strip("(?:/v9)?", "/v1")).path, "/v1", "nor does an empty one");
});

test("PR-04 stripPrefixRegex refuses with 400 when what is left is not normal", async () => {
  assert.equal((await strip("/api", "/api../x")).status, 400);
});

test("PR-06 stripPrefixRegex matches the decoded path and cuts the escaped one", async () => {
  assert.deepEqual(await strip("/caf\u00e9 [a-z]+", "/caf%C3%A9%20au/x%20y"), {
    status: undefined,
    path: "/x%20y",
    told: "/caf%C3%A9%20au",
  });
  assert.equal(
    (await strip("/..", "/%F0%9F%98%80a/x")).path,
    "/x",
    "a character beyond 16 bits is one character",
  );
  assert.equal((await strip("/[^/]+/b", "/a%2Fb/x")).path, "/a%2Fb/x", "an escaped slash is no slash");
});

test("HD-16 stripPrefixRegex takes linear time whatever the path and names a bad expression", async () => {
  assert.equal((await strip("/(a+)+$", `/${"a".repeat(5000)}!`)).status, undefined);
  assert.match(problemsOf(stripPrefixRegex, { regex: "/(?=a)" }).join(), /regex .*looking around/);
});

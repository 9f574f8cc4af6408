import assert from "node:assert/strict";
import { test } from "node:test";
import stripPrefix from "../../src/middleware/strip-prefix.ts";
import { getHeaders } from "../../src/model/headers.ts";
import { make, request, run } from "./harness.ts";

const strip = async (prefixes: string, path: string) => {
  const exchange = request({ path });
  const { stopped } = await run(make(stripPrefix, { prefixes }), exchange);
  return {
    status: stopped?.status,
    path: exchange.path,
    told: getHeaders(exchange.headers, "x-forwarded-prefix"),
  };
};

test("stripPrefix takes off the first prefix that fits and tells the application", async () => {
  assert.deepEqual(await strip("/api, /v1", "/v1/users"), {
    status: undefined,
    path: "/users",
    told: ["/v1"],
  });
  assert.deepEqual(await strip("/a,/a/b", "/a/b/c"), { status: undefined, path: "/b/c", told: ["/a"] });
  assert.deepEqual(await strip("/api", "/other"), { status: undefined, path: "/other", told: [] });
});

test("stripPrefix compares text, not segments, and leaves a path that begins with a slash", async () => {
  assert.equal((await strip("/api", "/apifoo/x")).path, "/foo/x");
  assert.equal((await strip("/api", "/api")).path, "/");
  assert.equal((await strip("/api/", "/api/x")).path, "/x");
});

test("PR-04 stripPrefix refuses with 400 when what is left is not normal", async () => {
  assert.equal((await strip("/api", "/api../x")).status, 400);
  assert.equal((await strip("/api", "/api./x")).status, 400);
  assert.equal((await strip("/a/", "/a/.")).status, 400);
});

test("PR-06 stripPrefix matches the decoded path without decoding it", async () => {
  assert.deepEqual(await strip("/a b", "/a%20b/c%2Fd"), {
    status: undefined,
    path: "/c%2Fd",
    told: ["/a%20b"],
  });
  assert.equal((await strip("/é", "/%C3%A9/x")).path, "/x");
  assert.equal((await strip("/a+b", "/a%2Bb/x")).path, "/x");
  assert.equal((await strip("/a+b", "/a+b/x")).path, "/x");
  assert.equal((await strip("/a/b", "/a%2Fb/x")).path, "/a%2Fb/x", "an escaped slash is no slash");
  assert.equal(
    (await strip("/a%2Fb", "/a%252Fb/x")).path,
    "/x",
    "a percent sign in the option is one in the path",
  );
});

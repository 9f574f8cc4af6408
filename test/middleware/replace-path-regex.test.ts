import assert from "node:assert/strict";
import { test } from "node:test";
import replacePathRegex from "../../src/middleware/replace-path-regex.ts";
import { getHeader } from "../../src/model/headers.ts";
import { make, problemsOf, request, run } from "./harness.ts";

const replace = async (regex: string, replacement: string, path: string) => {
  const exchange = request({ path, url: "http://app.test/?q=1" });
  const { stopped } = await run(make(replacePathRegex, { regex, replacement }), exchange);
  return {
    status: stopped?.status,
    path: exchange.path,
    told: getHeader(exchange.headers, "x-replaced-path"),
  };
};

test("replacePathRegex replaces every match, with groups, on the escaped path", async () => {
  assert.deepEqual(await replace("^/foo/(.*)", "/bar/$1", "/foo/a%20b"), {
    status: undefined,
    path: "/bar/a%20b",
    told: "/foo/a%20b",
  });
  assert.equal((await replace("o", "0", "/foo")).path, "/f00");
  assert.equal((await replace("^/(?P<id>\\d+)$", ["/user/$", "{id}x"].join(""), "/42")).path, "/user/42x");
  assert.deepEqual(await replace(" ^/nope ", " /x ", "/foo"), {
    status: undefined,
    path: "/foo",
    told: undefined,
  });
});

test("PR-05 replacePathRegex answers 400 when the new path is not normal", async () => {
  assert.equal((await replace("^/foo/(.*)", "/bar/../$1", "/foo/x")).status, 400);
  assert.equal((await replace("^/foo(.*)", "bar$1", "/foo/x")).status, 400);
  assert.equal((await replace("^/foo/", "/.", "/foo/./x")).status, 400);
  assert.equal((await replace("^/a/(.*)$", "/$1/b", "/a/")).status, 400, "an empty segment");
  assert.equal((await replace("%41", "%", "/%2541")).status, undefined);
  assert.equal((await replace("^.*$", "/100%", "/a")).status, 400);
});

test("HD-15 replacePathRegex expands the replacement once and never what a client sent", async () => {
  assert.equal((await replace("^/a/(.*)$", "/b/$1", "/a/$1$0")).path, "/b/$1$0");
});

test("PR-06 replacePathRegex escapes what a replacement brings", async () => {
  assert.equal((await replace("^/a$", "/é?x#y", "/a")).path, "/%C3%A9%3Fx%23y");
});

test("replacePathRegex names a bad expression", () => {
  assert.match(problemsOf(replacePathRegex, { regex: "(", replacement: "/" }).join(), /^regex /);
});

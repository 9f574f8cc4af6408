import assert from "node:assert/strict";
import { test } from "node:test";
import addPrefix from "../../src/middleware/add-prefix.ts";
import { make, problemsOf, request, run } from "./harness.ts";

const pathAfter = async (prefix: string, path: string) => {
  const exchange = request({ path });
  await run(make(addPrefix, { prefix }), exchange);
  return exchange.path;
};

test("addPrefix puts the prefix before the path", async () => {
  assert.equal(await pathAfter("/api", "/users"), "/api/users");
  assert.equal(await pathAfter("api", "/users"), "/api/users", "the leading slash may be left out");
});

test("PR-06 addPrefix leaves one normal, escaped path", async () => {
  assert.equal(await pathAfter("/api/", "/users"), "/api/users");
  assert.equal(await pathAfter("/", "/users"), "/users");
  assert.equal(await pathAfter("/a b/é", "/x%20y"), "/a%20b/%C3%A9/x%20y");
  assert.equal(await pathAfter("/a%2fb", "/x"), "/a%2Fb/x");
});

test("addPrefix refuses an empty prefix and one that is no normal path", () => {
  assert.match(problemsOf(addPrefix, {}).join(), /prefix is required/);
  assert.deepEqual(problemsOf(addPrefix, { prefix: "" }), ["prefix must not be empty"]);
  for (const prefix of ["/a/../b", "//a", "/a/./b", "/100%"])
    assert.match(problemsOf(addPrefix, { prefix }).join(), /without empty or dot segments/);
});

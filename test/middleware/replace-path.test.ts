import assert from "node:assert/strict";
import { test } from "node:test";
import replacePath from "../../src/middleware/replace-path.ts";
import { getHeader } from "../../src/model/headers.ts";
import { make, problemsOf, request, run } from "./harness.ts";

test("replacePath replaces the path, keeps the query and tells the application the old path", async () => {
  const exchange = request({ url: "http://app.test/old%20one?a=1" });
  await run(make(replacePath, { path: "/new one" }), exchange);
  assert.equal(exchange.path, "/new%20one");
  assert.equal(exchange.query, "a=1");
  assert.equal(getHeader(exchange.headers, "x-replaced-path"), "/old%20one");
});

test("PR-05 replacePath refuses a path that is not normal when it is configured", () => {
  for (const path of ["/a/../b", "no-slash", "//a", "/%zz", "/100%"])
    assert.match(problemsOf(replacePath, { path }).join(), /^path must be a path/);
});

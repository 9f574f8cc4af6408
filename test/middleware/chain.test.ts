import assert from "node:assert/strict";
import { test } from "node:test";
import chain from "../../src/middleware/chain.ts";
import { make, optionsOf, problemsOf } from "./harness.ts";

test("chain names its members in order and does nothing by itself", () => {
  assert.deepEqual(optionsOf(chain, { middlewares: "auth, compress@file" }).middlewares, [
    "auth",
    "compress@file",
  ]);
  assert.deepEqual(make(chain, { middlewares: "a" }), {});
});

test("a chain without members is a mistake", () => {
  assert.match(problemsOf(chain, {}).join(), /middlewares is required/);
  assert.match(problemsOf(chain, { middlewares: "" }).join(), /at least one/);
});

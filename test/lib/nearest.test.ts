import assert from "node:assert/strict";
import { test } from "node:test";
import { nearest } from "../../src/lib/nearest.ts";

test("the nearest name is found through a missing, a wrong, a doubled and two swapped letters", () => {
  const names = ["rule", "level", "service", "loadBalancer"];
  for (const [typed, meant] of [
    ["rul", "rule"],
    ["levle", "level"],
    ["servcie", "service"],
    ["sservice", "service"],
    ["LOADBALNCR", "loadBalancer"],
  ]) {
    assert.equal(nearest(typed!, names), meant);
  }
});

test("what nobody can have meant has no suggestion", () => {
  assert.equal(nearest("xyz", ["rule", "level"]), undefined);
  assert.equal(nearest("x".repeat(1_000_000), ["x".repeat(999_999)]), undefined);
  assert.equal(nearest("", ["rule"]), undefined);
});

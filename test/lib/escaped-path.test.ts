import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  coveredBy,
  coveredByDecoded,
  decodedPrefix,
  decodePath,
  escapePath,
  isNormalPath,
} from "../../src/lib/escaped-path.ts";

test("PR-06 a normal path has a leading slash, no dot and no empty segments, and upper-case escapes only where needed", () => {
  for (const path of ["/", "/a", "/a/", "/a.b/..c/d..", "/%20", "/%2F", "/a;b=1,(c)'!$&*+:@~"])
    assert.ok(isNormalPath(path), path);
  const wrong = [
    "",
    "a",
    "//",
    "/a//b",
    "/.",
    "/..",
    "/a/./b",
    "/a/../b",
    "/a/..",
    "/%2f",
    "/%41",
    "/%2",
    "/%zz",
    "/a b",
    "/é",
    "/a?b",
    "/a#b",
    "/a\\b",
  ];
  for (const path of wrong) assert.ok(!isNormalPath(path), path);
});

test("escaping makes the escapes of any text normal, and changes nothing that is", () => {
  assert.equal(escapePath("/a b/é/%7e%2f"), "/a%20b/%C3%A9/~%2F");
  assert.equal(escapePath("/%"), undefined);
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const escaped = escapePath(`/${text.replaceAll("%", "")}`);
      assert.ok(escaped !== undefined && escapePath(escaped) === escaped);
      assert.ok(isNormalPath(escaped.replaceAll(/\/[./]*/g, "/")), escaped);
    }),
  );
});

test("a prefix written plainly covers every way of writing it in a path", () => {
  assert.equal(coveredBy(decodedPrefix("/a b"), "/a%20b/c"), 6);
  assert.equal(coveredBy(decodedPrefix("/a+b"), "/a%2Bb/c"), 6);
  assert.equal(coveredBy(decodedPrefix("/a+b"), "/a+b/c"), 4);
  assert.equal(coveredBy(decodedPrefix("/a/b"), "/a%2Fb"), -1);
  assert.equal(coveredBy(decodedPrefix("/é"), "/%C3%A9"), 7);
  assert.equal(coveredBy(decodedPrefix("/é"), "/%C3"), -1);
  assert.equal(coveredBy(decodedPrefix("/abc"), "/ab"), -1);
});

test("every beginning of a decoded path covers the beginning of the escaped one that it was made of", () => {
  const piece = fc.constantFrom("/", "a", "%20", "%C3%A9", "%F0%9F%98%80", "%2F", "%25");
  fc.assert(
    fc.property(fc.array(piece), fc.nat(20), (pieces, taken) => {
      const path = `/${pieces.join("")}`;
      const start = `/${pieces.slice(0, taken).join("")}`;
      assert.equal(coveredByDecoded(path, decodePath(start).length), start.length);
    }),
  );
  assert.equal(coveredByDecoded("/%F0%9F%98%80", 2), -1, "half a character");
  assert.equal(coveredByDecoded("/%FF/x", 2), -1, "no UTF-8");
});

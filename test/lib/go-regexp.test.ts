import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compileGoRegexp, type GoRegexp, parseGoReplacement } from "../../src/lib/go-regexp.ts";

function regexp(pattern: string): GoRegexp {
  const compiled = compileGoRegexp(pattern);
  assert.ok("regexp" in compiled, JSON.stringify(compiled));
  return compiled.regexp;
}

function replaced(pattern: string, text: string, by: string): string {
  return regexp(pattern).replaceAll(text, parseGoReplacement(by));
}

test("patterns mean what they mean in Go", () => {
  for (const [pattern, text, expected] of [
    ["^/api/", "/api/x", true],
    ["(?i)JPG$", "/a.jpg", true],
    ["[[:alpha:]]+\\d", "abc1", true],
    ["\\Qa.b\\E", "axb", false],
    ["^a$", "a\n", false],
    ["(?m)^b$", "a\nb", true],
    ["a.b", "a\nb", false],
    ["(?s)a.b", "a\nb", true],
    ["\\bfoo\\b", "a foo b", true],
    ["\\pL+", "é", true],
    ["^.$", "\u{1F600}", true],
    ["\\z", "", true],
    ["x{2,3}", "xx", true],
    ["(?P<name>a)", "a", true],
  ] as const)
    assert.equal(regexp(pattern).test(text), expected, pattern);
});

test("what Go does not have is refused in words", () => {
  for (const [pattern, expected] of [
    ["a(?=b)", /\(\?= \(looking around\)/],
    ["(?<!a)b", /\(\?<! \(looking around\)/],
    ["(a)\\1", /references to groups/],
    ["a**", /invalid nested repetition operator: "\*\*"/],
    ["(", /missing closing \)/],
    ["[a", /missing closing \]/],
    ["a{1001}", /invalid repeat count/],
    ["[[:foo:]]", /character class range/],
    ["(?:(?:[a-z0-9]{1,9}x){100}){5}", /invalid repeat count/],
    [`(?:${"\\pL{1,900}".repeat(10)})`, /this pattern is too large/],
    ["x".repeat(20_001), /at most 20000 characters/],
  ] as const) {
    const compiled = compileGoRegexp(pattern);
    assert.ok("problem" in compiled, pattern);
    assert.match(compiled.problem, expected);
  }
});

test("HD-16 patterns that hang other engines take linear time", () => {
  const evil = [
    ["(a+)+$", `${"a".repeat(50_000)}!`],
    ["(x+x+)+y", "x".repeat(50_000)],
    ["^(.*?,){20}P", "1,".repeat(20_000)],
    ["(a|aa)+$", `${"a".repeat(50_000)}b`],
    ["([a-zA-Z]+)*\\d$", "z".repeat(50_000)],
  ] as const;
  for (const [pattern, text] of evil) assert.equal(regexp(pattern).test(text), false, pattern);
});

test("a replacement's names are as long as they can be", () => {
  assert.equal(replaced("a(x*)b", "-ab-axxb-", "$1"), "--xx-");
  assert.equal(replaced("a(x*)b", "-ab-axxb-", "$1W"), "---");
  assert.equal(replaced("a(x*)b", "-ab-axxb-", `\${1}W`), "-W-xxW-");
  assert.equal(replaced("a(?P<n>x*)b", "-ab-axxb-", `\${n}.`), "-.-xx.-");
  assert.equal(replaced("a(?P<n>x*)b", "axb", "$n.$nx"), "x.");
  assert.equal(replaced("(a)", "a", "$0$0$$1$"), "aa$1$");
  assert.equal(replaced("a", "a", `$9\${x}\${`), "${");
  assert.equal(replaced("a", "a", `\${1 }$01`), `\${1 }`);
  assert.equal(replaced("^http://(.*)$", "http://x/y", "https://$1"), "https://x/y");
  assert.equal(replaced("a(b)?", "a", "[$1]"), "[]");
});

test("empty matches are replaced as in Go", () => {
  for (const [pattern, text, by, expected] of [
    ["", "abc", "-", "-a-b-c-"],
    ["x*", "abc", "-", "-a-b-c-"],
    ["x*", "axbxx", "-", "-a-b-"],
    ["b*", "abc", "X", "XaXcX"],
    ["$", "abc", "!", "abc!"],
    ["^", "abc", "!", "!abc"],
    ["\\b", "ab cd", "|", "|ab| |cd|"],
    ["(?m)^", "a\nb", "> ", "> a\n> b"],
    ["", "", "x", "x"],
    ["a", "bbb", "x", "bbb"],
    ["", "\u{1F600}", "-", "-\u{1F600}-"],
    ["[a-c]*", "abcbcdcdedef", "x", "xdxdxexdxexfx"],
  ] as const)
    assert.equal(replaced(pattern, text, by), expected, `${pattern} in ${text}`);
});

test("finding gives the leftmost match and its groups", () => {
  assert.deepEqual(regexp("b+").find("aabbab"), { from: 2, to: 4 });
  assert.equal(regexp("c").find("aab"), undefined);
  assert.deepEqual(regexp("(a)|(b)").groups("b"), ["b", undefined, "b"]);
  assert.equal(regexp("c").groups("b"), undefined);
  assert.deepEqual(regexp("a.").findAll("abacad", 2), ["ab", "ac"]);
  assert.deepEqual(regexp("a").findAll("aaa", 0), []);
});

test("simple patterns agree with JavaScript's own", () => {
  const pattern = fc.array(
    fc.constantFrom("a", "b", ".", "a*", "b+?", "[ab]", "(a|b)", "^", "$", "\\w", "(?:ab)?"),
    { maxLength: 5 },
  );
  fc.assert(
    fc.property(pattern, fc.stringMatching(/^[abc]{0,8}$/), (parts, text) => {
      const source = parts.join("");
      const compiled = compileGoRegexp(source);
      if ("problem" in compiled) return;
      const found = new RegExp(source, "u").exec(text);
      const expected = found === null ? undefined : { from: found.index, to: found.index + found[0].length };
      assert.deepEqual(compiled.regexp.find(text), expected, source);
    }),
    { numRuns: 500 },
  );
});

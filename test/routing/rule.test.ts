import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { effectivePriority, PRIORITY_MAX } from "../../src/routing/priority.ts";
import { checkRule, type RuleSyntax } from "../../src/routing/rule.ts";

/** The whole message, caret line included. */
function problemOf(rule: string, syntax: RuleSyntax = "v3"): string {
  const { problem } = checkRule(rule, syntax);
  assert.ok(problem, `${rule} is refused`);
  return problem.suggestion === undefined ? problem.message : `${problem.message} [${problem.suggestion}]`;
}

test("a rule that does not parse is shown with the column and a caret", () => {
  assert.equal(
    problemOf("Host(`a.example.com`) && PathPrefx(`/api`)"),
    [
      "column 26: PathPrefx is not a matcher; known matchers are Host, HostRegexp, Path, PathPrefix, PathRegexp, Method, Header, HeaderRegexp, Query, QueryRegexp, ClientIP",
      "  Host(`a.example.com`) && PathPrefx(`/api`)",
      "                           ^ [PathPrefix]",
    ].join("\n"),
  );
});

test("in a rule of several lines the line is named and only that line shown", () => {
  assert.equal(
    problemOf("Host(`a`) &&\n  PathPrefix(`api`) &&\n  Method(`GET`)"),
    'line 2, column 14: a path starts with a slash, found "api"\n    PathPrefix(`api`) &&\n               ^ [PathPrefix(`/api`)]',
  );
});

test("columns count characters, not the halves of them", () => {
  assert.match(
    problemOf("Path(`/😀😀`) & Path(`/`)"),
    /^column 13: expected &&, found a single &\n.*\n {14}\^/,
  );
});

test("a very long line is shown around the place only", () => {
  const shown = problemOf(`${"Host(`a`) || ".repeat(100)}Hosts(\`b\`)`).split("\n");
  const [, line, caret] = shown as [string, string, string];
  assert.ok(line.length < 120, line);
  assert.ok(line.slice(caret.indexOf("^")).startsWith("Hosts"), line);
});

const REFUSED: readonly (readonly [rule: string, expected: RegExp])[] = [
  ["", /the rule is empty/],
  ["   \n ", /the rule is empty/],
  ["Host(`a`", /column 9: expected "," or "\)", found the end/],
  ["Host(`a", /column 6: this backtick is never closed/],
  ['Host("a', /column 6: this double quote is never closed/],
  ['Host("a\nb")', /column 6: this double quote is never closed/],
  ["Host('a')", /column 6: ' does not start a text.*\[`a`\]/s],
  ["Host(“a”)", /column 6: “ does not start a text.*\[`a`\]/s],
  ["Host(a)", /found a\n.*\[Host\(`a`\)\]/s],
  ["Host", /expected "\(" after Host, found the end/],
  ["Host`a`", /expected "\(" after Host, found `a`/],
  ["Host((`a`))", /expected a text in backticks or double quotes, found "\("/],
  ["Host(`a` + `b`)", /has no meaning here/],
  ["Host(5)", /expected a text/],
  ["Host(`a`) &&", /column 13: expected something such as Host\(`example.com`\), found the end/],
  ["&& Host(`a`)", /column 1: expected something such as Host\(`example.com`\), found "&&"/],
  ["Host(`a`) Path(`/`)", /column 11: expected &&, \|\| or the end, found Path/],
  ["Host(`a`) and Path(`/`)", /found the word and.*\[&&\]/s],
  ["Host(`a`) or Path(`/`)", /found the word or.*\[\|\|\]/s],
  ["not Host(`a`)", /found the word not.*\[!\]/s],
  ["Host(`a`) | Path(`/`)", /found a single \|.*\[\|\|\]/s],
  ["Host(`a`) == Path(`/`)", /found "=="/],
  ["Host(`a`);", /does not end with a semicolon/],
  ["Host(`a`))", /found "\)"/],
  ["(Host(`a`)", /found the end/],
  ["Host(`a`).x", /has no meaning here/],
  ["Host(`a`) /* x", /this comment is never closed/],
  [
    "Host(`a`)\n&& Path(`/`)",
    /line 1, column 10: the line ends before "&&".*write && at the end of this line/,
  ],
  ["Host(`a`)\n|| Path(`/`)", /line 1, column 10: the line ends before "\|\|"/],
  ["(Host(`a`)\n)", /line 1, column 11: the line ends before "\)".*join the two lines/],
  ["Host(\n`a`\n)", /line 2, column 4: the line ends before "\)"/],
  ["Host(`a`) // x\n&& Path(`/`)", /line 1/],
  ['Host("a\\.b")', /\\\. is no escape of a double-quoted text/],
  ["Host()", /Host takes 1 value, found 0/],
  ["Host(`a`, `b`)", /Host takes 1 value, found 2.*\[Host\(`a`\) \|\| Host\(`b`\)\]/s],
  ["Header(`a`)", /Header takes 2 values, found 1/],
  ["Query(`a`, `b`, `c`)", /Query takes 1 or 2 values, found 3/],
  ["Host(``)", /a value of Host is empty/],
  ["Header(`X`, ``)", /a value of Header is empty/],
  ["Host(`bücher.example`)", /is not ASCII.*\[Host\(`xn--bcher-kva.example`\)\]/s],
  ["Host(`.`)", /column 6: \. is no host/],
  ["Host(`[]`)", /column 6: \[\] is no host/],
  ["HostRegexp(`ü`)", /is not ASCII/],
  ["Path(`a`)", /a path starts with a slash, found "a".*\[Path\(`\/a`\)\]/s],
  ["PathPrefix(`a`)", /\[PathPrefix\(`\/a`\)\]/],
  ["PathRegexp(`(`)", /column 12: the regular expression is not right: missing closing \): "\("/],
  ["PathRegexp(`a(?=b)`)", /looking around/],
  ["PathRegexp(`(a)\\1`)", /references to groups/],
  ["HostRegexp(`a**`)", /invalid nested repetition/],
  ["ClientIP(`10.0.0`)", /expected an IP address or a range such as 10.0.0.0\/8, found "10.0.0"/],
  ["ClientIP(`10.0.0.0/33`)", /expected an IP address/],
  ["Header(`X Y`, `1`)", /expected a header name/],
  ["hOsT(`a`)", /hOsT is not a matcher.*\[Host\]/s],
  ["Headers(`a`, `b`)", /belongs to the v2 syntax; here it is Header/],
  ["HostSNI(`a`)", /is for TCP routers/],
];

for (const [rule, expected] of REFUSED) {
  test(`refused: ${JSON.stringify(rule)}`, () => assert.match(problemOf(rule), expected));
}

const REFUSED_V2: readonly (readonly [rule: string, expected: RegExp])[] = [
  ["PathRegexp(`/a`)", /belongs to the v3 syntax/],
  ["Host(`a`, `.`)", /column 11: \. is no host/],
  ["Path(`/{id`)", /the braces of .* are not in pairs/],
  ["Path(`/id}`)", /the braces/],
  ["Path(`/{:x}`)", /expected \{name\} or \{name:pattern\}/],
  ["Path(`/{a:(}`)", /the regular expression is not right/],
  ["Headers(`a`)", /Headers takes at least 2 values, found 1/],
  ["Headers(`a`, `b`, `c`)", /in pairs/],
  ["Query(`a`)", /expected key=value, found "a".*\[a=\]/s],
  ["Host()", /Host takes at least 1 value, found 0/],
];

for (const [rule, expected] of REFUSED_V2) {
  test(`refused in the v2 syntax: ${rule}`, () => assert.match(problemOf(rule, "v2"), expected));
}

test("RS-11 a rule that is nested too deep is a problem and not a crash", () => {
  assert.match(
    problemOf(`${"(".repeat(100_000)}Host(\`a\`)${")".repeat(100_000)}`),
    /deeper than 100 levels/,
  );
  assert.equal(checkRule(`${"!".repeat(100_000)}Host(\`a\`)`, "v3").problem, undefined);
  assert.equal(checkRule(`${"Host(`a`) && ".repeat(20_000)}Host(\`a\`)`, "v3").problem, undefined);
});

test("no text makes the parser throw", () => {
  const pieces = [
    "Host(",
    "`a`",
    '"b"',
    ")",
    "(",
    "&&",
    "||",
    "!",
    ",",
    " ",
    "\n",
    "/*",
    "*/",
    "//",
    "\\",
    "'",
    "&",
    "1",
    "é",
  ];
  const soup = fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 3 })), { maxLength: 20 });
  fc.assert(
    fc.property(soup, fc.constantFrom<RuleSyntax>("v2", "v3"), (parts, syntax) => {
      const check = checkRule(parts.join(""), syntax);
      if (check.problem !== undefined) assert.match(check.problem.message, /column \d+: |the rule is empty/);
    }),
    { numRuns: 500 },
  );
});

test("the hosts of a rule are those of Host anywhere in it, in order, lower-case and once each", () => {
  const { hosts } = checkRule(
    "Host(`B.example.com`) && (Host(`a.example.com.`) || !Host(`c.example.com`)) || Host(`*.w.example.com`) || Host(`b.example.com`) || HostRegexp(`^x$`) || Host(`*`)",
    "v3",
  );
  assert.deepEqual(hosts, ["b.example.com", "a.example.com", "c.example.com", "*.w.example.com"]);
  assert.deepEqual(checkRule("Host(`A`, `b`) || Path(`/`)", "v2").hosts, ["a", "b"]);
  assert.deepEqual(checkRule("Host(`a`", "v3").hosts, []);
});

test("a host that can never be one is in force, but told of", () => {
  for (const [value, expected] of [
    ["https://a.example.com", /no scheme/],
    ["a.example.com/api", /no path/],
    ["a.example.com:8080", /the port is cut off/],
    ["a.*.example.com", /a star stands only for the whole first label/],
    ["app-*.example.com", /a star stands only/],
    ["*app.example.com", /a star stands only/],
  ] as const) {
    const check = checkRule(`Host(\`${value}\`)`, "v3");
    assert.equal(check.problem, undefined);
    assert.match(check.warnings[0]!.message, expected);
    assert.deepEqual(check.hosts, []);
  }
  for (const value of ["a", "*.a", "*", "192.0.2.1", "::1", "[::1]", "a_b.c"]) {
    assert.deepEqual(checkRule(`Host(\`${value}\`)`, "v3").warnings, [], value);
  }
});

test("a priority of 0 is the number of bytes of the rule", () => {
  assert.equal(effectivePriority(0n, "Host(`a`)"), 9n);
  assert.equal(effectivePriority(0n, "Path(`/é`)"), 11n);
  assert.equal(effectivePriority(-5n, "Host(`a`)"), -5n);
  assert.equal(PRIORITY_MAX, 9223372036854774807n);
});

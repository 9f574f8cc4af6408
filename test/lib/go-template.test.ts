import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseGoTemplate, stringsSplit, type TemplateValue } from "../../src/lib/go-template.ts";

const DATA = new Map<string, TemplateValue>([
  ["Name", "web-app"],
  ["ContainerName", "app_web_1"],
  [
    "Labels",
    new Map([
      ["com.docker.compose.service", "web"],
      ["tier", "front"],
      ["__proto__", "mine"],
    ]),
  ],
]);
const CONTEXT = {
  environment: new Map([["DOMAIN", "example.org"]]),
  nowMs: () => Date.UTC(2026, 10, 21, 9, 5, 3, 120),
};

/** The text, or the problem's message with its suggestion. */
function rendered(template: string, data = DATA): string {
  const parsed = parseGoTemplate(template);
  const result = "problem" in parsed ? parsed : parsed.template.execute(data, CONTEXT);
  if ("text" in result) return result.text;
  const { message, suggestion } = result.problem;
  return suggestion === undefined ? message : `${message} [${suggestion}]`;
}

const RENDERED: Record<string, readonly (readonly [template: string, expected: string])[]> = {
  "default rules": [
    ["Host(`{{ normalize .Name }}`)", "Host(`web-app`)"],
    ["Host(`{{ trimPrefix `app_` .ContainerName }}.example.com`)", "Host(`web_1.example.com`)"],
    ['Host(`{{ .Name }}.{{ index .Labels "com.docker.compose.service" }}`)', "Host(`web-app.web`)"],
    ['{{ if index .Labels "tier" }}Host(`{{ .Labels.tier }}`){{ end }}', "Host(`front`)"],
    ['{{ index .Labels "missing" | default "none" }}', "none"],
    ['{{ with index .Labels "missing" }}{{ . }}{{ else }}nothing{{ end }}', "nothing"],
    ['{{ (index .Labels "tier") | printf "Host(`%s.%s`)" .Name }}', "Host(`web-app.front`)"],
    ["{{ .Labels.__proto__ }}{{ .Labels.constructor }}", "mine"],
  ],
  "text around actions": [
    ["a {{- 1 -}} b", "a1b"],
    ["a{{/* a comment */}}b", "ab"],
    ["a {{- /* a\ncomment */ -}}\n b", "ab"],
    ["{{ 1 }} {{ 2 }}", "1 2"],
    ["{{\n1\n}}", "1"],
    ["}} {", "}} {"],
    ["{{-1}}", "-1"],
    ['{{ "{{" }}', "{{"],
  ],
  literals: [
    ['{{ "a\\"b" }}{{ `c\\` }}', 'a"bc\\'],
    ["{{ 0x1F }} {{ 1_000 }} {{ -3 }} {{ 1.5 }} {{ 1e3 }} {{ 'a' }}", "31 1000 -3 1.5 1000 97"],
    ["{{ true }} {{ false }} {{ nil }}", "true false "],
  ],
  variables: [
    ["{{ $x := 1 }}{{ $x }}", "1"],
    ["{{ $x := 1 }}{{ $x = add $x 1 }}{{ $x }}", "2"],
    ["{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"],
    ["{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"],
    ["{{ $.Name }}{{ range list 1 }}{{ $.Name }}{{ end }}", "web-appweb-app"],
    ["{{ with $x := 5 }}{{ $x }}{{ . }}{{ end }}", "55"],
  ],
  "ranges and conditions": [
    ['{{ range splitList "," "a,b,c" }}[{{ . }}]{{ end }}', "[a][b][c]"],
    ['{{ range $i, $e := list "x" "y" }}{{ $i }}{{ $e }}{{ end }}', "0x1y"],
    ['{{ range $k, $v := dict "b" 2 "a" 1 }}{{ $k }}={{ $v }};{{ end }}', "a=1;b=2;"],
    ["{{ range list }}x{{ else }}empty{{ end }}", "empty"],
    ["{{ range 3 }}{{ . }}{{ end }}", "012"],
    [
      "{{ range until 5 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ if eq . 3 }}{{ break }}{{ end }}{{ . }}{{ end }}",
      "02",
    ],
    ["{{ if 0 }}a{{ else if false }}b{{ else }}c{{ end }}", "c"],
    ["{{ if and 1 (eq 1 1) (not false) }}yes{{ end }}", "yes"],
    ["{{ or 0 `` `x` }}{{ and 1 0 2 }}", "x0"],
    ["{{ if or true (fail `never`) }}lazy{{ end }}", "lazy"],
    [
      "{{ eq 3 1 2 3 }} {{ ne 1 2 }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt `b` `a` }} {{ ge 1 2 }}",
      "true true true true true false",
    ],
    ["{{ define `x` }}<{{ . }}>{{ end }}{{ template `x` .Name }}{{ template `x` }}", "<web-app><>"],
    ["{{ block `y` 1 }}[{{ . }}]{{ end }}", "[1]"],
  ],
  "functions on texts": [
    ["{{ .Name | upper | lower | title }}", "Web-App"],
    ["{{ trim `  a ` }}|{{ trimAll `-` `--a--` }}|{{ trimSuffix `-app` .Name }}", "a|a|web"],
    [
      "{{ replace `-` `_` .Name }} {{ contains `app` .Name }} {{ hasPrefix `web` .Name }} {{ hasSuffix `web` .Name }}",
      "web_app true true false",
    ],
    [
      "{{ join `,` (list 1 `a` true) }} {{ (split `-` .Name)._1 }} {{ splitList `-` .Name | last }}",
      "1,a,true app app",
    ],
    ["{{ quote .Name 1 }} {{ squote .Name }}", '"web-app" "1" \'web-app\''],
    [
      "{{ repeat 3 `ab` }} {{ substr 0 3 .Name }} {{ trunc -3 .Name }} {{ abbrev 5 .Name }} {{ nospace `a b` }}",
      "ababab web app we... ab",
    ],
    ["{{ indent 2 `a\nb` }}{{ nindent 1 `c` }}", "  a\n  b\n c"],
    [
      "{{ snakecase `HTTPServerName` }} {{ kebabcase `aB c` }} {{ camelcase `a_b` }}",
      "http_server_name a-b-c AB",
    ],
    [
      "{{ regexMatch `^web` .Name }} {{ regexReplaceAll `(w)eb` .Name `$1` }} {{ regexFind `[a-z]+$` .Name }}",
      "true w-app app",
    ],
    [
      "{{ regexReplaceAllLiteral `w` .Name `$1` }} {{ regexSplit `-` .Name -1 }} {{ regexFindAll `.` `abc` 2 }}",
      "$1eb-app [web app] [a b]",
    ],
    [
      "{{ b64enc `a` }} {{ b64dec `YQ==` }} {{ sha256sum `a` | trunc 8 }} {{ sha1sum `a` | trunc 8 }}",
      "YQ== a ca978112 86f7e437",
    ],
    [
      "{{ normalize `/My_app.1` }}|{{ plural `one` `many` 2 }}|{{ cat 1 `a` }}|{{ toString 5 }}",
      "My-app-1|many|1 a|5",
    ],
    ["{{ base `/a/b.c` }} {{ dir `/a/b.c` }} {{ ext `/a/b.c` }} {{ clean `/a/../b/` }}", "b.c /a .c /b"],
    [
      "{{ printf `%s|%5s|%-5s|%05d|%q|%v|%t|%x|%.2f|%%` `a` `b` `c` 42 `d` 1.5 true 255 3.14159 }}",
      'a|    b|c    |00042|"d"|1.5|true|ff|3.14|%',
    ],
    ["{{ printf `%d %s` `a` }}", "%!d(string=a) %!s(MISSING)"],
    ["{{ printf `a` 1 }}", "a%!(EXTRA int=1)"],
    ["{{ print 1 2 `a` 3 }}{{ println 1 `b` }}", "1 2a31 b\n"],
    ["{{ html `<a>` }} {{ urlquery `a b&c` }}", "&#60;a&#62; a+b%26c"],
  ],
  "functions on numbers": [
    ["{{ add 1 2 3 }} {{ sub 5 2 }} {{ mul 2 3 }} {{ div 7 2 }} {{ mod 7 2 }} {{ add1 1 }}", "6 3 6 3 1 2"],
    [
      "{{ max 1 3 2 }} {{ min 2 1 }} {{ floor 1.7 }} {{ ceil 1.2 }} {{ round 1.256 2 }} {{ int `12` }} {{ int `x` }}",
      "3 1 1 2 1.26 12 0",
    ],
    ["{{ addf 1.5 1 }} {{ divf 3 2 }} {{ float64 `1.5` }} {{ atoi `7` }}", "2.5 1.5 1.5 7"],
    [
      "{{ until 3 }} {{ untilStep 0 10 5 }} {{ seq 3 }} {{ seq 5 1 }} {{ seq 0 2 6 }}",
      "[0 1 2] [0 5] 1 2 3 5 4 3 2 1 0 2 4 6",
    ],
  ],
  "functions on lists and maps": [
    [
      "{{ first (list 1 2) }} {{ rest (list 1 2) }} {{ initial (list 1 2) }} {{ append (list 1) 2 }} {{ prepend (list 1) 0 }}",
      "1 [2] [1] [1 2] [0 1]",
    ],
    [
      "{{ uniq (list 1 1 2) }} {{ without (list 1 2) 1 }} {{ has 1 (list 1) }} {{ reverse (list 1 2) }} {{ compact (list 0 1 ``) }}",
      "[1 2] [2] true [2 1] [1]",
    ],
    [
      "{{ sortAlpha (list `b` `a`) }} {{ concat (list 1) (list 2) }} {{ slice (list 1 2 3) 1 2 }} {{ chunk 2 (list 1 2 3) }}",
      "[a b] [1 2] [2] [[1 2] [3]]",
    ],
    [
      "{{ $d := dict `a` 1 }}{{ $_ := set $d `b` 2 }}{{ $d.b }}{{ get $d `a` }}{{ hasKey $d `c` }}{{ unset $d `a` }}",
      "21falsemap[b:2]",
    ],
    [
      "{{ keys (dict `a` 1) }} {{ values (dict `a` 1) }} {{ pick (dict `a` 1 `b` 2) `a` }} {{ omit (dict `a` 1 `b` 2) `a` }}",
      "[a] [1] map[a:1] map[b:2]",
    ],
    [
      "{{ merge (dict `a` 1) (dict `a` 2 `b` 3) }} {{ mergeOverwrite (dict `a` 1) (dict `a` 2) }} {{ dig `a` `b` `no` (dict `a` (dict `b` 1)) }}",
      "map[a:1 b:3] map[a:2] 1",
    ],
    ["{{ len (list 1 2) }} {{ len `é` }} {{ index (list 1 (dict `a` `b`)) 1 `a` }}", "2 2 b"],
    ['{{ toJson (dict `a` (list 1 `<`)) }} {{ (fromJson `{"x": [1]}`).x }}', '{"a":[1,"\\u003c"]} [1]'],
  ],
  "functions under their other names": [
    ["{{ mustRegexMatch `^w` .Name }} {{ mustToJson (list 1) }} {{ mustFirst (list 1 2) }}", "true [1] 1"],
  ],
  choosing: [
    [
      "{{ default 1 0 }} {{ default 1 2 }} {{ empty `` }} {{ coalesce 0 `` 3 }} {{ ternary `y` `n` false }}",
      "1 2 true 3 n",
    ],
    [
      "{{ kindOf 1 }} {{ kindOf (list) }} {{ typeOf 1.5 }} {{ kindIs `string` `a` }} {{ all 1 0 }} {{ any 1 0 }}",
      "int slice float64 true false true",
    ],
  ],
  "what is outside": [
    ["{{ env `DOMAIN` }}{{ env `PATH` }} {{ expandenv `a.$DOMAIN` }}", "example.org a.example.org"],
    [
      "{{ now | date `2006-01-02T15:04:05.000Z07:00` }} {{ now | htmlDate }} {{ unixEpoch now }}",
      "2026-11-21T09:05:03.120Z 2026-11-21 1795251903",
    ],
    ["{{ now | date `Monday, 2 January 06 3:04PM MST` }}", "Saturday, 21 November 26 9:05AM UTC"],
  ],
};

for (const [group, cases] of Object.entries(RENDERED)) {
  test(`${group} come out as in Go`, () => {
    for (const [template, expected] of cases) assert.equal(rendered(template), expected, template);
  });
}

const REFUSED: readonly (readonly [template: string, expected: RegExp])[] = [
  ["{{ lowr .Name }}", /^line 1, column 4: there is no function lowr \[lower\]$/],
  ["a\n  {{ genPrivateKey `rsa` }}", /^line 2, column 6: there is no function genPrivateKey/],
  [
    "{{ .Nam }}",
    /^line 1, column 4: there is no field .Nam; there are .Name, .ContainerName, .Labels \[.Name\]/,
  ],
  ["{{ $x }}", /there is no variable \$x here/],
  ["{{ $name := 1 }}{{ $nam }}", /there is no variable \$nam here \[\$name\]/],
  ["{{ $x = 1 }}", /there is no variable \$x/],
  ["{{ .Name", /never closed by }}/],
  ["{{ if .Name }}x", /column 4: this \{\{if\}\} has no \{\{end\}\}/],
  ["{{ end }}", /\{\{end\}\} closes nothing/],
  ["{{ else }}", /\{\{else\}\} closes nothing/],
  ["{{ if 1 }}{{ else }}{{ else }}{{ end }}", /a second \{\{else\}\}/],
  ["{{ if }}x{{ end }}", /expected a value or a function/],
  ["{{ }}", /expected a value/],
  ["{{ .Name .Name }}", /only a function can have values/],
  ["{{ 1 | .Name }}", /only a function can take a piped value/],
  ["{{ .Name | 1 }}", /cannot be piped into a literal/],
  ["{{ | upper }}", /nothing comes before this \|/],
  ["{{ (upper .Name }}", /parenthesis is never closed/],
  ["{{ 'ab' }}", /not in single quotes/],
  ['{{ "a\\.b" }}', /is no escape/],
  ["{{ .Labels.a-b }}", /a name with a hyphen is written index/],
  ["{{ /* x }}", /this comment is never closed/],
  ["{{ break }}", /outside of a range/],
  ["{{ template `x` }}", /there is no template "x"/],
  ["{{ upper }}", /upper takes 1 value, found 0/],
  ["{{ replace `a` .Name }}", /replace takes 3 values, found 2/],
  ["{{ upper (list 1) }}", /upper: expected a text, found a list/],
  ["{{ index (list 1) 3 }}", /index: index 3 is out of range; there are 1/],
  ["{{ range .Name }}{{ end }}", /range needs a list or a map, found a text/],
  ["{{ .Name.x }}", /.x is asked of a text/],
  ["{{ regexMatch `(` `a` }}", /the regular expression is not right: missing closing/],
  ["{{ div 1 0 }}", /cannot divide by 0/],
  ["{{ lt 1 `a` }}", /expected two numbers or two texts/],
  ["{{ fail `no domain` }}", /fail: no domain/],
  ["{{ fromJson `{` }}", /this is not JSON/],
  ["{{ define `x` }}{{ template `x` }}{{ end }}{{ template `x` }}", /call each other without an end/],
];

for (const [template, expected] of REFUSED) {
  test(`refused: ${JSON.stringify(template)}`, () => assert.match(rendered(template), expected));
}

test("neither work nor output can grow without a bound", () => {
  for (const template of [
    "{{ range until 100000000 }}{{ end }}",
    "{{ range 1000000000 }}{{ end }}",
    "{{ range until 10000 }}{{ range until 10000 }}{{ end }}{{ end }}",
    "{{ repeat 100000000 `x` }}",
    "{{ $a := `x` }}{{ range until 40 }}{{ $a = print $a $a }}{{ end }}{{ $a }}",
    "{{ $a := list 1 }}{{ range until 40 }}{{ $a = list $a $a }}{{ end }}{{ $a }}",
    "{{ $a := list 1 }}{{ range until 5000 }}{{ $a = list $a }}{{ end }}{{ toJson $a }}",
    "{{ $d := dict }}{{ $_ := set $d `me` $d }}{{ $d }}",
    "{{ range until 3000 }}{{ repeat 1000 `x` }}{{ end }}",
    "{{ $a := repeat 100000 `a` }}{{ replace `a` $a $a | replace `a` $a }}",
  ])
    assert.match(rendered(template), /too long|longer than|more work|too large|too deep/, template);
});

test("RS-11 a template that is nested too deep is a problem and not a crash", () => {
  assert.match(rendered(`{{ ${"(".repeat(100_000)}`), /deeper than 100 levels/);
  assert.match(rendered("{{ if 1 }}".repeat(100_000)), /deeper than 100 levels/);
});

test("a template cannot change what it was given", () => {
  assert.equal(rendered("{{ $_ := set .Labels `tier` `x` }}{{ .Labels.tier }}"), "x");
  assert.equal((DATA.get("Labels") as Map<string, string>).get("tier"), "front");
});

test("functions may be brought along, as Traefik's file provider brings Go's split", () => {
  const parsed = parseGoTemplate("{{ range split `a,b` `,` }}[{{ . }}]{{ end }}", {
    functions: new Map([["split", stringsSplit]]),
  });
  assert.ok("template" in parsed);
  assert.deepEqual(parsed.template.execute(new Map(), CONTEXT), { text: "[a][b]" });
});

test("no text makes the parser or a run throw", () => {
  const pieces = [
    "{{",
    "}}",
    "{{-",
    " -}}",
    "if ",
    "else",
    "end",
    "range ",
    "with ",
    "define `x`",
    "template `x`",
    "$x",
    ":=",
    "=",
    "|",
    "(",
    ")",
    ".",
    ".Name",
    "index",
    "print",
    "`a`",
    '"',
    "1",
    "set",
    "/*",
    "*/",
  ];
  const soup = fc.array(
    fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...pieces) },
      { weight: 1, arbitrary: fc.string({ maxLength: 3 }) },
    ),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(soup, (parts) => {
      assert.equal(typeof rendered(parts.join("")), "string");
    }),
    { numRuns: 2000 },
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { group, list, mapOf } from "../../src/schema/composites.ts";
import { bool, choice, count, duration, int, text } from "../../src/schema/kinds.ts";
import { Node } from "../../src/schema/node.ts";
import { redact } from "../../src/schema/redact.ts";
import { read, tree, type Written } from "./harness.ts";

const OPTIONS = {
  name: text({ doc: "A name.", default: "x" }),
  wait: duration({ doc: "A wait.", default: "10s" }),
  tags: list(text)({ doc: "Some tags." }),
  extra: mapOf(text)({ doc: "More." }),
  users: list(text)({ doc: "Users.", secret: true }),
  token: text({ doc: "A token.", default: "", secret: true }),
  tls: group({ resolver: text({ doc: "A resolver.", default: "" }) }, { enabler: true })({ doc: "TLS." }),
  deep: group({ level: int({ doc: "A level.", default: "3" }) })({ doc: "Deep.", always: true }),
  domains: list(group({ main: text({ doc: "A name.", required: true }), sans: list(text)({ doc: "" }) }))({
    doc: "Domains.",
  }),
};

test("an option that is not written has its default, and a list or map is empty", () => {
  const { values, problems } = read(OPTIONS, {});
  assert.deepEqual(problems, []);
  assert.equal(values.name, "x");
  assert.equal(values.wait, 10_000);
  assert.deepEqual(values.tags, []);
  assert.deepEqual(values.extra, new Map());
  assert.equal(values.tls, undefined);
  assert.equal(values.deep.level, 3);
});

test("names count in any case", () => {
  const { values, problems } = read(OPTIONS, { NAME: "a", deEP: { LEVEL: "4" } });
  assert.deepEqual(problems, []);
  assert.equal(values.name, "a");
  assert.equal(values.deep.level, 4);
});

test("an unknown option names its place, the known ones and the nearest", () => {
  const { said, values } = read(OPTIONS, { deep: { levle: 1 } });
  assert.deepEqual(said, [
    'test.yml:1:1 deep.levle: "levle" is not an option here; known options are level (did you mean level?)',
  ]);
  assert.equal(values.deep.level, 3);
});

test("a bad value leaves the default in force and says what was expected and found", () => {
  const { values, said } = read(OPTIONS, { wait: "soon" });
  assert.equal(values.wait, 10_000);
  assert.deepEqual(said, [
    'test.yml:1:1 wait: expected a duration such as 10s, 1m30s or 500ms, found "soon"',
  ]);
});

test("every problem is reported, not only the first", () => {
  assert.equal(read(OPTIONS, { wait: "a", deep: { level: "b" }, domains: [{}], nmae: 1 }).problems.length, 4);
});

test("a list is one text with commas, or a list; empty parts are left out", () => {
  assert.deepEqual(read(OPTIONS, { tags: "a, b,,c ," }).values.tags, ["a", "b", "c"]);
  assert.deepEqual(read(OPTIONS, { tags: ["a,b", "c"] }).values.tags, ["a,b", "c"]);
  assert.deepEqual(read(OPTIONS, { tags: "" }).values.tags, []);
});

test("a name with a dot is one name where labels spell it, beside the name without", () => {
  const root = new Node("", { source: "label", key: "" });
  const place = (key: string) => ({ source: "label", key }) as const;
  const extra = root.child("extra", place("extra"));
  extra.child("X-Foo", place("extra.X-Foo")).value = "a";
  extra.child("X-Foo", place("extra.X-Foo")).child("Bar", place("extra.X-Foo.Bar")).value = "b";
  const { values, problems } = read(OPTIONS, root);
  assert.deepEqual(problems, []);
  assert.deepEqual(
    [...values.extra],
    [
      ["X-Foo", "a"],
      ["X-Foo.Bar", "b"],
    ],
  );
});

test("what is of another shape is a problem, never a guess", () => {
  const said = (written: Written) => read(OPTIONS, written).said.join("\n");
  assert.match(said({ name: ["a"] }), /expected one text, found a list inside it/);
  assert.match(said({ name: { a: 1 } }), /expected one text, found a inside it/);
  assert.match(said({ extra: ["a"] }), /expected names below it, such as extra.example, found a list/);
  assert.match(said({ extra: "a" }), /found "a"/);
  assert.match(said({ deep: [1] }), /expected options below it \(level\), found a list/);
  assert.match(said({ deep: "yes" }), /found "yes"/);
  assert.match(said({ domains: "a" }), /expected numbered entries such as domains\[0\], found "a"/);
  assert.match(said({ domains: { main: "a" } }), /found names without a number/);
});

test("a group that its bare name switches on takes true, false and nothing else", () => {
  assert.notEqual(read(OPTIONS, { tls: true }).values.tls, undefined);
  assert.notEqual(read(OPTIONS, { tls: "" }).values.tls, undefined);
  assert.notEqual(read(OPTIONS, { tls: {} }).values.tls, undefined);
  assert.equal(read(OPTIONS, { tls: "false" }).values.tls, undefined);
  assert.match(read(OPTIONS, { tls: "maybe" }).said[0]!, /expected true, false or options below it/);
});

test("a switch with nothing after it stays off and says so", () => {
  const { values, problems } = read(OPTIONS, { tls: null });
  assert.equal(values.tls, undefined);
  assert.equal(problems[0]?.severity, "warning");
  assert.match(problems[0]!.message, /write tls: \{\}/);
});

test("a missing required option is reported where it should be", () => {
  assert.match(read(OPTIONS, { domains: [{}] }).said[0]!, /domains\[0\]\.main: is required/);
  const { said } = read(OPTIONS, { domains: [{ mian: "a" }] });
  assert.equal(said.length, 1, "one that was mistyped is said once, where it was written");
  assert.match(said[0]!, /did you mean main/);
});

test("a refused option is a problem with the reason, unless it asks for what is so anyway", () => {
  const options = {
    old: text({ doc: "Old.", refused: "use new" }),
    off: bool({ doc: "Off.", default: "false", refused: "there is none" }),
    gone: group({}, { enabler: true })({ doc: "Gone.", refused: "it went" }),
  };
  assert.match(read(options, { old: "x" }).said[0]!, /old is not supported: use new/);
  assert.match(read(options, { off: true }).said[0]!, /there is none/);
  assert.match(read(options, { gone: { any: { thing: 1 } } }).said[0]!, /it went/);
  assert.deepEqual(read(options, { off: false, gone: false }).said, []);
});

test("an obsolete option is a warning, unless it asks for what is so anyway", () => {
  const options = { ads: bool({ doc: "Ads.", default: "false", obsolete: "there are none" }) };
  const { problems } = read(options, { ads: true });
  assert.deepEqual([problems[0]?.severity, problems[0]?.code], ["warning", "obsolete-option"]);
  assert.deepEqual(read(options, { ads: "FALSE" }).problems, []);
});

test("a secret may be kept elsewhere: a value in a file or variable, a list one entry a line", () => {
  const { values } = read(
    OPTIONS,
    { token: "env:TOKEN", users: "file:/run/secrets/users" },
    { "env:TOKEN": "t0p", "file:/run/secrets/users": "a:1\r\nb:2\n\n" },
  );
  assert.equal(values.token, "t0p");
  assert.deepEqual(values.users, ["a:1", "b:2"]);
});

test("only secrets are fetched: elsewhere file: and env: are ordinary text", () => {
  assert.equal(read(OPTIONS, { name: "file:/etc/passwd" }).values.name, "file:/etc/passwd");
});

test("no message and no redacted value shows a secret", () => {
  const options = {
    pin: int({ doc: "Pin.", secret: true }),
    kind: choice("alpha", "beta")({ doc: "Kind.", secret: true }),
    pins: list(count)({ doc: "Pins.", secret: true }),
    map: mapOf(count)({ doc: "Map.", secret: true }),
    nested: list(group({ key: text({ doc: "Key.", secret: true }) }))({ doc: "Nested." }),
  };
  const { said } = read(options, {
    pin: "hunter2",
    kind: "hunter2",
    pins: "1,hunter2",
    map: { a: "hunter2" },
  });
  assert.equal(said.length, 4);
  assert.doesNotMatch(said.join(), /hunter2/);
  assert.doesNotMatch(read(options, { pin: "file:/hunter" }).said.join(), /hunter/);
  const { values } = read(options, {
    pin: "42",
    kind: "beta",
    pins: "1,2",
    map: { a: "1" },
    nested: [{ key: "k" }],
  });
  assert.deepEqual(redact(options, values), {
    pin: "***",
    kind: "***",
    pins: ["***", "***"],
    map: { a: "***" },
    nested: [{ key: "***" }],
  });
});

test("a name such as __proto__ is only a name", () => {
  const { values, problems } = read(
    OPTIONS,
    JSON.parse('{"extra":{"__proto__":"1","constructor":"2"}}') as Written,
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(
    [...values.extra],
    [
      ["__proto__", "1"],
      ["constructor", "2"],
    ],
  );
  assert.equal(JSON.stringify(redact(OPTIONS, values)).includes('"__proto__":"1"'), true);
  const unknown = read(OPTIONS, JSON.parse('{"__proto__":{"name":"evil"},"toString":1}') as Written);
  assert.equal(unknown.problems.length, 2);
  assert.equal(unknown.values.name, "x");
});

test("hostile names cannot steer a terminal nor fill it", () => {
  const { said } = read(OPTIONS, { [`\u001b[31m\u202e${"x".repeat(10_000)}\n`]: 1 });
  assert.doesNotMatch(said.join(), /[\u0000-\u001f\u202e]/);
  assert.ok(said.join().length < 1200);
});

const written: fc.Arbitrary<Written> = fc.letrec<{ value: Written }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.string(),
    fc.boolean(),
    fc.integer(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(
      fc.oneof(fc.string(), fc.constantFrom(...Object.keys(OPTIONS), "main", "level")),
      tie("value"),
      {
        maxKeys: 6,
      },
    ),
  ),
})).value;

test("nothing that can be written makes reading throw, and what is read can be shown", () => {
  fc.assert(
    fc.property(written, (anything) => {
      const { values, problems } = read(OPTIONS, tree(anything));
      JSON.stringify(redact(OPTIONS, values));
      for (const problem of problems) assert.doesNotMatch(problem.message, /[\u0000-\u001f]/);
    }),
    { numRuns: 1000 },
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { list, mapOf } from "../../src/schema/composites.ts";
import * as kinds from "../../src/schema/kinds.ts";
import type { KindMaker } from "../../src/schema/option.ts";
import { read } from "./harness.ts";

function valueOfText<T>(kind: KindMaker<T>, written: string | number | boolean): T | undefined {
  const { values, problems } = read({ it: kind({ doc: "It." }) }, { it: written });
  return problems.length > 0 ? undefined : (values.it as T);
}

function all<T>(kind: KindMaker<T>, cases: readonly (readonly [string | number | boolean, T | undefined])[]) {
  for (const [written, expected] of cases)
    assert.deepEqual(valueOfText(kind, written), expected, String(written));
}

test("true and false are written as Go's ParseBool takes them", () => {
  all(kinds.bool, [
    ["true", true],
    [true, true],
    ["T", true],
    ["1", true],
    ["FALSE", false],
    ["0", false],
    ["yes", undefined],
    ["tRue", undefined],
    ["", undefined],
    [" true", undefined],
  ]);
});

test("a duration is whole seconds or Go's units", () => {
  all(kinds.duration, [
    ["10", 10_000],
    [10, 10_000],
    ["-1", -1000],
    ["1.5s", 1500],
    ["1h30m", 5_400_000],
    ["300ms", 300],
    ["2us", 0.002],
    [".5s", 500],
    ["", undefined],
    ["1.5", undefined],
    ["10 s", undefined],
    ["1d", undefined],
    ["9".repeat(30), undefined],
    [`${"9".repeat(20)}h`, undefined],
  ]);
});

test("a duration is shown as Go prints it and reads back as the same", () => {
  assert.deepEqual([0, 1, 90_000, 3_600_000, 1500, -1000, 0.5, 100_000].map(kinds.formatDuration), [
    "0s",
    "1ms",
    "1m30s",
    "1h0m0s",
    "1.5s",
    "-1s",
    "500µs",
    "1m40s",
  ]);
  fc.assert(
    fc.property(fc.integer({ min: -9_000_000_000, max: 9_000_000_000 }), (ms) => {
      assert.equal(kinds.readDuration(kinds.formatDuration(ms)), ms);
    }),
  );
});

test("numbers are whole, in range and exact", () => {
  all(kinds.int, [
    ["50", 50],
    ["-3", -3],
    ["0x10", undefined],
    ["1_000", undefined],
    ["1.0", undefined],
    ["9007199254740993", undefined],
  ]);
  all(kinds.port, [
    [80, 80],
    ["0", undefined],
    ["65536", undefined],
  ]);
  all(kinds.percent, [
    ["100", 100],
    ["101", undefined],
  ]);
  all(kinds.int64, [
    ["9223372036854775807", 9223372036854775807n],
    ["9223372036854775808", undefined],
    ["-9223372036854775808", -9223372036854775808n],
  ]);
  all(kinds.float, [
    ["0.5", 0.5],
    ["1e-3", 0.001],
    ["1e999", undefined],
    ["NaN", undefined],
    ["Infinity", undefined],
  ]);
});

test("a size is bytes or has a unit", () => {
  all(kinds.size, [
    ["1048576", 1_048_576],
    [-1, -1],
    ["1MiB", 1_048_576],
    ["10MB", 10_000_000],
    ["64 k", 65_536],
    ["1.5MB", undefined],
    ["10TB", undefined],
    [`${"9".repeat(30)}g`, undefined],
  ]);
});

test("a choice is a word in any case, with the spelling of the declaration", () => {
  const kind = kinds.choice("keep", "Drop");
  all(kind, [
    ["KEEP", "keep"],
    ["drop", "Drop"],
    ["x", undefined],
  ]);
  assert.match(read({ it: kind({ doc: "" }) }, { it: "dorp" }).said[0]!, /did you mean Drop\?/);
});

test("addresses, header names and statuses are checked", () => {
  all(kinds.cidr, [
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["::1", "::1"],
    ["10.0.0.0/33", undefined],
    ["::/129", undefined],
    ["10.0.0.0/8/8", undefined],
    ["example.com", undefined],
  ]);
  all(kinds.headerName, [
    ["X-Api-Key", "X-Api-Key"],
    ["X Api", undefined],
    ["", undefined],
  ]);
  all(kinds.statusRange, [
    ["500-599", { from: 500, to: 599 }],
    ["404", { from: 404, to: 404 }],
    ["599-500", undefined],
    ["50", undefined],
    ["000", undefined],
  ]);
});

const EVERY: readonly KindMaker<unknown>[] = [
  kinds.text,
  kinds.bool,
  kinds.int,
  kinds.count,
  kinds.percent,
  kinds.port,
  kinds.int64,
  kinds.float,
  kinds.duration,
  kinds.size,
  kinds.choice("a", "b"),
  kinds.cidr,
  kinds.headerName,
  kinds.statusRange,
  list(kinds.duration),
  mapOf(kinds.size),
];

const nearlyRight = fc.stringMatching(/^[-+]?[0-9.]{0,40}[a-zµ/]{0,6}[0-9]{0,5}$/);

test("no text makes a kind throw, and what it takes it can show", () => {
  const written = fc.oneof(fc.string({ unit: "binary" }), nearlyRight, fc.double().map(String));
  fc.assert(
    fc.property(written, fc.constantFrom(...EVERY), (text, kind) => {
      const value = valueOfText(kind, text);
      if (value !== undefined) assert.doesNotThrow(() => JSON.stringify(kind.kind.show(value)));
    }),
    { numRuns: 2000 },
  );
});

test("a text of a megabyte is refused at once, in a short message", () => {
  const huge = ["1".repeat(1_000_000), "1s".repeat(500_000), "a,".repeat(500_000), "9.".repeat(500_000)];
  for (const text of huge) {
    for (const kind of EVERY.filter(({ kind }) => kind.form === "scalar")) {
      for (const said of read({ it: kind({ doc: "It." }) }, { it: text }).said) assert.ok(said.length < 700);
    }
  }
});

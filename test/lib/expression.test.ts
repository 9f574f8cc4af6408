import assert from "node:assert/strict";
import { test } from "node:test";
import { describeExpressionProblem, type Expression, parseExpression } from "../../src/lib/expression.ts";

/** The tree in brackets, to be compared at a glance. */
function treeOf(text: string, options?: { comparisons: true }): string {
  const parsed = parseExpression(text, options);
  if ("problem" in parsed) return describeExpressionProblem(text, parsed.problem);
  return written(parsed.tree);
}

function written(tree: Expression): string {
  switch (tree.kind) {
    case "call":
      return `${tree.name}(${tree.args.map(({ value }) => JSON.stringify(value)).join(",")})`;
    case "not":
      return `!${written(tree.operand)}`;
    case "compare":
      return `${written(tree.call)} ${tree.operator} ${tree.value}`;
    default:
      return `[${tree.operands.map(written).join(tree.kind === "and" ? " & " : " | ")}]`;
  }
}

test("operators bind as in Go", () => {
  assert.equal(treeOf("A(`1`) || B(`2`) && !C(`3`)"), '[A("1") | [B("2") & !C("3")]]');
  assert.equal(treeOf("(A(`1`) || B(`2`)) && C(`3`)"), '[[A("1") | B("2")] & C("3")]');
  assert.equal(treeOf("A() && B() && C()"), "[A() & B() & C()]");
  assert.equal(treeOf("!(A() || B())"), "![A() | B()]");
  assert.equal(treeOf("!!!A()"), "!A()");
  assert.equal(treeOf("((A()))"), "A()");
});

test("texts in double quotes have Go's escapes, in backticks none", () => {
  assert.equal(treeOf('A("\\a\\b\\f\\n\\r\\t\\v\\\\\\"")'), 'A("\\u0007\\b\\f\\n\\r\\t\\u000b\\\\\\"")');
  assert.equal(treeOf('A("\\x41\\101\\u00e9\\U0001F600\\xc3\\xa9")'), 'A("AA\u00e9\u{1F600}\u00e9")');
  assert.equal(treeOf("A(`\\n\\.\n`)"), 'A("\\\\n\\\\.\\n")');
  assert.equal(treeOf("A(`a\r\nb`)"), 'A("a\\nb")');
  for (const bad of ["\\.", "\\'", "\\8", "\\400", "\\x4", "\\u12", "\\ud800", "\\U00110000", "\\"]) {
    assert.match(treeOf(`A("${bad}")`), /is no escape|is never closed/, bad);
  }
});

test("a line may end after an operator, a comma or an opening parenthesis, and nowhere else", () => {
  assert.equal(treeOf("A(\n`1`,\n`2`,\n) &&\n(\nB()) ||\n!\nC()\n\n"), '[[A("1","2") & B()] | !C()]');
  for (const bad of [
    "A()\n&& B()",
    "A\n()",
    "A(`1`\n)",
    "(A()\n)",
    "A() /*\n*/ && B()",
    "A() // x\n|| B()",
  ]) {
    assert.match(treeOf(bad), /line/, bad);
  }
  assert.equal(treeOf("A() /* x */ && // y\n B()"), "[A() & B()]");
});

test("numbers and comparisons are read where the caller wants them", () => {
  const breaker = "NetworkErrorRatio() > 0.30 || ResponseCodeRatio(500, 600, 0, 600) >= .25";
  assert.equal(
    treeOf(breaker, { comparisons: true }),
    "[NetworkErrorRatio() > 0.3 | ResponseCodeRatio(500,600,0,600) >= 0.25]",
  );
  assert.match(treeOf(breaker), /^column 21: expected &&, \|\| or the end, found ">"/);
  assert.match(treeOf("A() > B()", { comparisons: true }), /^column 7: expected a number or a text, found B/);
});

test("the caret stands under the place, also after letters of two units and behind tabs", () => {
  assert.equal(treeOf("A(`😀`) ? B()"), "column 8: ? has no meaning here\n  A(`😀`) ? B()\n         ^");
  assert.equal(treeOf("\t?"), "column 2: ? has no meaning here\n   ?\n   ^");
});

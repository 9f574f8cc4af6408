import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { loadCatalogue } from "../../src/compile/catalogue.ts";
import { Labels } from "../../src/labels/declare.ts";
import { describeProblem } from "../../src/schema/problem.ts";
import { container, OPTIONS } from "./helper.ts";

const { middlewares } = await loadCatalogue();
const LIST = "test/golden/every-label.txt";
/** Which of them are refused, or have no effect, and with which words: `UPDATE_GOLDEN=1` writes it anew. */
const REFUSED = "test/golden/every-label-refused.txt";

const lines = readFileSync(LIST, "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));

const REFUSALS = new Set(["unsupported-option", "obsolete-option"]);

/** `a.b=1 c.d=2`: the label, and what it needs beside it. Only values of the first may hold spaces. */
function labelsOf(line: string): Record<string, string> {
  const entries = line.split(/ (?=traefik\.)/).map((label) => {
    const at = label.indexOf("=");
    return [label.slice(0, at), label.slice(at + 1)] as const;
  });
  return Object.fromEntries(entries);
}

function complaints(line: string) {
  const options = { ...OPTIONS, secret: () => "" };
  const { problems } = new Labels(options, middlewares).declare(
    [container("web", labelsOf(line))],
    undefined,
  );
  return problems;
}

test("every label of Traefik's is in force, or refused by name", () => {
  const refused: string[] = [];
  for (const line of lines) {
    for (const problem of complaints(line)) {
      const isRefusal = REFUSALS.has(problem.code) || /Traefik's plug-ins/.test(problem.message);
      assert.ok(
        isRefusal || problem.severity === "warning",
        `${line}\n${problem.code}: ${describeProblem(problem)}`,
      );
      refused.push(`${problem.severity} ${describeProblem(problem)}`);
    }
  }
  const text = `${[...new Set(refused)].join("\n")}\n`;
  if (process.env["UPDATE_GOLDEN"] === "1" || !existsSync(REFUSED)) writeFileSync(REFUSED, text);
  assert.equal(text, readFileSync(REFUSED, "utf8"));
});

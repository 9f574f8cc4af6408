import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import type { Explanation, ProblemShape } from "../../src/admin/shapes.ts";
import { processShell } from "../../src/cli/command.ts";
import { main } from "../../src/cli/main.ts";
import { openSite } from "../admin/site.ts";
import { brokenSetups, DIAGNOSES, readDiagnoses } from "./broken.ts";

/**
 * Ten setups that everybody builds once. Each has one line that says what is wrong, in `diagnoses.yml`; explain, check
 * and the API say that line, and so does the dashboard (in test/e2e). `UPDATE_GOLDEN=1` writes the lines anew.
 */
const expected = readDiagnoses();

for (const setup of brokenSetups) {
  const { name, file, world } = setup;
  test(`explain, check and the API say the same of: ${name.replaceAll("-", " ")}`, async () => {
    const checked = world.problems.map(({ message }) => message);
    if (process.env["UPDATE_GOLDEN"] === "1") expected.set(name, checked.at(-1) ?? "");
    const line = expected.get(name)!;
    assert.ok(checked.includes(line), checked.join("\n"));
    const place = world.problems.find(({ message }) => message === line)!.place;
    assert.equal(place.file, file);
    assert.ok(place.line! > 1 && place.column! > 0);

    await using site = await openSite({ made: setup });
    const ask = async (path: string) => JSON.parse((await site.ask(path)).body) as unknown;
    const told = (await ask("/api/explain?url=http://app.test/")) as Explanation;
    assert.ok(told.diagnosis.includes(line), told.diagnosis);
    const problems = (await ask("/api/problems")) as ProblemShape[];
    assert.ok(problems.some(({ message }) => message === line));
  });
}

test("the commands say those lines too, but for what no file can show", async () => {
  for (const { name, file } of brokenSetups) {
    const said = async (...argv: string[]) => {
      const out: string[] = [];
      const code = await main(argv, { ...processShell, out: (text) => void out.push(text) });
      return { code, out: out.join("") };
    };
    const checked = await said("check", file);
    const explained = await said("explain", "http://app.test/", "--compose", file);
    if (name === "unhealthy-container") {
      assert.deepEqual([checked.code, explained.code], [0, 0]);
      continue;
    }
    const line = expected.get(name)!.split("\n")[0]!;
    assert.equal(checked.code, 1, name);
    assert.ok(checked.out.includes(line), checked.out);
    assert.ok(explained.out.split("\n\n")[0]!.includes(line), explained.out);
  }
});

test("there are ten broken setups, each with its line", () => {
  assert.equal(brokenSetups.length, 10);
  if (process.env["UPDATE_GOLDEN"] === "1") {
    const lines = [...expected].map(([name, line]) => `${name}: ${JSON.stringify(line)}\n`);
    writeFileSync(DIAGNOSES, lines.join(""));
  }
  assert.deepEqual(
    [...expected.keys()].sort(),
    brokenSetups.map(({ name }) => name),
  );
});

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { REASONS, ROWS, type Row } from "../test/conformance/rows.ts";

/** `docs/conformance.md`: every row with the test files that name it, or the reason why none does. */
export function conformancePage(root: string): readonly [path: string, text: string] {
  const files = globSync("test/**/*.test.ts", { cwd: root }).sort();
  const texts = files.map((file) => [file, readFileSync(join(root, file), "utf8")] as const);
  const filesFor = (id: string) => texts.filter(([, text]) => text.includes(id)).map(([file]) => file);
  const all = ROWS.flatMap(([, rows]) => rows);
  const covered = all.filter(([id]) => filesFor(id).length > 0).length;
  const parts = [
    "# What is held, and where it is tested\n",
    "Made by `npm run docs` from the rows in `test/conformance/rows.ts` and the tests that name them.\n",
    `${covered} of ${all.length} rows have a test.`,
    ...ROWS.map(([section, rows]) => asTable(section, rows, filesFor)),
  ];
  return ["docs/conformance.md", `${parts.join("\n")}\n`];
}

function asTable(section: string, rows: readonly Row[], filesFor: (id: string) => readonly string[]): string {
  const lines = rows.map(([id, what]) => `| ${id} | ${what} | ${testsOf(id, filesFor(id))} |`);
  return `\n## ${section}\n\n| row | input or fault | tests |\n| --- | --- | --- |\n${lines.join("\n")}`;
}

function testsOf(id: string, files: readonly string[]): string {
  if (files.length === 0) return REASONS.get(id) ?? "none yet";
  return files.map((file) => `[${file.slice("test/".length, -".test.ts".length)}](../${file})`).join(", ");
}

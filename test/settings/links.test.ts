import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";

const pages = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].concat(
  globSync(["docs/**/*.md", "examples/**/*.md", "bench/*.md"]).sort(),
);

/** As headings become anchors on the page of a repository. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

function anchorsIn(page: string): Set<string> {
  const text = readFileSync(page, "utf8").replace(/^```[\s\S]*?^```/gm, "");
  return new Set([...text.matchAll(/^#+ +(.+)$/gm)].map(([, heading]) => anchorOf(heading!)));
}

for (const page of pages) {
  test(`every link of ${page} leads somewhere in the repository`, () => {
    const text = readFileSync(page, "utf8").replace(/^```[\s\S]*?^```/gm, "");
    const dead = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, link]) => link!)
      .filter((link) => !/^[a-z]+:/i.test(link) && !leadsSomewhere(page, link));
    assert.deepEqual(dead, []);
  });
}

function leadsSomewhere(page: string, link: string): boolean {
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? page : join(dirname(page), path);
  if (!existsSync(target)) return false;
  return anchor === undefined || !target.endsWith(".md") || anchorsIn(target).has(anchor);
}

test("the files that the README's commands name are there", () => {
  const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Record<string, string> };
  const commands = [...readFileSync("README.md", "utf8").matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(
    ([, block]) => block!,
  );
  const named = commands.flatMap((block) => [...block.matchAll(/npm run (\w+)/g)].map(([, name]) => name!));
  assert.deepEqual(
    named.filter((name) => scripts[name] === undefined),
    [],
  );
  assert.ok(commands.join("").includes("npm ci && npm run demo"));
});

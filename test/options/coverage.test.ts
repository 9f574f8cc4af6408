import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { everyOption, hasEffect } from "./declared.ts";
import { filesNaming, testsOf } from "./tests-of.ts";

const root = join(import.meta.dirname, "../..");
const texts = new Map<string, string>();

test("every option that has an effect is named in a test of its room", async () => {
  const unnamed = (await everyOption())
    .filter(hasEffect)
    .map(({ path }) => path)
    .filter((path) => filesNaming(path, testsOf(path), read).length === 0);
  assert.deepEqual(unnamed, []);
});

test("every option that is refused or without effect says why in a sentence of its own", async () => {
  const reasons = (await everyOption()).flatMap(({ path, about }) =>
    [about.refused, about.obsolete].filter((text) => text !== undefined).map((text) => ({ path, text })),
  );
  assert.ok(reasons.length > 40);
  for (const { path, text } of reasons) assert.match(text, /^\S+( \S+){2,}[^.]$/, path);
});

function read(file: string): string {
  const known = texts.get(file) ?? (file.includes("..") ? "" : textOf(file));
  texts.set(file, known);
  return known;
}

function textOf(file: string): string {
  try {
    return readFileSync(join(root, file), "utf8");
  } catch {
    return "";
  }
}

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { loadCatalogue } from "../src/compile/catalogue.ts";
import { conformancePage } from "./conformance-page.ts";
import { referencePages } from "./reference-pages.ts";

/**
 * Writes the reference pages from the declarations: `node scripts/docs.ts`. With `--check` it writes nothing and fails
 * if a page is not what the declarations make of it.
 */
const root = join(import.meta.dirname, "..");
const { middlewares } = await loadCatalogue();
const pages = [
  ...referencePages(middlewares, textOf("docs/traefik-differences.md") ?? ""),
  conformancePage(root),
];
const stale = pages.filter(([path, text]) => textOf(path) !== text);

if (process.argv.includes("--check")) {
  for (const [path] of stale) console.error(`${path} is not what the declarations say; run: npm run docs`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const [path, text] of stale) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    console.log(`wrote ${path}`);
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch {
    return undefined;
  }
}

import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";

const FOLDER = join(import.meta.dirname, "..", "src", "dashboard");

/** The dashboard's files by name, in memory. */
export async function buildDashboard(): Promise<ReadonlyMap<string, Buffer>> {
  const { outputFiles } = await build({
    entryPoints: [join(FOLDER, "main.tsx"), join(FOLDER, "style.css")],
    outdir: FOLDER,
    entryNames: "[name]",
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    logLevel: "silent",
  });
  const built = outputFiles.map(({ path, contents }) => [basename(path), Buffer.from(contents)] as const);
  const plain = ["index.html", "icon.svg"].map((name) => [name, readFileSync(join(FOLDER, name))] as const);
  return new Map([...plain, ...built]);
}

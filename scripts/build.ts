import { spawnSync } from "node:child_process";
import { cpSync, globSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildDashboard } from "./dashboard.ts";

/** Makes `dist/`: what the image runs. */
const OUT = "dist";
rmSync(OUT, { recursive: true, force: true });

const { status } = spawnSync("node_modules/.bin/tsc", ["--project", "scripts/tsconfig.build.json"], {
  stdio: "inherit",
});
if (status !== 0) process.exit(status ?? 1);

// Everything that is not TypeScript and not the dashboard's source goes along as it is.
for (const file of globSync("src/**/*.*", { exclude: ["src/dashboard/**"] })) {
  if (!file.endsWith(".ts")) cpSync(file, join(OUT, file));
}

mkdirSync(join(OUT, "dashboard"), { recursive: true });
for (const [name, bytes] of await buildDashboard()) writeFileSync(join(OUT, "dashboard", name), bytes);

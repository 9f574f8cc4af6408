import { spawnSync } from "node:child_process";
import { cpSync, existsSync, globSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

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
for (const directory of ["src/dashboard/dist"]) {
  if (existsSync(directory)) cpSync(directory, join(OUT, dirname(directory), "dist"), { recursive: true });
}

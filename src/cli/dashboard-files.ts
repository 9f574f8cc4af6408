import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import type { Assets } from "../admin/assets.ts";

const BUILT = new URL("../../dashboard/", import.meta.url);
const SOURCES = new URL("../dashboard/", import.meta.url);

/** The dashboard's files: those that were built, or, where only the sources are there, built now. */
export async function loadDashboard(): Promise<Assets> {
  const isCheckout = import.meta.filename.endsWith(".ts");
  if (isCheckout && existsSync(new URL("main.tsx", SOURCES))) {
    const { buildDashboard } = await import("../../scripts/dashboard.ts");
    return buildDashboard();
  }
  const names = await readdir(BUILT);
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(new URL(name, BUILT))] as const)),
  );
}

import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import type { Command } from "./command.ts";

export function version(): string {
  const file = findPackageJSON(import.meta.url)!;
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

export default {
  name: "version",
  usage: "",
  summary: "Says which version this is.",
  details: "",
  async run(_args, shell) {
    shell.out(`Waybill ${version()} (Node ${process.versions.node}, ${process.platform}/${process.arch})\n`);
    return 0;
  },
} satisfies Command;

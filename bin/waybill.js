#!/usr/bin/env node
// Starts Waybill whatever Node it is started with: one that is too old starts the project's own instead.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const NODE_MIN = 26;
const source = new URL("../src/main.ts", import.meta.url);
const built = new URL("../dist/src/main.js", import.meta.url);

if (Number.parseInt(process.versions.node, 10) >= NODE_MIN) {
  await import(existsSync(source) ? source : built);
} else {
  startWith(fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url)));
}

function startWith(node) {
  if (!existsSync(node)) {
    console.error(`Waybill needs Node ${NODE_MIN} or later, found ${process.versions.node}. Run: npm ci`);
    process.exit(1);
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT"]) {
    process.on(signal, () => {
      // A terminal has sent its signal to the child as well, and a second one would mean: stop at once.
      const isFromTerminal = process.stdin.isTTY && (signal === "SIGINT" || signal === "SIGQUIT");
      if (!isFromTerminal) child.kill(signal);
    });
  }
  child.on("exit", (code, signal) => {
    process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
  });
  child.on("error", (error) => {
    console.error(`Waybill's own Node does not start: ${error.message}. Run: npm ci`);
    process.exit(1);
  });
}

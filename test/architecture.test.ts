import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path/posix";
import { test } from "node:test";

const TIER: Record<string, number> = {
  lib: 0,
  schema: 1,
  wire: 1,
  model: 2,
  middleware: 3,
  balancer: 3,
  routing: 3,
  gateway: 3,
  upstream: 3,
  listen: 3,
  tls: 3,
  acme: 3,
  providers: 3,
  labels: 3,
  settings: 3,
  observe: 3,
  redis: 3,
  demo: 3,
  control: 4,
  compile: 4,
  admin: 4,
  check: 5,
  cli: 6,
  "main.ts": 7,
  "worker.ts": 5,
};

const IMPORT = /^(?:import|export)\b[^;]*?from\s+"(\.[^"]+)"/gms;

test("a file imports from its own folder or from a lower tier", () => {
  const broken: string[] = [];
  for (const file of globSync("src/**/*.ts")) {
    const [, from] = file.split("/") as [string, string];
    if (from === "dashboard") continue;
    for (const [, path] of readFileSync(file, "utf8").matchAll(IMPORT)) {
      const [, to] = join(file, "..", path!).split("/") as [string, string];
      if (TIER[from] === undefined) broken.push(`${file} is in no known room`);
      else if (to !== from && !(TIER[to]! < TIER[from]!)) broken.push(`${file} imports ${path}`);
    }
  }
  assert.deepEqual(broken, []);
});

test("a provider imports no other provider", () => {
  const broken: string[] = [];
  for (const file of globSync("src/providers/*/**/*.ts")) {
    const [, , from] = file.split("/") as [string, string, string];
    for (const [, path] of readFileSync(file, "utf8").matchAll(IMPORT)) {
      const [, room, to] = join(file, "..", path!).split("/") as [string, string, string];
      if (room === "providers" && to !== from) broken.push(`${file} imports ${path}`);
    }
  }
  assert.deepEqual(broken, []);
});

test("a middleware file imports no other middleware and opens no socket and no file", () => {
  const broken: string[] = [];
  for (const file of globSync("src/middleware/*.ts")) {
    const outside =
      /from "(\.\/[^"]+|node:(?:http|https|http2|net|tls|dgram|fs|worker_threads)[^"]*|undici|ioredis)"/g;
    for (const [, path] of readFileSync(file, "utf8").matchAll(outside))
      broken.push(`${file} imports ${path}`);
  }
  assert.deepEqual(broken, []);
});

test("the data plane imports nothing of the control plane", () => {
  const broken: string[] = [];
  for (const file of globSync("src/{compile,gateway,listen,upstream}/**/*.ts").concat("src/worker.ts")) {
    let source: string;
    try {
      source = readFileSync(file, "utf8");
    } catch {
      continue;
    }
    for (const [, path] of source.matchAll(IMPORT)) {
      const [, to] = join(file, "..", path!).split("/") as [string, string];
      if (["control", "admin", "providers", "labels", "acme", "settings"].includes(to))
        broken.push(`${file} imports ${path}`);
    }
  }
  assert.deepEqual(broken, []);
});

import assert from "node:assert/strict";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { answerApi } from "../../src/admin/api.ts";
import { explain } from "../../src/admin/explain.ts";
import { readWorld, type World } from "../../src/check/world.ts";
import { loadCatalogue } from "../../src/compile/catalogue.ts";
import type { Workload } from "../../src/model/workload.ts";

/**
 * Ten setups that everybody builds once. Each has one line that says what is wrong, in `diagnoses.yml`, and explain,
 * check and the API say that line. `UPDATE_GOLDEN=1` writes the lines anew.
 */
const EXPECTED = "test/golden/broken/diagnoses.yml";
const expected = new Map(Object.entries(parse(readFileSync(EXPECTED, "utf8")) as Record<string, string>));
const { middlewares: registry } = await loadCatalogue();

const NO_TRAFFIC = undefined as unknown as Parameters<typeof answerApi>[1];

function worldOf(file: string): World {
  const { "x-running": running = {} } = parse(readFileSync(file, "utf8")) as {
    "x-running"?: Record<string, Workload["health"]>;
  };
  return readWorld([file], {
    cwd: process.cwd(),
    env: new Map(),
    readFile: (path) => readFileSync(path, "utf8"),
    registry,
    running: (workload) => {
      const health = running[workload.labels.get("com.docker.compose.service") ?? ""];
      return health === undefined ? workload : { ...workload, health };
    },
  });
}

const files = globSync("test/golden/broken/*.yml")
  .filter((file) => file !== EXPECTED)
  .sort();

for (const file of files) {
  const name = basename(file, ".yml");
  test(`explain, check and the API say the same of: ${name.replaceAll("-", " ")}`, () => {
    const { settings, report, problems } = worldOf(file);
    const servers = [...report.services.values()].flatMap(({ name: service, servers: all }) =>
      all.map((server) => ({ service, server, healthy: true, ejected: false, inFlight: 0 })),
    );
    const known = { settings, report, registry, servers, certificates: [], ports: new Map<string, number>() };
    const told = explain(known, { url: "http://app.test/" });
    assert.ok(typeof told !== "string");
    const checked = problems.map(({ message }) => message);
    if (process.env["UPDATE_GOLDEN"] === "1") expected.set(name, checked.at(-1) ?? "");
    const line = expected.get(name)!;
    assert.ok(told.diagnosis.includes(line), told.diagnosis);
    assert.ok(checked.includes(line), checked.join("\n"));
    const source = { ...known, report: () => report } as unknown as Parameters<typeof answerApi>[0];
    const { body } = answerApi(source, NO_TRAFFIC, "GET", "/api/problems", new URLSearchParams());
    const answered = (JSON.parse(body) as { message: string }[]).map(({ message }) => message);
    assert.ok(answered.includes(line), answered.join("\n"));
    const place = problems.find(({ message }) => message === line)!.place;
    assert.equal(place.file, file);
    assert.ok(place.line! > 1 && place.column! > 0);
  });
}

test("there are ten broken setups, each with its line", () => {
  assert.equal(files.length, 10);
  if (process.env["UPDATE_GOLDEN"] === "1") {
    writeFileSync(
      EXPECTED,
      [...expected].map(([name, line]) => `${name}: ${JSON.stringify(line)}\n`).join(""),
    );
  }
  assert.deepEqual(
    [...expected.keys()].sort(),
    files.map((file) => basename(file, ".yml")),
  );
});

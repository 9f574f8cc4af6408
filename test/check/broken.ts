import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { parse } from "yaml";
import { readWorld, type World } from "../../src/check/world.ts";
import { loadCatalogue } from "../../src/compile/catalogue.ts";
import type { ServerState } from "../../src/model/report.ts";
import type { Workload } from "../../src/model/workload.ts";

/** One line each that says what is wrong. */
export const DIAGNOSES = "test/golden/broken/diagnoses.yml";

export interface BrokenSetup {
  /** `wrong-port`. */
  readonly name: string;
  readonly file: string;
  readonly world: World;
  readonly servers: readonly ServerState[];
}

const { middlewares: registry } = await loadCatalogue();

/** Setups that everybody builds once. `x-running` in them says how containers do, which no file can. */
export const brokenSetups: readonly BrokenSetup[] = globSync("test/golden/broken/*.yml")
  .filter((file) => file !== DIAGNOSES)
  .sort()
  .map((file) => {
    const world = worldOf(file);
    const servers = [...world.report.services.values()].flatMap(({ name: service, servers: all }) =>
      all.map((server) => ({ service, server, healthy: true, ejected: false, inFlight: 0 })),
    );
    return { name: basename(file, ".yml"), file, world, servers };
  });

export const readDiagnoses = () =>
  new Map(Object.entries(parse(readFileSync(DIAGNOSES, "utf8")) as Record<string, string>));

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

import { readFileSync } from "node:fs";
import type { Middleware } from "../model/middleware.ts";
import type { Log } from "../observe/log.ts";
import type { Place } from "../schema/node.ts";
import type { LoadedSettings } from "../settings/load.ts";
import type { MakePages } from "./runtime.ts";
import { CannotListen } from "./threads.ts";
import { Waybill } from "./waybill.ts";

/** What only the composition root can bring: rooms that the control plane does not know. */
export interface Parts {
  readonly registry: ReadonlyMap<string, Middleware>;
  readonly makePages: MakePages;
  readonly version: string;
}

/** Serves until a signal says to stop. Gives the exit code. */
export async function run(
  loaded: LoadedSettings,
  log: Log,
  { registry, makePages, version }: Parts,
): Promise<number> {
  const places = new Map(loaded.sources.map(({ option, source }) => [option.toLowerCase(), source]));
  const placeOf = (option: string): Place =>
    places.get(option.toLowerCase()) ?? { source: "default", key: option };
  const waybill = new Waybill({
    settings: loaded.settings,
    log,
    registry,
    makePages,
    version,
    inForce: loaded.sources,
    env: process.env,
    placeOf,
    readFile: (path) => readFileSync(path, "utf8"),
  });
  const stop = Promise.withResolvers<NodeJS.Signals>();
  const heard = (signal: NodeJS.Signals) => stop.resolve(signal);
  const reload = () => waybill.reload();
  const reopen = () => {
    log.reopen();
    waybill.reopenLogs();
  };
  process.once("SIGTERM", heard).once("SIGINT", heard).on("SIGHUP", reload).on("SIGUSR1", reopen);
  try {
    const file = loaded.configFile;
    log.info({ version, ...(file !== undefined && { settings: file }) }, "Waybill starts");
    await waybill.start();
    const signal = await stop.promise;
    log.info({ signal }, "stopping: requests under way are finished, a second signal ends them");
    const again = secondSignal();
    const first = await Promise.race([waybill.stop().then(() => "stopped"), again]);
    if (first === "stopped") return 0;
    log.warn({ signal: first }, "a second signal: everything ends now");
    return 1;
  } catch (error) {
    if (!(error instanceof CannotListen)) throw error;
    log.error({ entryPoint: error.entryPoint }, error.message);
    return 1;
  } finally {
    process.off("SIGTERM", heard).off("SIGINT", heard).off("SIGHUP", reload).off("SIGUSR1", reopen);
    await waybill.close();
  }
}

// Terminals and `timeout` send one signal to a process and to its group: what follows at once is the same signal.
const ECHO_MS = 250;

function secondSignal(): Promise<NodeJS.Signals> {
  const listenFromMs = performance.now() + ECHO_MS;
  return new Promise((resolve) => {
    const heard = (signal: NodeJS.Signals) => {
      if (performance.now() >= listenFromMs) resolve(signal);
    };
    process.on("SIGTERM", heard).on("SIGINT", heard);
  });
}

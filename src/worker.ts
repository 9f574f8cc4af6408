import { parentPort, workerData } from "node:worker_threads";
import { loadCatalogue } from "./compile/catalogue.ts";
import { DataPlane } from "./compile/data-plane.ts";
import type { ThreadStart, ToThread } from "./model/thread-messages.ts";

// Messages wait in the port until somebody listens, so nothing is lost while the catalogue is read.
const port = parentPort!;
const plane = new DataPlane(workerData as ThreadStart, await loadCatalogue(), (message) =>
  port.postMessage(message),
);
port.on("message", (message: ToThread) => plane.hear(message));

const abandon = (error: unknown) => void plane.abandon(error).finally(() => process.exit(1));
process.once("uncaughtException", abandon);
process.once("unhandledRejection", abandon);

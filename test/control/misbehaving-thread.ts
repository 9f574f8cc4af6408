import { parentPort, workerData } from "node:worker_threads";
import type { FromThread, ThreadStart, ToThread } from "../../src/model/thread-messages.ts";

/**
 * A thread for tests: it does as the name of its one entry point says, in its first generation, and behaves from then on.
 * What it was told is in the log that it sends.
 */
const { settings, thread, heartbeats } = workerData as ThreadStart;
const [habit] = settings.entryPoints.keys();
const send = (message: FromThread) => parentPort!.postMessage(message);
if (habit === "dawdle") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);
const beats = new Int32Array(heartbeats);
setInterval(() => Atomics.add(beats, thread.index, 1), 20);

parentPort!.on("message", (message: ToThread) => {
  send({ kind: "log", level: "info", fields: { ...thread, kind: message.kind }, message: "told" });
  if (message.kind === "configure") send({ kind: "configured", version: message.change.version });
  if (message.kind === "drain") send({ kind: "drained", cut: 0 });
  if (message.kind !== "listen") return;
  if (habit === "refuse") return send({ kind: "cannot-listen", entryPoint: habit, reason: "because" });
  send({ kind: "listening", ports: new Map([[habit!, 4000 + thread.index]]) });
  if (thread.generation > 1 || thread.index > 0) return;
  // What was sent must leave before the loop stops turning.
  setTimeout(() => {
    if (habit === "hang") for (;;);
    if (habit === "throw") throw new Error("thrown by a test");
    if (habit === "exit") process.exit(3);
  }, 50);
});

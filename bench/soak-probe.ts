import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { threadId } from "node:worker_threads";

// Loaded before the product in each of its threads (`soak.ts`): says how many timers are set, and how many bytes are
// still held after the garbage collector has been made to run (the resident size says more of the collector's mood).
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

setInterval(() => {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  process.stdout.write(`soak ${threadId} ${timers} ${heapUsed + external}\n`);
}, 2000).unref();

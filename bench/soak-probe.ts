import { threadId } from "node:worker_threads";

// Loaded before the product in each of its threads (`soak.ts`): says how many timers are set.
setInterval(() => {
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  process.stdout.write(`soak-timers ${threadId} ${timers}\n`);
}, 2000).unref();

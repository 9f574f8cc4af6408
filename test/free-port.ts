import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Below the ports that systems give to outgoing connections: one of those may be taken before it is listened on. */
const FIRST = 10_240;
const BLOCK = 100;
const BLOCKS = 220;
// Should two processes have the same block all the same, they do not go through it in step.
let next = randomInt(BLOCK);

/** A port for whoever cannot be told to take any. Test processes that run at once have blocks of their own. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + (process.pid % BLOCKS) * BLOCK + (next++ % BLOCK);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once("error", () => resolve(false));
  // On all addresses: some other program may have it on one of them.
  server.listen(port, () => server.close(() => resolve(true)));
  return promise;
}

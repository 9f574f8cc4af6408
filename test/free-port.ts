import { createServer } from "node:net";

/** Below the ports that systems give to outgoing connections: one of those may be taken before it is listened on. */
const FIRST = 10_240;
const BLOCK = 100;
const BLOCKS = 220;
let next = 0;

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

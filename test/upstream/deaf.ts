import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";

/**
 * A port of loopback whose queue of connections is full and that nobody empties: whoever connects waits until they
 * lose patience. Its process listens and is then stopped by the system.
 */
export async function startDeaf(): Promise<{ readonly port: number; close(): void }> {
  const script =
    "const s = require('node:net').createServer(); s.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port));";
  const child: ChildProcess = spawn(process.execPath, ["-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  const port = Number(String(line).trim());
  child.kill("SIGSTOP");
  const held: Socket[] = [];
  for (let full = false; !full && held.length < 64; ) {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    held.push(socket);
    await Promise.race([once(socket, "connect"), wait(500)]);
    // What came while this process had no turn is heard in the next round.
    await wait(1);
    // The first that is not taken at once is in nobody's queue: there is no room for another.
    full = socket.connecting;
  }
  return {
    port,
    close() {
      for (const socket of held) socket.destroy();
      child.kill("SIGKILL");
    },
  };
}

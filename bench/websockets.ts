import { once } from "node:events";
import { connect, type Socket } from "node:net";

/**
 * Many WebSocket connections, each of which sends a message and waits for its echo before the next. Arguments: port,
 * connections, milliseconds; says "ready" when all are open, begins when it is told to, and prints how many messages
 * came back. The proxy looks into no frame, so the payload is not one.
 */
const [port, count, ms] = process.argv.slice(2).map(Number) as [number, number, number];
const MESSAGE = Buffer.alloc(128, "m");
const OPEN = `GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;

async function open(): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  socket.write(OPEN);
  const [head] = (await once(socket, "data")) as [Buffer];
  if (!head.toString("latin1").startsWith("HTTP/1.1 101 ")) throw new Error(head.toString("latin1"));
  return socket;
}

const sockets: Socket[] = [];
while (sockets.length < count) sockets.push(await open());
process.stdout.write("ready\n");
await once(process.stdin, "data");
let messages = 0;
const untilMs = performance.now() + ms;
for (const socket of sockets) {
  let left = MESSAGE.length;
  socket.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left > 0) return;
    messages++;
    left = MESSAGE.length;
    if (performance.now() < untilMs) socket.write(MESSAGE);
  });
  socket.write(MESSAGE);
}
setTimeout(() => {
  process.stdout.write(`${messages}\n`);
  process.exit(0);
}, ms + 200);

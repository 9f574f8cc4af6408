import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/**
 * Clients in a process of their own that each ask once and are silent then: argument 2 is the port, 3 the scheme. Told
 * how many there are to be, it opens or closes connections and says so when every one of them has had its reply.
 */
const [, , port, scheme] = process.argv;
const OPENERS = 20;
const REQUEST = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";
const sockets: Socket[] = [];

async function openOne(): Promise<void> {
  const to = {
    port: Number(port),
    host: "127.0.0.1",
    // Ports of closed connections are not free for a minute, and one address has no more than 28,000.
    localAddress: `127.0.0.${2 + (sockets.length % 8)}`,
    servername: "app.test",
    rejectUnauthorized: false,
  };
  const socket = scheme === "https" ? connectTls(to) : connect(to);
  sockets.push(socket);
  await once(socket, scheme === "https" ? "secureConnect" : "connect");
  socket.on("error", () => {});
  socket.write(REQUEST);
  await once(socket, "data");
  socket.unref();
}

process.on("message", async (count: number) => {
  for (const socket of sockets.splice(count)) socket.destroy();
  const opener = async () => {
    while (sockets.length < count) await openOne();
  };
  await Promise.all(Array.from({ length: OPENERS }, opener));
  process.send!(sockets.length);
});
process.on("disconnect", () => process.exit());

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { site, startRaw, wait } from "../abuse/kit.ts";
import { eventually, startProduct } from "../e2e/harness.ts";

const TUNNELS = 1000;
/** Fewer at once than a listening socket queues. */
const AT_ONCE = 100;
const UPGRADE =
  "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCHED =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";

test("WS-08 a thousand tunnels survive changes of the configuration, and at the end have the grace time and no more", async () => {
  await using echo = await startRaw((socket, text) => {
    const [, said = ""] = text.split("\r\n\r\n");
    socket.write(said === "" ? SWITCHED : said.slice(-1));
  });
  await using product = await startProduct({
    file: site(echo.url),
    flags: [
      "--entryPoints.web.transport.maxConnectionsPerIP=0",
      "--entryPoints.web.transport.lifeCycle.graceTimeOut=10s",
    ],
  });
  const port = product.ports.get("web")!;
  const tunnels: Socket[] = [];
  while (tunnels.length < TUNNELS)
    tunnels.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => openTunnel(port)))));
  assert.equal(echo.sockets.length, TUNNELS);

  for (const letter of "abc") {
    const { version } = product.runtime.report();
    // The router that they came by is another one each time.
    product.write(site(echo.url, `PathPrefix(\`/\`) || Host(\`${letter}\`)`));
    await eventually(() => assert.ok(product.runtime.report().version > version));
    await wait(100);
    await Promise.all(tunnels.map((tunnel) => echoed(tunnel, letter)));
  }

  let closed = 0;
  for (const tunnel of tunnels) tunnel.on("close", () => closed++);
  const stopped = product.waybill.stop();
  // Its port is closed by now, and the tunnels are not.
  await eventually(() => assert.rejects(openTunnel(port)));
  assert.equal(closed, 0);
  await Promise.all(tunnels.map((tunnel) => echoed(tunnel, "z")));
  await stopped;
  await eventually(() => assert.equal(closed, TUNNELS));
  await eventually(() => assert.ok(echo.sockets.every((socket) => socket.destroyed)));
});

/** Rejects when the connection ends before the switch, however it ends. */
function openTunnel(port: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  socket.on("error", reject);
  socket.on("close", () => reject(new Error("closed before it switched")));
  socket.once("data", (head: Buffer) => {
    if (/^HTTP\/1\.1 101 /.test(String(head))) resolve(socket);
    else reject(new Error(String(head)));
  });
  socket.write(UPGRADE);
  return promise;
}

async function echoed(tunnel: Socket, letter: string): Promise<void> {
  const back = once(tunnel, "data");
  tunnel.write(letter);
  assert.equal(String(await back), letter);
}

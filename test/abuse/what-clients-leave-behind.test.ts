import assert from "node:assert/strict";
import { readdirSync, readlinkSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { type AddressInfo, connect, type Socket } from "node:net";
import { after, test } from "node:test";
import { eventually, type Product, startProduct } from "../e2e/harness.ts";
import { site } from "./kit.ts";

/** A server whose replies of three megabytes never end, and how many connections it has. */
let connections = 0;
const endless: Server = createServer((request, response) => {
  request.resume();
  response.on("error", () => {});
  response.writeHead(200, { "content-type": "text/plain" });
  response.write(Buffer.alloc(3 << 20, 0x61));
});
endless.on("connection", (socket: Socket) => {
  connections++;
  socket.on("error", () => {});
  socket.on("close", () => connections--);
});
await new Promise<void>((resolve) => endless.listen(0, "127.0.0.1", resolve));
after(() => {
  endless.closeAllConnections();
  endless.close();
});

const url = `http://127.0.0.1:${(endless.address() as AddressInfo).port}`;
const CLIENTS = 10;

function spoolFiles(): number {
  let files = 0;
  for (const name of readdirSync("/proc/self/fd")) {
    try {
      if (/\/waybill-[0-9a-f-]{36}/.test(readlinkSync(`/proc/self/fd/${name}`))) files++;
    } catch {
      // It has been closed in the meantime.
    }
  }
  return files;
}

const startWith = (middleware: string): Promise<Product> =>
  startProduct({
    threads: 1,
    file:
      middleware === ""
        ? site(url)
        : `${site(url, "PathPrefix(`/`)", "      middlewares: [m]")}\n  middlewares:\n    m: ${middleware}\n`,
  });

const BY: Readonly<Record<string, (port: number) => { leave(): void }>> = {
  "HTTP/1.1 clients that reset": (port) => {
    const sockets = Array.from({ length: CLIENTS }, () => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
      return socket;
    });
    return { leave: () => sockets.forEach((socket) => void socket.resetAndDestroy()) };
  },
  "an HTTP/2 client that closes": (port) => {
    const session: ClientHttp2Session = connectHttp2(`http://127.0.0.1:${port}`);
    session.on("error", () => {});
    for (let i = 0; i < CLIENTS; i++) {
      const stream = session.request({ ":path": "/", ":authority": "a", "accept-encoding": "gzip" });
      stream.on("error", () => {});
      stream.pause();
    }
    return { leave: () => session.destroy() };
  },
};

for (const middleware of ["", "{ compress: {} }", "{ buffering: { maxResponseBodyBytes: 400000000 } }"]) {
  for (const [who, begin] of Object.entries(BY)) {
    test(`${who} in the middle of a reply leave no connection and no file behind, through ${middleware || "nothing"}`, async () => {
      await using product = await startWith(middleware);
      const clients = begin(product.ports.get("web")!);
      await eventually(() => assert.equal(connections, CLIENTS));
      if (middleware.includes("buffering")) await eventually(() => assert.equal(spoolFiles(), CLIENTS));
      clients.leave();
      await eventually(() => assert.equal(connections, 0));
      await eventually(() => assert.equal(spoolFiles(), 0));
      assert.ok(
        product.log.every(({ level }) => level !== "error"),
        JSON.stringify(product.log),
      );
    });
  }
}

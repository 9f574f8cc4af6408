import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { after, test } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import { TimeLimits } from "../../src/lib/time-limits.ts";
import { Http1Client } from "../../src/listen/http1-client.ts";
import { Site } from "../../src/listen/site.ts";
import { BytesBody } from "../../src/model/body.ts";
import type { Gateway } from "../../src/model/client.ts";
import { entryPointOptions } from "../../src/model/entry-point.ts";
import type { TlsAcceptor } from "../../src/model/tls-acceptor.ts";
import { OK, PLAIN_TLS, Plane, RawBackend, TestServer, written } from "../gateway/plane.ts";

const dir = mkdtempSync(join(tmpdir(), "waybill-tls-"));
const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=a -keyout ${dir}/key -out ${dir}/cert`;
execFileSync("openssl", args.split(" "), { stdio: "ignore" });
const pair = { cert: readFileSync(`${dir}/cert`), key: readFileSync(`${dir}/key`) };
const open: { close(): void }[] = [];
after(() => {
  for (const one of open) one.close();
  rmSync(dir, { recursive: true });
});

/** Shakes hands with everybody in one way; `src/tls/` has the real one. */
const acceptor: TlsAcceptor = {
  handshaking: 0,
  update() {},
  accept(socket, head, caller) {
    const server = createServer(pair, (secured) => {
      secured.on("error", () => {});
      const facts = {
        serverName: "a",
        options: "default",
        version: "1.3",
        cipher: "x",
        peerCertificates: () => [],
      };
      caller.secured(secured, facts, "http/1.1");
    });
    server.on("tlsClientError", () => caller.refused("handshake-failed"));
    socket.pause();
    socket.unshift(head);
    server.emit("connection", socket);
  },
};

const SIZE = 3_000_000;
const body = Buffer.alloc(SIZE, "x");

/** A server, secure or not, that takes bodies by their length and answers with a large one. */
function replying(secure: boolean): Promise<number> {
  const backend = new RawBackend(() => {});
  const serve = (socket: import("node:net").Socket) => {
    let left = -1;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      let bytes = chunk.length;
      if (left < 0) {
        const text = chunk.toString("latin1");
        const end = text.indexOf("\r\n\r\n") + 4;
        left = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
        bytes -= end;
        if (text.startsWith("GET /large")) socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${SIZE}\r\n\r\n`);
        if (text.startsWith("GET /large")) socket.write(body);
        else if (left === 0) socket.write(OK);
      }
      const hadBody = left > 0;
      left -= bytes;
      if (left > 0) return;
      left = -1;
      if (hadBody) socket.write(OK);
    });
  };
  const server = secure
    ? createServer(pair, serve)
    : backend.server.removeAllListeners("connection").on("connection", serve);
  server.listen(0, "127.0.0.1");
  open.push({ close: () => server.close() });
  return once(server, "listening").then(() => (server.address() as { port: number }).port);
}

for (const secure of [false, true]) {
  test(`requests and large bodies follow each other on a TLS connection, to a server with${secure ? "" : "out"} TLS`, async () => {
    const port = await replying(secure);
    const plane = await new Plane({
      servers: [new TestServer(port, { scheme: secure ? "https" : "http" })],
      tls: { ...PLAIN_TLS, insecureSkipVerify: true },
      transport: { disableHTTP2: "true" },
      acceptor,
    }).start();
    open.push(plane);
    const client = connect({ port: plane.port, host: "127.0.0.1", rejectUnauthorized: false });
    open.push({ close: () => client.destroy() });
    let got = 0;
    client.on("data", (chunk: Buffer) => {
      got += chunk.length;
    });
    const enough = async (bytes: number) => {
      while (got < bytes) await new Promise((resolve) => setTimeout(resolve, 5));
      got = 0;
    };
    for (let i = 0; i < 3; i++) {
      client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await enough(60);
      client.write("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
      await enough(SIZE);
      client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${SIZE}\r\n\r\n`);
      client.write(body);
      await enough(60);
    }
    assert.equal(plane.done.length, 9);
    assert.ok(plane.done.every(({ status, scheme }) => status === 200 && scheme === "https"));
  });
}

async function planeTo(backend: RawBackend, entryPoint: Record<string, string> = {}): Promise<Plane> {
  open.push(await backend.start());
  const plane = await new Plane({ servers: [new TestServer(backend.port)], entryPoint, acceptor }).start();
  open.push(plane);
  return plane;
}

function clientOf(plane: Plane): TLSSocket {
  const client = connect({ port: plane.port, host: "127.0.0.1", rejectUnauthorized: false });
  client.on("error", () => {});
  open.push({ close: () => client.destroy() });
  return client;
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("SL-04 a TLS client that stops reading is cut off", { timeout: 30_000 }, async () => {
  const large = new RawBackend((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${16e6}\r\n\r\n`);
    socket.write(Buffer.alloc(16e6));
  });
  const plane = await planeTo(large, { "transport.respondingTimeouts.writeStallTimeout": "80ms" });
  const client = clientOf(plane);
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client.pause();
  while (plane.done.length === 0) await wait(10);
  assert.equal(plane.done[0]!.fault?.code, "client-stalled");
  assert.equal(plane.entryPoint.open, 0);
});

test("BE-05 a body without a length that is cut has no clean end over TLS either", async () => {
  const cutting = new RawBackend((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", () =>
      setTimeout(() => socket.resetAndDestroy(), 30),
    );
  });
  const plane = await planeTo(cutting);
  const client = clientOf(plane);
  let text = "";
  client.on("data", (chunk: Buffer) => (text += chunk));
  client.write("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
  await once(client, "close");
  assert.match(text, /\r\n\r\nhalf$/);
  assert.equal(plane.done[0]?.fault?.code, "upstream-truncated");
});

/** Takes bytes only when it is told to. */
class SlowSocket extends Duplex {
  taken = "";
  #waiting: [Buffer, () => void][] = [];

  override _read(): void {}
  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.#waiting.push([chunk, done]);
  }
  destroySoon(): void {
    this.destroy();
  }
  takeAll(): void {
    if (this.destroyed) return;
    for (const [chunk, done] of this.#waiting.splice(0)) {
      this.taken += chunk.toString("latin1");
      done();
    }
  }
}

test("a slow TLS client has the whole reply before its connection is closed", async (t) => {
  const answering: Gateway = {
    handle(exchange) {
      exchange.status = 200;
      exchange.replyBody = new BytesBody(Buffer.from("whole"));
      exchange.client.send(exchange);
    },
    left() {},
    done() {},
    refused() {},
  };
  const limits = new TimeLimits(5);
  const site = new Site("web", written(entryPointOptions, { address: ":0" }), answering, limits, "proxy");
  const socket = new SlowSocket();
  const tls = {
    serverName: "a",
    options: "default",
    version: "1.3",
    cipher: "x",
    peerCertificates: () => [],
  };
  const connection = { entryPoint: "web", peerIp: "192.0.2.1", peerPort: 1, localPort: 443, tls };
  new Http1Client(socket as never, site, connection, { closed() {}, holdHead() {} });
  const now = performance.now.bind(performance);
  socket.push(Buffer.from("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
  await wait(20);
  // Longer than a closing connection is waited for.
  t.mock.method(performance, "now", () => now() + 10_000);
  await wait(20);
  for (let i = 0; i < 5; i++) {
    socket.takeAll();
    await wait(1);
  }
  assert.match(socket.taken, /whole$/);
  assert.ok(socket.writableEnded);
  socket.destroy();
});

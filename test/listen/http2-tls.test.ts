import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { Acceptor } from "../../src/tls/acceptor.ts";
import { CODE, END_HEADERS, frame, RawClient, TYPE } from "../conformance/http2-frames.ts";
import { Plane, type PlaneOptions, RawBackend, replying, TestServer, talk } from "../gateway/plane.ts";
import { makeCertificate, specOf, tlsSpec } from "../tls/certificates.ts";
import { Http2Client } from "../upstream/http2-backend.ts";

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

const certificate = await makeCertificate({ names: ["app.test", "strict.test"] });
const spec = tlsSpec(
  [specOf(certificate)],
  { "strict@file": { minVersion: "VersionTLS13" } },
  { "strict.test": "strict@file" },
);

async function secure(server: RawBackend | { port: number }, options: PlaneOptions = {}): Promise<Plane> {
  const servers = [new TestServer(server.port)];
  const plane = await new Plane({ servers, acceptor: new Acceptor(spec), ...options }).start();
  open.push(plane);
  return plane;
}

async function hello(): Promise<RawBackend> {
  const server = await replying("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").start();
  open.push(server);
  return server;
}

function browser(plane: Plane, servername = "app.test"): Http2Client {
  const client = new Http2Client(`https://127.0.0.1:${plane.port}`, { servername });
  open.push(client);
  return client;
}

test("HTTP/2 is agreed on by ALPN, and requests over it are secure ones", async () => {
  const server = await hello();
  const plane = await secure(server);
  const reply = await browser(plane).ask({ ":path": "/", ":authority": "app.test" });
  assert.equal(reply.text, "hello");
  const exchange = plane.done[0]!;
  assert.deepEqual(
    [
      exchange.scheme,
      exchange.httpVersion,
      exchange.connection.tls?.serverName,
      exchange.connection.tls?.options,
    ],
    ["https", 20, "app.test", "default"],
  );
  assert.equal(exchange.connection.tls?.version, "1.3");
  assert.match(exchange.connection.tls?.cipher ?? "", /^TLS_AES/);
  assert.match(server.text, /X-Forwarded-Proto: https/);
});

test("HTTP/1.1 is spoken over TLS to who does not offer HTTP/2", async () => {
  const plane = await secure(await hello());
  const socket = connectTls({ port: plane.port, servername: "app.test", rejectUnauthorized: false });
  socket.write("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
  const [bytes] = await once(socket, "data");
  assert.match(String(bytes), /^HTTP\/1\.1 200/);
  socket.destroy();
});

test("TL-07 plain HTTP and TLS live side by side on one port, unless all its routers have TLS", async () => {
  const plane = await secure(await hello());
  const get = "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n";
  assert.match(await talk(plane.port, get), /^HTTP\/1\.1 200/);
  const all = await secure(await hello(), { entryPoint: { "http.tls": "true" } });
  assert.match(await talk(all.port, get), /^HTTP\/1\.1 400 .*HTTPS/s);
});

test("H2-21 PR-10 a request for a host with other TLS options than the connection's gives 421", async () => {
  const plane = await secure(await hello(), {
    table: (service) => {
      const route = {
        name: "strict@file",
        rule: "Host(`strict.test`)",
        hooks: [],
        service,
        tlsOptions: "strict@file",
        accessLog: true,
        metrics: true,
        tracing: true,
      };
      return { match: (exchange) => (exchange.host === "strict.test" ? route : undefined) };
    },
  });
  const wrong = await browser(plane).ask({ ":path": "/", ":authority": "strict.test" });
  assert.equal(wrong.status, 421);
  const right = await browser(plane, "strict.test").ask({ ":path": "/", ":authority": "strict.test" });
  assert.equal(right.status, 200);
});

test("WS-09 a WebSocket over HTTP/2 becomes one over HTTP/1.1 at the server", async () => {
  const server = await new RawBackend((socket, chunk, all) => {
    if (!all.includes("\r\n\r\n")) return;
    if (!all.includes("PING")) {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n");
      socket.write("Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\nearly");
    } else socket.write(`pong ${chunk}`);
  }).start();
  open.push(server);
  const plane = await secure(server);
  const { session } = browser(plane);
  await once(session, "remoteSettings");
  assert.equal(session.remoteSettings.enableConnectProtocol, true);
  const stream = session.request(
    {
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":scheme": "https",
      ":authority": "app.test",
      ":path": "/chat",
      "sec-websocket-version": "13",
      "sec-websocket-protocol": "chat",
      origin: "https://app.test",
    },
    { endStream: false },
  );
  const [reply] = (await once(stream, "response")) as [Record<string, unknown>];
  assert.equal(reply[":status"], 200);
  assert.equal(reply["sec-websocket-protocol"], "chat");
  assert.equal(reply["sec-websocket-accept"], undefined);
  assert.equal(String((await once(stream, "data"))[0]), "early");
  stream.write("PING");
  assert.equal(String((await once(stream, "data"))[0]), "pong PING");
  assert.match(server.text, /^GET \/chat HTTP\/1\.1\r\n/);
  assert.match(server.text, /Connection: Upgrade\r\nUpgrade: websocket\r\n/);
  assert.match(server.text, /Sec-WebSocket-Key: [A-Za-z0-9+/]{22}==\r\n/);
  stream.end();
  stream.close();
  while (plane.done.length === 0) await sleep(5);
  assert.equal(plane.gateway.active, 0);
});

test("WS-09 a server that does not switch has its answer passed on", async () => {
  const server = await replying("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").start();
  open.push(server);
  const plane = await secure(server);
  const reply = await browser(plane).ask({
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":scheme": "https",
    ":authority": "app.test",
    ":path": "/chat",
    "sec-websocket-version": "13",
  });
  assert.deepEqual([reply.status, reply.text], [403, "no"]);
});

test("WS-09 without websocket among the upgrades, extended CONNECT is not offered", async () => {
  const plane = await secure(await hello(), { entryPoint: { "http.upgrades": "other" } });
  const { session } = browser(plane);
  await once(session, "remoteSettings");
  assert.equal(session.remoteSettings.enableConnectProtocol, false);
});

test("RS-05 a connection that is drained finishes its requests, and is then closed", async () => {
  let finish: (() => void) | undefined;
  const server = createServer((_request, response) => {
    response.write("slow ");
    finish = () => response.end("reply");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push({ close: () => server.closeAllConnections() }, server);
  const plane = await secure({ port: (server.address() as { port: number }).port });
  const client = browser(plane);
  const slow = client.ask({ ":path": "/", ":authority": "app.test" });
  while (finish === undefined) await sleep(5);
  const goaways: number[] = [];
  client.session.on("goaway", (code) => goaways.push(code));
  plane.entryPoint.drain();
  await sleep(50);
  assert.equal(plane.entryPoint.open, 1);
  finish();
  assert.deepEqual([(await slow).text, (await slow).code], ["slow reply", 0]);
  while (plane.entryPoint.open > 0) await sleep(5);
  assert.deepEqual(new Set(goaways), new Set([0]));
});

test("an idle connection is closed after its time", async () => {
  const plane = await secure(await hello(), { entryPoint: { "http2.idleTimeout": "50ms" } });
  const client = browser(plane);
  await client.ask({ ":path": "/", ":authority": "app.test" });
  await once(client.session, "close");
  assert.equal(plane.entryPoint.open, 0);
});

test("SL-01 a connection on which no request begins is closed", async () => {
  const plane = await secure(await hello(), {
    entryPoint: { "transport.respondingTimeouts.headerTimeout": "80ms" },
  });
  const client = browser(plane);
  await once(client.session, "close");
  while (plane.entryPoint.open > 0) await sleep(5);
});

test("SL-03 a body that does not come gives 408", async () => {
  const silent = await new RawBackend(() => {}).start();
  open.push(silent);
  const plane = await secure(silent, {
    entryPoint: { "transport.respondingTimeouts.bodyIdleTimeout": "80ms" },
  });
  const stream = browser(plane).session.request({
    ":method": "POST",
    ":path": "/",
    ":authority": "app.test",
    "content-length": "10",
  });
  stream.on("error", () => {});
  stream.write("abc");
  const [reply] = (await once(stream, "response")) as [Record<string, unknown>];
  assert.equal(reply[":status"], 408);
});

test("large replies one after the other come whole, over both protocols and one connection to the server", async () => {
  const body = Buffer.alloc(2_000_000, "x");
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-length": body.length });
    response.end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push({ close: () => server.closeAllConnections() }, server);
  const plane = await secure({ port: (server.address() as { port: number }).port });
  const client = browser(plane);
  for (let i = 0; i < 8; i++) {
    const reply = await client.ask({ ":path": "/", ":authority": "app.test" });
    assert.equal(reply.text.length, body.length);
    const socket = connectTls({ port: plane.port, servername: "app.test", rejectUnauthorized: false });
    socket.write("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n");
    let bytes = 0;
    for await (const chunk of socket) bytes += (chunk as Buffer).length;
    assert.ok(bytes > body.length);
  }
});

test("readTimeout and writeTimeout hold for HTTP/2 too", async () => {
  const silent = await new RawBackend(() => {}).start();
  open.push(silent);
  const reading = await secure(silent, {
    entryPoint: { "transport.respondingTimeouts.readTimeout": "80ms" },
  });
  const headers = { ":method": "POST", ":path": "/", ":authority": "app.test" };
  const stream = browser(reading).session.request(headers);
  stream.on("error", () => {});
  const trickle = setInterval(() => stream.write("x"), 20);
  const [reply] = (await once(stream, "response")) as [Record<string, unknown>];
  clearInterval(trickle);
  assert.equal(reply[":status"], 408);

  const half = await new RawBackend((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
  }).start();
  open.push(half);
  const writing = await secure(half, {
    entryPoint: { "transport.respondingTimeouts.writeTimeout": "80ms" },
  });
  const cut = await browser(writing).ask({ ":path": "/", ":authority": "app.test" });
  assert.deepEqual([cut.text, cut.code], ["half", 2]);
});

test("SL-04 a client that does not read its reply is cut off", async () => {
  const server = createServer((_request, response) => {
    response.on("error", () => {});
    const more = () => {
      while (response.write(Buffer.alloc(65_536)));
      response.once("drain", more);
    };
    more();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push({ close: () => server.closeAllConnections() }, server);
  const plane = await secure(
    { port: (server.address() as { port: number }).port },
    { entryPoint: { "transport.respondingTimeouts.writeStallTimeout": "100ms" } },
  );
  const stream = browser(plane).session.request({ ":path": "/", ":authority": "app.test" });
  stream.on("error", () => {});
  while (plane.done.length === 0) await sleep(10);
  assert.equal(plane.done[0]?.fault?.code, "client-stalled");
  assert.equal(plane.gateway.active, 0);
});

test("H2-22 an upgrade to h2c from HTTP/1.1 is not honoured", async () => {
  const server = await hello();
  const plane = await secure(server);
  const reply = await talk(
    plane.port,
    "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    (text) => text.includes("hello"),
  );
  assert.match(reply, /^HTTP\/1\.1 200/);
  assert.doesNotMatch(server.text, /upgrade|http2-settings/i);
});

test("a failing reply of the server in the middle is a reset for an HTTP/2 client", async () => {
  const server = await new RawBackend((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    setTimeout(() => socket.destroy(), 30);
  }).start();
  open.push(server);
  const reply = await browser(await secure(server)).ask({ ":path": "/", ":authority": "app.test" });
  assert.equal(reply.text, "half");
  assert.equal(reply.code, 2);
});

test("H2-08 a hundred broken and oversized blocks over TLS, from clients that leave at once, do no harm", async () => {
  const plane = await secure(await hello());
  const broken = Buffer.alloc(16_384, 0xff);
  for (let i = 0; i < 100; i++) {
    const socket = connectTls({
      port: plane.port,
      servername: "app.test",
      ALPNProtocols: ["h2"],
      rejectUnauthorized: false,
    });
    await once(socket, "secureConnect");
    const client = RawClient.over(socket);
    // Some are still sending when the connection ends, and some are gone by then.
    for (let k = 0; k < 1 + (i % 4); k++) client.send(frame(TYPE.headers, END_HEADERS, 1 + 2 * k, broken));
    if (i % 5 > 0) assert.equal(await client.goaway(), CODE.compression);
    client.close();
  }
  const reply = await browser(plane).ask({ ":path": "/", ":authority": "app.test" });
  assert.equal(reply.text, "hello");
});

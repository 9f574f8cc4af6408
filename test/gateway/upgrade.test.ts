import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, test } from "node:test";
import { everything, OK, Plane, RawBackend, replies, TestServer, talk } from "./plane.ts";

const open: { close(): void }[] = [];
after(() => {
  for (const one of open) one.close();
});

async function planeTo(one: RawBackend, entryPoint: Record<string, string> = {}): Promise<Plane> {
  open.push(await one.start());
  const plane = await new Plane({ servers: [new TestServer(one.port)], entryPoint }).start();
  open.push(plane);
  return plane;
}

const UPGRADE =
  "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCHED =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";

/** Switches and then echoes. */
const echo = (reply = SWITCHED) =>
  new RawBackend((socket, chunk, all) => {
    const end = all.indexOf("\r\n\r\n") + 4;
    if (all.length - chunk.length < end) {
      socket.write(reply);
      if (all.length > end) socket.write(all.slice(end), "latin1");
    } else socket.write(chunk);
  });

test("WS-01 bytes are carried both ways after a real 101, those that came early too", async () => {
  const backend = echo(`${SWITCHED}hello`);
  const plane = await planeTo(backend);
  const text = await talk(plane.port, [`${UPGRADE}early`, "later"], (sofar) => sofar.endsWith("later"));
  assert.match(text, /^HTTP\/1\.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/);
  assert.ok(text.endsWith("helloearlylater"));
  assert.match(backend.text, /Connection: Upgrade\r\nUpgrade: websocket\r\n/);
  assert.match(backend.text, /X-Forwarded-Proto: ws\r\n/);
});

for (const reply of ["200 OK", "400 Bad Request", "426 Upgrade Required"]) {
  test(`WS-01 WS-06 ${reply} to an upgrade is relayed, and what the client sent early goes nowhere`, async () => {
    const backend = new RawBackend((socket) =>
      socket.write(`HTTP/1.1 ${reply}\r\nContent-Length: 2\r\n\r\nno`),
    );
    const plane = await planeTo(backend);
    const text = await talk(
      plane.port,
      `${UPGRADE}GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    );
    assert.ok(text.startsWith(`HTTP/1.1 ${reply}\r\n`));
    assert.equal(backend.connections, 2, "the second request has a connection of its own");
    assert.ok(!backend.received[0]!.toString().includes("/smuggled"));
  });
}

test("WS-05 101 to another protocol is 502", async () => {
  const plane = await planeTo(echo(SWITCHED.replace("Upgrade: websocket", "Upgrade: other")));
  assert.match(await talk(plane.port, UPGRADE, replies(1)), /^HTTP\/1\.1 502/);
  assert.equal(plane.done[0]!.fault?.code, "bad-switch");
});

test("WS-03 an upgrade to a protocol that is not allowed is a plain request", async () => {
  const backend = new RawBackend((socket) => socket.write(OK));
  const plane = await planeTo(backend);
  const text = await talk(
    plane.port,
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n\r\n",
    replies(1),
  );
  assert.match(text, /^HTTP\/1\.1 200/);
  assert.ok(!/upgrade|http2-settings/i.test(backend.text));
});

test("WS-07 when either side goes, the other does too", async () => {
  for (const way of ["client", "server"]) {
    const backend = echo();
    const plane = await planeTo(backend);
    const client = connect(plane.port, "127.0.0.1");
    client.write(UPGRADE);
    await once(client, "data");
    if (way === "client") client.resetAndDestroy();
    else backend.sockets[0]!.resetAndDestroy();
    const other = way === "client" ? backend.sockets[0]! : client;
    other.on("error", () => {});
    other.resume();
    if (!other.destroyed) await once(other, "close");
    while (plane.done.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(plane.gateway.active, 0);
    assert.equal(plane.entryPoint.open, 0);
  }
});

test("WS-07 a tunnel that is silent for too long is closed", async () => {
  const plane = await planeTo(echo(), { "transport.respondingTimeouts.tunnelIdleTimeout": "60ms" });
  assert.match(await talk(plane.port, UPGRADE), /^HTTP\/1\.1 101/);
  assert.equal(plane.gateway.active, 0);
});

test("WS-07 a half-close is passed on and the other half still flows", async () => {
  const backend = new RawBackend((socket, _chunk, all) => {
    if (all.endsWith("\r\n\r\n")) {
      socket.write(SWITCHED);
      socket.removeAllListeners("end");
      socket.on("end", () => setTimeout(() => socket.end("bye"), 20));
    }
  });
  const plane = await planeTo(backend);
  const client = connect({ port: plane.port, host: "127.0.0.1", allowHalfOpen: true });
  client.write(UPGRADE);
  await once(client, "data");
  client.end();
  const [last] = (await once(client, "data")) as [Buffer];
  assert.equal(last.toString(), "bye");
  await once(client, "close");
});

test("WS-07 a stalled reader holds the writer back", async () => {
  let sent = 0;
  const backend = new RawBackend((socket, _chunk, all) => {
    if (!all.endsWith("\r\n\r\n")) return;
    socket.write(SWITCHED);
    const block = Buffer.alloc(64 * 1024);
    const more = () => {
      while (sent < 64e6) {
        sent += block.length;
        if (!socket.write(block)) return;
      }
    };
    socket.on("drain", more);
    more();
  });
  const plane = await planeTo(backend);
  const client = connect(plane.port, "127.0.0.1");
  client.write(UPGRADE);
  await once(client, "connect");
  client.pause();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(sent < 32e6, `${sent} bytes were taken from a server whose client reads nothing`);
  client.destroy();
});

test("WS-07 many tunnels at once carry their own bytes, whole and in order, past readers that stall", async () => {
  const backend = echo();
  const plane = await planeTo(backend);
  const block = 300_000;
  const one = async (letter: string) => {
    const client = connect(plane.port, "127.0.0.1");
    client.write(UPGRADE);
    await once(client, "data");
    let back = "";
    client.on("data", (chunk: Buffer) => {
      back += chunk.toString("latin1");
      client.pause();
      setTimeout(() => client.resume(), 1);
    });
    for (let i = 0; i < 3; i++) client.write(letter.repeat(block) + i);
    while (back.length < 3 * (block + 1)) await once(client, "data");
    client.destroy();
    return back;
  };
  const letters = [..."abcdefgh"];
  const texts = await Promise.all(letters.map(one));
  for (const [i, letter] of letters.entries()) {
    const whole = letter.repeat(block);
    assert.ok(texts[i] === `${whole}0${whole}1${whole}2`, `the bytes of ${letter}`);
  }
});

test("WS-06 a long chunked answer to an upgrade comes whole to a slow reader", async () => {
  const chunk = `4e20\r\n${"x".repeat(20_000)}\r\n`;
  const backend = new RawBackend((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    socket.write(`${chunk.repeat(200)}0\r\n\r\n`);
  });
  const plane = await planeTo(backend);
  const client = connect(plane.port, "127.0.0.1");
  client.write(UPGRADE);
  let text = "";
  client.on("data", (bytes: Buffer) => {
    text += bytes.toString("latin1");
    client.pause();
    setTimeout(() => client.resume(), 2);
  });
  while (!text.endsWith("\r\n0\r\n\r\n")) await once(client, "data");
  client.destroy();
  assert.equal(text.match(/x/g)!.length, 200 * 20_000);
});

test("WS-08 a tunnel survives another table and ends with the entry point", async () => {
  const plane = await planeTo(echo());
  const client = connect(plane.port, "127.0.0.1");
  client.write(UPGRADE);
  await once(client, "data");
  plane.gateway.swap(everything(plane.service, []));
  plane.entryPoint.drain();
  client.write("still");
  const [echoed] = (await once(client, "data")) as [Buffer];
  assert.equal(echoed.toString(), "still");
  plane.entryPoint.close();
  client.on("error", () => {});
  client.resume();
  await once(client, "close");
});

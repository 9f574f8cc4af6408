import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  data,
  frame,
  GET,
  grant,
  headers,
  PADDED,
  POST,
  ping,
  RawClient,
  reset,
  settings,
  TYPE,
  uint32,
} from "../conformance/http2-frames.ts";
import { PlaneProcess } from "./plane-child.ts";

/** Clients that send what costs them nothing, without end, and read none of what is said to it. */

const FLOOD_BYTES = 8 * 1024 * 1024;
const PIECE_BYTES = 16 * 1024;
const MEGABYTES_MAX = 48;
/** For so long a client that is not read goes on trying. */
const STALL_MS = 3000;
const CLOSED_MS = 20_000;

const server = createServer((socket) => {
  socket.on("error", () => {});
  socket.on("data", () => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const plane = await PlaneProcess.start((server.address() as AddressInfo).port, "http", {
  "transport.respondingTimeouts.writeStallTimeout": "2s",
});
after(() => {
  plane.close();
  server.close();
});

/** Sends the frames over and over, with numbers that grow, until nobody takes them. */
async function flood(socket: Socket, piece: (i: number) => Buffer): Promise<void> {
  let sent = 0;
  for (let i = 0; sent < FLOOD_BYTES; ) {
    const pieces: Buffer[] = [];
    for (let bytes = 0; bytes < PIECE_BYTES; i++) {
      pieces.push(piece(i));
      bytes += pieces.at(-1)!.length;
    }
    const bytes = Buffer.concat(pieces);
    sent += bytes.length;
    if (socket.destroyed) return;
    if (socket.write(bytes)) continue;
    const isTaken = await Promise.race([
      once(socket, "drain").then(() => true),
      once(socket, "close").then(() => false),
      sleep(STALL_MS, false, { ref: false }),
    ]).catch(() => false);
    if (!isTaken) return;
  }
}

async function answers(): Promise<void> {
  const client = await RawClient.open(plane.port);
  client.send(headers(1, GET));
  await client.until(() => client.ended(1));
  assert.deepEqual(client.statuses(1), ["200"]);
  client.close();
}

const id = (i: number) => 2 * i + 3;
const PRIORITY = Buffer.concat([uint32(0), Buffer.from([16])]);

/** What is sent first, and then without end; whether the connection must be closed for it. */
const FLOODS: Record<string, { first?: readonly Buffer[]; piece: (i: number) => Buffer; ends: boolean }> = {
  PING: { piece: (i) => ping(`${i}`), ends: true },
  SETTINGS: { piece: (i) => settings([3, i]), ends: true },
  "empty SETTINGS": { piece: () => settings(), ends: true },
  "empty DATA": {
    first: [headers(1, POST, false)],
    piece: () => frame(TYPE.data, 0, 1),
    ends: true,
  },
  "DATA of padding": {
    first: [headers(1, POST, false)],
    piece: () => frame(TYPE.data, PADDED, 1, Buffer.from([0])),
    ends: true,
  },
  PRIORITY: { piece: () => frame(TYPE.priority, 0, 1, PRIORITY), ends: true },
  WINDOW_UPDATE: { piece: () => grant(0, 1), ends: false },
  "WINDOW_UPDATE of a stream": {
    first: [headers(1, POST, false)],
    piece: () => grant(1, 1),
    ends: false,
  },
  "frames of unknown types": { piece: (i) => frame(0x10 + (i % 200), 0, i % 9), ends: false },
  "requests that are answered at once": {
    piece: (i) => headers(id(i), [...GET.slice(0, 3), [":path", "/a b"]]),
    ends: true,
  },
  "requests past the limit": { piece: (i) => headers(id(i), POST, false), ends: true },
  // The replies are so small that the kernel keeps them all.
  "requests whose replies nobody reads": { piece: (i) => headers(id(i), GET), ends: false },
  "requests that are reset": {
    piece: (i) => Buffer.concat([headers(id(i), GET), reset(id(i))]),
    ends: true,
  },
  "broken requests": {
    piece: (i) => headers(id(i), [...GET, ["Upper", "1"]]),
    ends: true,
  },
  "DATA of streams that are over": {
    first: [headers(1, GET), reset(1)],
    piece: () => data(1, "x", false),
    ends: false,
  },
};

test("the plane is warm", async () => {
  for (let i = 0; i < 200; i++) await answers();
});

for (const [about, { first = [], piece, ends }] of Object.entries(FLOODS)) {
  test(`H2-06 a flood of ${about} from clients that do not read costs little memory${ends ? ", and ends" : ""}`, async () => {
    const before = await plane.ask();
    const clients = await Promise.all(Array.from({ length: 3 }, () => RawClient.open(plane.port)));
    const flooding = Promise.all(
      clients.map((client) => {
        client.socket.pause();
        client.send(...first);
        return flood(client.socket, piece);
      }),
    );
    let most = 0;
    const watch = setInterval(() => {
      void plane.ask().then(({ megabytes }) => {
        most = Math.max(most, megabytes - before.megabytes);
      });
    }, 200);
    await flooding;
    clearInterval(watch);
    const { megabytes } = await plane.ask();
    most = Math.max(most, megabytes - before.megabytes);
    await answers();
    assert.ok(most <= MEGABYTES_MAX, `${most} MB more`);
    // The connections are at their ends, whether or not their clients have noticed.
    for (const client of clients) client.socket.resume();
    if (ends) for (const client of clients) await client.until(() => client.closed, CLOSED_MS);
    for (const client of clients) client.close();
  });
}

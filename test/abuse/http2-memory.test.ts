import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttp2, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { frame, GET, headers, POST, RawClient, setting, TYPE, uint32 } from "../conformance/http2-frames.ts";
import { PlaneProcess } from "./plane-child.ts";

/** Clients that open many streams and take nothing, or send to servers that take nothing. */

/** No more than a stream buffers while its client's window is open. */
const MEDIUM = 48 * 1024;
const LARGE = 512 * 1024;
const HUGE = 32 * 1024 * 1024;
const CHUNK = Buffer.alloc(64 * 1024, "x");
const CONNECTIONS = 20;
const STREAMS = 100;
const MEGABYTES_MAX = 64;
/** What 2,000 windows of 64 KiB let clients send before anybody can say no. */
const UPLOADED_MEGABYTES = 125;

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** Writes a large body as far as it is taken. */
function pour(to: Socket | ServerHttp2Stream, bytes = LARGE): void {
  let left = bytes;
  const push = () => {
    while (left > 0 && !to.destroyed) {
      const chunk = CHUNK.subarray(0, left);
      left -= chunk.length;
      if (!to.write(chunk)) return;
    }
  };
  to.on("drain", push);
  push();
}

/** `/large` is answered without end, `/mute` not at all and not read either, everything else with two bytes. */
async function backend(scheme: string): Promise<Server> {
  const server =
    scheme === "h2c"
      ? createHttp2({ maxSessionMemory: 1000, settings: { maxConcurrentStreams: 1000 } })
      : createServer();
  server.on("sessionError", () => {});
  server.on("stream", (stream: ServerHttp2Stream, { ":path": path }) => {
    stream.on("error", () => {});
    if (path === "/mute") return;
    stream.respond();
    if (path === "/large") pour(stream);
    else if (path === "/huge") pour(stream, HUGE);
    else stream.end("ok");
  });
  if (scheme === "http") server.on("connection", answerHttp1);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push(server);
  return server as Server;
}

function answerHttp1(socket: Socket): void {
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    const path = chunk.toString("latin1").split(" ", 2)[1];
    if (path === "/mute") return void socket.pause();
    const length = path === "/large" ? LARGE : path === "/medium" ? MEDIUM : 2;
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`);
    if (length === 2) socket.write("ok");
    else pour(socket, length);
  });
}

async function started(scheme: string): Promise<PlaneProcess> {
  const plane = await PlaneProcess.start(((await backend(scheme)).address() as AddressInfo).port, scheme);
  open.push(plane);
  return plane;
}

const to = (path: string, fields = GET) =>
  fields.map(([name, value]) => [name, name === ":path" ? path : value] as const);

/** All streams of all connections, each begun with the frames given. */
async function begin(port: number, window: number, frames: (id: number) => Buffer[]): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (let i = 0; i < CONNECTIONS; i++) {
    const client = await RawClient.open(port, setting(4, window));
    clients.push(client);
    open.push(client);
    for (let id = 1; id < STREAMS * 2; id += 2) client.send(...frames(id));
  }
  return clients;
}

const heads = (clients: readonly RawClient[]) =>
  clients.reduce((sum, { frames }) => sum + frames.filter(({ type }) => type === TYPE.headers).length, 0);

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 600 && !(await done()); i++) await sleep(50);
}

/** As many streams as later, all answered, so that what a process needs for its work at all is there already. */
async function warm(plane: PlaneProcess): Promise<void> {
  for (let round = 0; round < 5; round++) {
    const clients = await begin(plane.port, 65_535, (id) => [headers(id, to("/"))]);
    await until(() => heads(clients) === CONNECTIONS * STREAMS);
    for (const client of clients) client.close();
    await until(async () => (await plane.ask()).active === 0);
  }
}

/**
 * Megabytes that 2,000 streams cost, each begun with the frames given. The best of several: when garbage is collected
 * is not in anybody's hands.
 */
async function cost(scheme: string, window: number, frames: (id: number) => Buffer[], enough: number) {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 4 && best > enough; i++) {
    const plane = await started(scheme);
    await warm(plane);
    const before = await plane.ask();
    const clients = await begin(plane.port, window, frames);
    await sleep(500);
    if (window === 0) await until(() => heads(clients) === CONNECTIONS * STREAMS);
    await sleep(1000);
    best = Math.min(best, (await plane.ask()).megabytes - before.megabytes);
    const fresh = await RawClient.open(plane.port);
    open.push(fresh);
    fresh.send(headers(1, GET));
    assert.equal(await fresh.verdict(1), "headers");
    for (const client of clients) client.close();
  }
  return best;
}

const asking = (id: number) => [headers(id, to("/large"))];
const uploading = (id: number) => [
  headers(id, to("/mute", POST), false),
  ...Array.from({ length: 4 }, () => frame(TYPE.data, 0, id, CHUNK.subarray(0, 16_000))),
];

for (const scheme of ["http", "h2c"]) {
  test(`H2-05 2,000 streams whose clients take nothing of large replies cost at most 64 MB, server of scheme ${scheme}`, async () => {
    const megabytes = await cost(scheme, 0, asking, MEGABYTES_MAX);
    assert.ok(megabytes <= MEGABYTES_MAX, `${megabytes} MB more`);
  });

  test(`H2-05 2,000 uploads that the server does not read cost no more than their windows, server of scheme ${scheme}`, async () => {
    const most = MEGABYTES_MAX + UPLOADED_MEGABYTES;
    const megabytes = await cost(scheme, 65_535, uploading, most);
    assert.ok(megabytes <= most, `${megabytes} MB more`);
  });
}

test("H2-05 40 clients of HTTP/1.1 that take nothing of huge replies of an HTTP/2 server cost at most 64 MB", async () => {
  const plane = await started("h2c");
  await warm(plane);
  const before = await plane.ask();
  for (let i = 0; i < 40; i++) {
    const socket = connect(plane.port, "127.0.0.1");
    open.push({ close: () => socket.destroy() });
    socket.on("error", () => {});
    socket.pause();
    socket.write("GET /huge HTTP/1.1\r\nHost: app.test\r\n\r\n");
  }
  await sleep(2000);
  const { megabytes, active } = await plane.ask();
  assert.equal(active, 40);
  assert.ok(megabytes - before.megabytes <= MEGABYTES_MAX, `${megabytes - before.megabytes} MB more`);
});

for (const path of ["/medium", "/large"]) {
  test(`H2-05 2,000 streams of ordinary clients that are slow are not cut off, whatever they hold together: ${path}`, async () => {
    const plane = await started("http");
    const clients = await begin(plane.port, 65_535, (id) => [headers(id, to(path))]);
    await until(() => heads(clients) === CONNECTIONS * STREAMS);
    await sleep(1000);
    const { active, ended } = await plane.ask();
    // Of a small reply some may have arrived whole.
    assert.equal(active + ended.length, CONNECTIONS * STREAMS);
    assert.deepEqual(
      ended.filter((how) => how !== "fine"),
      [],
    );
  });
}

test("H2-05 a client that takes its replies slowly is not cut off", async () => {
  const plane = await started("h2c");
  const client = await RawClient.open(plane.port, setting(4, 1000));
  open.push(client);
  client.send(headers(1, to("/large")));
  const bytes = () =>
    client.frames.reduce((sum, { type, payload }) => sum + (type === TYPE.data ? payload.length : 0), 0);
  let granted = 1000;
  await until(() => {
    if (bytes() < granted) return false;
    client.send(frame(TYPE.window, 0, 1, uint32(10_000)));
    granted += 10_000;
    return granted > 60_000;
  });
  await until(() => bytes() >= 60_000);
  assert.ok(bytes() >= 60_000, `${bytes()} bytes`);
  assert.equal(
    client.frames.some(({ type }) => type === TYPE.reset || type === TYPE.goaway),
    false,
  );
});

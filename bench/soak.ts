import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, createServer, type IncomingMessage, request } from "node:http";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
} from "node:http2";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/**
 * Keeps the whole product busy with what goes wrong every day (clients that leave, half uploads, WebSockets and event
 * streams that break off) and watches its memory, descriptors and timers: `node bench/soak.ts [--minutes 30]`. Fails
 * if the second half needs more than the first, or if something is left when everybody has gone.
 */

const at = process.argv.indexOf("--minutes");
const minutes = at < 0 ? 30 : Number(process.argv[at + 1]);
const ROOT = join(import.meta.dirname, "..");
const HOST = "soak.test";
const CLIENTS_OF_EACH = 6;
/** What is held after garbage collection depends on the requests under way at that moment. */
const LIVE_GROWTH_BYTES_MAX = 8 << 20;
/** The resident size breathes with the collector and the allocator; a leak of so many requests would be larger. */
const RSS_GROWTH_BYTES_MAX = 64 << 20;

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

// --- The application behind the proxy.

const backend = createServer((incoming, response) => {
  response.on("error", () => {});
  incoming.on("error", () => {});
  if (incoming.url === "/events") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const timer = setInterval(() => response.write("data: tick\n\n"), 20);
    response.on("close", () => clearInterval(timer));
    return;
  }
  if (incoming.url === "/breaks") {
    response.writeHead(200, { "content-length": "100000" });
    response.write("x".repeat(5000), () => response.destroy());
    return;
  }
  if (incoming.url === "/large") return void response.end(Buffer.alloc(500_000, "x"));
  incoming.on("data", () => {});
  incoming.on("end", () => response.end("ok"));
});
backend.on("upgrade", (_: IncomingMessage, socket: Socket) => {
  socket.on("error", () => {});
  socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  socket.on("data", (chunk) => socket.write(chunk));
  socket.on("end", () => socket.end());
});
backend.listen(0, "127.0.0.1");
await once(backend, "listening");
const backendPort = (backend.address() as AddressInfo).port;

// --- The product.

const folder = mkdtempSync(join(tmpdir(), "waybill-soak-"));
const file = join(folder, "dynamic.json");
const configuration = (version: number) =>
  JSON.stringify({
    http: {
      routers: {
        app: { rule: `Host(\`${HOST}\`)`, service: "app", middlewares: ["limit", "squeeze"] },
        [`v${version}`]: { rule: `Host(\`v${version}.test\`)`, service: "app" },
      },
      middlewares: { limit: { inFlightReq: { amount: 1000 } }, squeeze: { compress: {} } },
      services: { app: { loadBalancer: { servers: [{ url: `http://127.0.0.1:${backendPort}` }] } } },
    },
  });
writeFileSync(file, configuration(0));
const port = await freePort();
const product = spawn(
  process.execPath,
  [
    ...["--import", join(import.meta.dirname, "soak-probe.ts"), join(ROOT, "bin/waybill.js")],
    ...[`--entrypoints.web.address=127.0.0.1:${port}`, "--threads=2", "--log.level=ERROR"],
    ...["--metrics.prometheus=true", `--entrypoints.traefik.address=127.0.0.1:${await freePort()}`],
    ...["--accesslog.filePath=/dev/null", `--providers.file.filename=${file}`],
  ],
  { stdio: ["ignore", "pipe", "inherit"] },
);
const threads = new Map<string, { readonly timers: number; readonly live: number }>();
createInterface(product.stdout).on("line", (line) => {
  const [, name, timers, live] = /^soak (\d+) (\d+) (\d+)$/.exec(line) ?? [];
  if (name !== undefined) threads.set(name, { timers: Number(timers), live: Number(live) });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

interface Vitals {
  readonly rss: number;
  readonly live: number;
  readonly descriptors: number;
  readonly timers: number;
}

function vitals(): Vitals {
  const each = [...threads.values()];
  const status = readFileSync(`/proc/${product.pid}/status`, "utf8");
  return {
    rss: Number(/VmRSS:\s+(\d+)/.exec(status)![1]) * 1024,
    descriptors: readdirSync(`/proc/${product.pid}/fd`).length,
    live: each.reduce((sum, { live }) => sum + live, 0),
    timers: each.reduce((sum, { timers }) => sum + timers, 0),
  };
}

// --- Those who ask.

let isOver = false;
const counts = new Map<string, number>();
const count = (what: string) => counts.set(what, (counts.get(what) ?? 0) + 1);
const agent = new Agent({ keepAlive: true, maxSockets: 16 });

/** One request; resolves when it is over, however it ended. */
function ask(
  path: string,
  options: { leaveAfter?: number; body?: number; half?: boolean } = {},
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { leaveAfter = Number.POSITIVE_INFINITY, body = 0, half = false } = options;
  const outgoing = request(
    { host: "127.0.0.1", port, path, method: body > 0 ? "POST" : "GET", agent, headers: { host: HOST } },
    (incoming) => {
      let bytes = 0;
      incoming.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes >= leaveAfter) incoming.destroy();
      });
      incoming.on("error", () => {});
      incoming.on("close", resolve);
      if (incoming.statusCode !== 200) count(`status ${incoming.statusCode}`);
    },
  );
  outgoing.on("error", () => resolve());
  outgoing.on("close", resolve);
  if (body > 0) outgoing.write(Buffer.alloc(body));
  if (half) setTimeout(() => outgoing.destroy(), 5);
  else outgoing.end();
  return promise;
}

async function webSocket(): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  const closed = once(socket, "close").catch(() => {});
  socket.on("error", () => {});
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  );
  socket.on("data", () => {});
  for (let i = 0; i < 10 && !socket.destroyed; i++) {
    await wait(10);
    socket.write("a message that is echoed");
  }
  const end = Math.floor(Math.random() * 3);
  if (end === 0) socket.end();
  else if (end === 1) socket.destroy();
  else socket.resetAndDestroy();
  await closed;
}

/** Some streams of one HTTP/2 connection, each with its own way of ending, and then the connection with its own. */
async function http2(): Promise<void> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  const streams = [
    http2Stream(session, "/", 0, "end"),
    http2Stream(session, "/large", 0, "end"),
    http2Stream(session, "/large", 0, "cancel"),
    http2Stream(session, "/upload", 200_000, "end"),
    http2Stream(session, "/upload", 200_000, "cancel"),
    http2Stream(session, "/events", 0, "cancel"),
    http2Stream(session, "/breaks", 0, "end"),
    http2WebSocket(session),
  ];
  const end = Math.floor(Math.random() * 3);
  // One in three leaves in the middle of everything.
  if (end === 0) setTimeout(() => session.destroy(), 30);
  await Promise.all(streams);
  if (end === 1) session.destroy();
  else session.close();
  if (!session.destroyed) await once(session, "close").catch(() => {});
}

function http2Stream(
  session: ClientHttp2Session,
  path: string,
  body: number,
  end: "end" | "cancel",
): Promise<void> {
  const method = body > 0 ? "POST" : "GET";
  const head = { ":method": method, ":path": path, ":authority": HOST };
  const stream = session.request(head, { endStream: body === 0 });
  if (body > 0) {
    stream.write(Buffer.alloc(body));
    if (end === "end") stream.end();
  }
  stream.on("response", ({ ":status": status }) => {
    if (status !== 200) count(`status ${status}`);
  });
  if (end === "cancel") setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), Math.random() * 40);
  return over(stream);
}

async function http2WebSocket(session: ClientHttp2Session): Promise<void> {
  // Extended CONNECT must not be asked for before the server has said that it knows it.
  await Promise.race([once(session, "remoteSettings"), once(session, "close")]).catch(() => {});
  if (session.destroyed) return;
  const head = {
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":scheme": "http",
    ":path": "/ws",
    ":authority": HOST,
  };
  const stream = session.request({ ...head, "sec-websocket-version": "13" }, { endStream: false });
  stream.on("response", () => stream.write("a message that is echoed"));
  setTimeout(() => (Math.random() < 0.5 ? stream.end() : stream.close(constants.NGHTTP2_CANCEL)), 50);
  return over(stream);
}

function over(stream: ClientHttp2Stream): Promise<void> {
  stream.on("error", () => {});
  stream.resume();
  return new Promise((resolve) => stream.on("close", resolve));
}

const habits: Readonly<Record<string, () => Promise<void>>> = {
  "plain requests": () => ask("/"),
  "clients that leave": () => ask("/large", { leaveAfter: Math.floor(Math.random() * 400_000) }),
  "servers that break off": () => ask("/breaks"),
  uploads: () => ask("/upload", { body: 200_000 }),
  "half uploads": () => ask("/upload", { body: 200_000, half: true }),
  "event streams": () => ask("/events", { leaveAfter: 60 }),
  WebSockets: webSocket,
  "HTTP/2 connections": http2,
};

async function keepBusy(): Promise<void> {
  const clients = Object.entries(habits).flatMap(([name, habit]) =>
    Array.from({ length: CLIENTS_OF_EACH }, async () => {
      while (!isOver) {
        await habit();
        count(name);
        await wait(5);
      }
    }),
  );
  await Promise.all(clients);
}

// --- What is watched.

const mb = (bytes: number) => `${(bytes / 1048576).toFixed(1)} MB`;
const say = (what: string, { rss, live, descriptors, timers }: Vitals) =>
  console.log(`${what}: ${mb(rss)} resident, ${mb(live)} live, ${descriptors} descriptors, ${timers} timers`);
const median = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;

async function soak(): Promise<string[]> {
  for (let i = 0; i < 100 && threads.size < 3; i++) await wait(100);
  await ask("/");
  await wait(1000);
  const before = vitals();
  say("before", before);
  const load = keepBusy();
  // The first fifth is for the compiler and for the heap to find its size.
  await wait(minutes * 60_000 * 0.2);
  const samples: Vitals[] = [];
  for (let i = 0; i < 40; i++) {
    await wait(minutes * 60_000 * 0.02);
    writeFileSync(file, configuration(i));
    samples.push(vitals());
    if (i % 4 === 3) say(`${Math.round((0.2 + (i + 1) * 0.02) * 100)} %`, samples.at(-1)!);
  }
  isOver = true;
  await load;
  agent.destroy();
  // Longer than a closing connection is listened to.
  await wait(5000);
  const after = vitals();
  say("after", after);
  for (const [what, number] of counts) console.log(`${what}: ${number}`);
  return complaints(before, samples, after);
}

function complaints(before: Vitals, samples: readonly Vitals[], after: Vitals): string[] {
  const half = samples.length >> 1;
  const growthOf = (what: "rss" | "live") =>
    median(samples.slice(half).map((vitals) => vitals[what])) -
    median(samples.slice(0, half).map((vitals) => vitals[what]));
  const [rss, live] = [growthOf("rss"), growthOf("live")];
  console.log(`the second half over the first: ${mb(rss)} resident, ${mb(live)} live`);
  const found: string[] = [];
  if (live > LIVE_GROWTH_BYTES_MAX) found.push(`live memory grew by ${mb(live)}`);
  if (rss > RSS_GROWTH_BYTES_MAX) found.push(`resident memory grew by ${mb(rss)}`);
  // Connections to the application are kept for a while.
  const kept = after.descriptors - before.descriptors;
  if (kept > 2 * Object.keys(habits).length * CLIENTS_OF_EACH) found.push(`${kept} descriptors are left`);
  if (after.timers > before.timers + 2) found.push(`${after.timers - before.timers} timers are left`);
  const bad = [...counts.keys()].filter((what) => what.startsWith("status "));
  if (bad.length > 0) found.push(`there were answers of ${bad.join(", ")}`);
  return found;
}

try {
  const found = await soak();
  for (const complaint of found) console.error(complaint);
  process.exitCode = found.length > 0 ? 1 : 0;
} finally {
  product.kill("SIGTERM");
  backend.closeAllConnections();
  backend.close();
  rmSync(folder, { recursive: true, force: true });
}

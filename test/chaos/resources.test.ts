import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { eventually, startProduct } from "../e2e/harness.ts";
import { freePort } from "../free-port.ts";
import { OK, Plane, RawBackend, replies, TestServer, talk } from "../gateway/plane.ts";

const GB = 1 << 30;
const MB = 1 << 20;

const open: { close(): void }[] = [];
after(() => {
  for (const one of open) one.close();
});

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

async function setUp(backend: RawBackend): Promise<Plane> {
  open.push(await backend.start());
  const plane = await new Plane({ servers: [new TestServer(backend.port)] }).start();
  open.push(plane);
  return plane;
}

/** Writes that many bytes as fast as they are taken. */
function pour(socket: Socket, bytes: number): void {
  const chunk = Buffer.alloc(64 * 1024, "x");
  let left = bytes;
  const more = () => {
    while (left > 0) {
      left -= chunk.length;
      if (!socket.write(chunk)) return;
    }
  };
  socket.on("drain", more);
  more();
}

/** The most that memory grows by until the promise is settled. */
async function growthDuring(work: Promise<unknown>): Promise<number> {
  const before = process.memoryUsage.rss();
  let most = before;
  const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 20);
  try {
    await work;
  } finally {
    clearInterval(timer);
  }
  return most - before;
}

test("RS-17 a reply and an upload of 1 GB each leave memory as it was", { timeout: 280_000 }, async () => {
  const backend = new RawBackend((socket, _chunk, all) => {
    if (!all.endsWith("\r\n\r\n")) return;
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${GB}\r\n\r\n`);
    pour(socket, GB);
  });
  const plane = await setUp(backend);
  const down = async (bytes: number) => {
    const socket = connect(plane.port, "127.0.0.1");
    socket.write(GET);
    let got = 0;
    for await (const chunk of socket) {
      got += (chunk as Buffer).length;
      if (got >= bytes) break;
    }
  };
  // The heap and the allocator find their sizes first.
  await down(64 * MB);
  const grown = await growthDuring(down(GB));
  assert.ok(grown < 64 * MB, `${Math.round(grown / MB)} MB more for the reply`);

  let taken = 0;
  const sink = new RawBackend(() => {});
  sink.server.removeAllListeners("connection");
  sink.server.on("connection", (socket: Socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      taken += chunk.length;
      if (taken >= GB) socket.write(OK);
    });
  });
  const uploads = await setUp(sink);
  const socket = connect(uploads.port, "127.0.0.1");
  open.push({ close: () => socket.destroy() });
  const answered = once(socket, "data");
  socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${GB}\r\n\r\n`);
  pour(socket, GB);
  const uploading = await growthDuring(answered);
  assert.ok(uploading < 64 * MB, `${Math.round(uploading / MB)} MB more for the upload`);
});

test("RS-12 SL-12 when there are no descriptors left new connections are closed, and service goes on", {
  timeout: 120_000,
}, async () => {
  const main = join(import.meta.dirname, "../../bin/waybill.js");
  const port = await freePort();
  const flags = ["--threads=1", `--entrypoints.web.address=127.0.0.1:${port}`, "--log.level=ERROR"];
  const child = spawn("prlimit", ["--nofile=256:256", process.execPath, main, ...flags], {
    stdio: "ignore",
  });
  open.push({ close: () => child.kill("SIGKILL") });
  await eventually(async () => assert.match(await talk(port, GET, replies(1)), /^HTTP\/1\.1 404/), 60);
  const crowd = Array.from({ length: 400 }, () => connect(port, "127.0.0.1"));
  for (const socket of crowd) socket.on("error", () => {});
  await eventually(() => assert.ok(crowd.every(({ connecting }) => !connecting)));
  await eventually(() => assert.ok(keptOf(crowd) < 256, `${keptOf(crowd)} connections are kept`));
  const before = cpuMs(child.pid!);
  await wait(2000);
  const busy = (cpuMs(child.pid!) - before) / 2000;
  for (const socket of crowd) socket.destroy();
  await eventually(async () => assert.match(await talk(port, GET, replies(1)), /^HTTP\/1\.1 404/));
  assert.ok(busy < 0.2, `${Math.round(busy * 100)} % of a core`);
});

const keptOf = (crowd: readonly Socket[]) =>
  crowd.filter((socket) => !socket.closed && socket.readyState === "open").length;

function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

test("SL-12 the connections of one address are bounded over all threads together", async () => {
  const flags = ["--entryPoints.web.transport.maxConnectionsPerIP=20"];
  await using product = await startProduct({ flags, threads: 2 });
  const crowd = Array.from({ length: 80 }, () => connect(product.ports.get("web")!, "127.0.0.1"));
  for (const socket of crowd) socket.on("error", () => {}).resume();
  await eventually(() => assert.ok(crowd.every(({ connecting }) => !connecting)));
  await eventually(() => assert.ok(keptOf(crowd) <= 22, `${keptOf(crowd)} of 80 are kept`));
  assert.ok(keptOf(crowd) > 0);
  for (const socket of crowd) socket.destroy();
});

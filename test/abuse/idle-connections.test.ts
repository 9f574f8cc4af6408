import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { eventually } from "../e2e/harness.ts";
import { OK, replying } from "../gateway/plane.ts";

/** Ten thousand clients that have asked once and are silent now, as a browser's kept connections are. */

/** Requests of which the slowest hundredth is looked at, and how often at most. */
const ACTIVE = 400;
const ROUNDS = 20;
const SLOWER_MAX = 1.5;
const GROWTH_MAX = 1.05;
const LAST_ROUND = 4;
const REQUEST = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";

const open: { close(): void }[] = [];
after(() => {
  for (const one of open) one.close();
});

/** As many as the row says, or as the machine's descriptors allow: an entry point keeps a fifth of them free. */
function connectionsMax(): number {
  const [, files] = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  return Math.min(10_000, Math.floor(Number(files ?? 1024) * 0.8) - 100);
}

function start(script: string, ...args: string[]): ChildProcess {
  const child = fork(join(import.meta.dirname, script), args);
  open.push({ close: () => void (child.connected && child.disconnect()) });
  return child;
}

async function ask<T>(child: ChildProcess, what: number): Promise<T> {
  child.send(what);
  const [said] = (await once(child, "message")) as [T];
  return said;
}

/** Milliseconds in which all but the slowest hundredth of requests on one connection are answered. */
async function slowMs(socket: Socket): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < ACTIVE; i++) {
    const startedAtMs = performance.now();
    socket.write(REQUEST);
    await once(socket, "data");
    times.push(performance.now() - startedAtMs);
  }
  return times.sort((a, b) => a - b)[Math.floor(ACTIVE * 0.99)]!;
}

const most = connectionsMax();
const skip = most < 2000 && process.env["CI"] !== "true" && `${most} connections are too few to measure`;

for (const [scheme, kilobytesMax] of [
  ["http", 8],
  ["https", 60],
] as const) {
  // A handshake costs thousands of times what a connection does, and theirs are measured by `npm run bench` as well.
  const count = scheme === "https" ? Math.ceil(most / 10) : most;
  test(`RS-13 ${count} idle connections of ${scheme} cost at most ${kilobytesMax} KB each, nobody's time, and nothing once they are gone`, {
    skip,
  }, async () => {
    const backend = await replying(OK).start();
    open.push(backend);
    const plane = start("idle-plane.ts", `${backend.port}`, scheme);
    const [{ port }] = (await once(plane, "message")) as [{ port: number }];
    const clients = start("idle-clients.ts", `${port}`, scheme);
    const held = () => ask<{ bytes: number; open: number }>(plane, 0);
    // What a process needs for its work at all is there already.
    await ask(clients, Math.ceil(count / 10));
    await ask(clients, 0);
    await eventually(async () => assert.equal((await held()).open, 0));

    const to = { port, host: "127.0.0.1", servername: "app.test", rejectUnauthorized: false };
    const active = scheme === "https" ? connectTls(to) : connect(to);
    await once(active, scheme === "https" ? "secureConnect" : "connect");
    open.push({ close: () => active.destroy() });
    await eventually(async () => assert.equal((await held()).open, 1));
    const aloneMs = await slowMs(active);
    const before = await held();

    const heldAll = () =>
      eventually(async () => {
        const now = await held();
        assert.equal(now.open, count + 1);
        return now;
      });
    await ask(clients, count);
    const full = await heldAll();
    const each = (full.bytes - before.bytes) / count / 1024;
    assert.ok(each <= kilobytesMax, `${each.toFixed(1)} KB a connection`);

    let besideMs = Number.POSITIVE_INFINITY;
    // Other work of the machine makes it slow, too, so the best of some counts.
    for (let round = 0; round < ROUNDS && besideMs > aloneMs * SLOWER_MAX; round++)
      besideMs = Math.min(besideMs, await slowMs(active));
    assert.ok(besideMs <= aloneMs * SLOWER_MAX, `${besideMs} ms beside them, ${aloneMs} ms alone`);

    // The allocator takes a round or two to find its size, a leak never does.
    let last = full.bytes;
    for (let round = 2; ; round++) {
      await ask(clients, 0);
      await eventually(async () => assert.equal((await held()).open, 1));
      await ask(clients, count);
      const { bytes } = await heldAll();
      if (bytes <= last * GROWTH_MAX) return;
      assert.ok(round < LAST_ROUND, `${bytes} bytes after ${last}, in round ${round}`);
      last = bytes;
    }
  });
}

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { HOST } from "./proxies.ts";

/** CPU time of every process of the group, in microseconds. */
export function cpuMicros(group: number): number {
  let ticks = 0;
  for (const stat of statsOf(group)) ticks += Number(stat[11]) + Number(stat[12]);
  return ticks * 10_000;
}

/** Resident memory of every process of the group, in bytes. */
export function residentBytes(group: number): number {
  let pages = 0;
  for (const stat of statsOf(group)) pages += Number(stat[21]);
  return pages * 4096;
}

function statsOf(group: number): string[][] {
  const stats: string[][] = [];
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const text = readFileSync(`/proc/${entry}/stat`, "utf8");
      const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
      if (Number(fields[2]) === group) stats.push(fields);
    } catch {
      // It has ended in the meantime.
    }
  }
  return stats;
}

export const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}

export async function listens(port: number): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const socket = connect(port, "127.0.0.1");
    const open = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (open) return;
    await wait(100);
  }
  throw new Error(`nothing listens on ${port}`);
}

/** Ends a pinned command and all it has started. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  process.kill(-child.pid!, "SIGTERM");
  const timer = setTimeout(() => process.kill(-child.pid!, "SIGKILL"), 5000);
  await once(child, "exit");
  clearTimeout(timer);
}

/** What one connection costs that has asked once and is silent now: bytes, client and server side. */
export async function idleBytes(port: number, group: number, count: number, tls: boolean): Promise<number> {
  const before = residentBytes(group);
  const sockets: Socket[] = [];
  const open = async () => {
    const socket = tls
      ? connectTls({ port, host: "127.0.0.1", servername: HOST, rejectUnauthorized: false })
      : connect(port, "127.0.0.1");
    socket.on("error", () => {});
    await once(socket, tls ? "secureConnect" : "connect");
    socket.write(`GET /100 HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    await once(socket, "data");
    sockets.push(socket);
  };
  const opener = async (share: number) => {
    for (let i = 0; i < share; i++) await open();
  };
  await Promise.all(Array.from({ length: 10 }, () => opener(count / 10)));
  const bytes = (residentBytes(group) - before) / count;
  for (const socket of sockets) socket.destroy();
  return bytes;
}

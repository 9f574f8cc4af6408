import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { HOST } from "./proxies.ts";

/** What a generator of load saw. Latencies in milliseconds. */
export interface Outcome {
  readonly requests: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
}

/** `begun` is called when everything is open that stays open, and what is measured begins. */
export type Load = (port: number, seconds: number, begun: () => void) => Promise<Outcome>;

export const LOAD_CORE = "1";
export const DIR = join(tmpdir(), "waybill-bench");
const run = promisify(execFile);

/** What a browser sends. */
const HEADERS: readonly (readonly [name: string, value: string])[] = [
  [
    "User-Agent",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
  ],
  [
    "Accept",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
  ],
  ["Accept-Language", "en-US,en;q=0.9,de;q=0.8"],
  ["Accept-Encoding", "gzip, deflate, br, zstd"],
  ["Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes; ref=1234567890.1234567890"],
  ["Referer", `https://${HOST}/dashboard/overview?range=7d`],
  ["Sec-Fetch-Dest", "document"],
  ["Sec-Fetch-Mode", "navigate"],
  ["Sec-Fetch-Site", "same-origin"],
  ["Sec-Ch-Ua", '"Chromium";v="130", "Google Chrome";v="130", "Not?A_Brand";v="99"'],
  ["Upgrade-Insecure-Requests", "1"],
];

const onLoadCore = (command: string, args: readonly string[]) =>
  run("taskset", ["-c", LOAD_CORE, command, ...args], { maxBuffer: 1e8 });

/** 64 connections, each with one request after the other, as fast as they are answered. */
export function wrk(path: string, options: { tls?: boolean; upload?: number; close?: boolean } = {}): Load {
  const { tls = false, upload = 0, close = false } = options;
  return async (port, seconds) => {
    const lua = join(DIR, `wrk-${upload}-${close}.lua`);
    const headers = [["Host", HOST], ...HEADERS, ...(close ? [["Connection", "close"]] : [])];
    const lines = headers.map(([name, value]) => `wrk.headers["${name}"]=${JSON.stringify(value)}`);
    if (upload > 0) lines.push('wrk.method="POST"', `wrk.body=string.rep("x",${upload})`);
    writeFileSync(lua, `${lines.join("\n")}\n`);
    const url = tls ? `https://${HOST}:${port + 1}${path}` : `http://127.0.0.1:${port}${path}`;
    const { stdout } = await onLoadCore("wrk", [
      ...["-t1", "-c64", `-d${seconds}s`, "--latency", "-s", lua, url],
    ]);
    const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout);
    const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0);
    return {
      requests: Number(/(\d+) requests in/.exec(stdout)![1]),
      failed: (errors?.slice(1) ?? []).reduce((sum, text) => sum + Number(text), refused),
      p50: milliseconds(/^\s+50%\s+(\S+)/m.exec(stdout)![1]!),
      p99: milliseconds(/^\s+99%\s+(\S+)/m.exec(stdout)![1]!),
    };
  };
}

function milliseconds(text: string): number {
  const units: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };
  const [, number, unit] = /^([\d.]+)([a-z]+)$/.exec(text)!;
  return Number(number) * units[unit!]!;
}

/** 16 connections of HTTP/2 over TLS with 8 requests each at a time. */
export function http2(path: string): Load {
  return (port, seconds) => h2load(`https://${HOST}:${port + 1}${path}`, seconds, ["-c16", "-m8"]);
}

/** Plain HTTP/1.1 on 64 connections at a given rate, however long the answers take. */
export function atRate(path: string, perSecond: number): Load {
  const args = ["--h1", "-c64", `--rps=${Math.max(1, Math.floor(perSecond / 64))}`];
  return (port, seconds) => h2load(`http://${HOST}:${port}${path}`, seconds, args);
}

async function h2load(url: string, seconds: number, how: readonly string[]): Promise<Outcome> {
  const headers = HEADERS.flatMap(([name, value]) => ["-H", `${name.toLowerCase()}: ${value}`]);
  const log = join(DIR, "h2load.log");
  rmSync(log, { force: true });
  const args = [...how, "-t1", "-D", String(seconds), `--log-file=${log}`, ...headers, url];
  const { stdout } = await onLoadCore("h2load", args);
  const counts = /(\d+) done, (\d+) succeeded, (\d+) failed/.exec(stdout)!;
  const times = readFileSync(log, "utf8").trimEnd().split("\n");
  const micros = times.map((line) => Number(line.slice(line.lastIndexOf("\t") + 1))).sort((a, b) => a - b);
  const quantile = (share: number) => (micros[Math.floor(micros.length * share)] ?? Number.NaN) / 1000;
  return { requests: Number(counts[1]), failed: Number(counts[3]), p50: quantile(0.5), p99: quantile(0.99) };
}

/** Messages over WebSockets, each echoed before the next. */
export function webSockets(connections: number): Load {
  return async (port, seconds, begun) => {
    const script = join(import.meta.dirname, "websockets.ts");
    const args = ["-c", LOAD_CORE, process.execPath, script, String(port), String(connections)];
    const child = spawn("taskset", [...args, String(seconds * 1000)], { stdio: ["pipe", "pipe", "inherit"] });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk;
      if (said !== "ready\n") return;
      begun();
      child.stdin.write("go");
    });
    const [code] = (await once(child, "exit")) as [number | null];
    if (code !== 0) throw new Error("the WebSockets could not be opened");
    return { requests: Number(said.split("\n")[1]), failed: 0, p50: Number.NaN, p99: Number.NaN };
  };
}

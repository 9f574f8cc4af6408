import { type ChildProcess, execFile, execFileSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  BACKEND_PORT,
  cpuMicros,
  HOST,
  installedProxies,
  type Proxy as ProxyUnderTest,
  pinned,
  residentBytes,
  startWaybill,
} from "./proxies.ts";

/**
 * Waybill beside other proxies in one run: each pinned to one core, generator and server on the other. What counts is
 * CPU time a request, because a shared machine disturbs it least. `npm run bench -- [--seconds 4] [--against commit]`.
 */

const ROOT = join(import.meta.dirname, "..");
const DIR = join(tmpdir(), "waybill-bench");
const LOAD_CORE = "1";
const run = promisify(execFile);
const argument = (name: string) => process.argv[process.argv.indexOf(name) + 1];
const seconds = process.argv.includes("--seconds") ? Number(argument("--seconds")) : 4;

const HEADERS: readonly [string, string][] = [
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

interface Measured {
  readonly cpuUs: number;
  readonly perSecond: number;
  readonly p50: string;
  readonly p99: string;
  readonly failed: number;
}

interface Case {
  readonly name: string;
  readonly load: (port: number) => Promise<{ requests: number; failed: number; p50: string; p99: string }>;
}

const wrk =
  (path: string, tls = false, upload = 0, close = false) =>
  async (port: number) => {
    const lua = join(DIR, `wrk-${upload}-${close}.lua`);
    const lines = HEADERS.map(
      ([name, value]) => `wrk.headers[${JSON.stringify(name)}]=${JSON.stringify(value)}`,
    );
    if (close) lines.push('wrk.headers["Connection"]="close"');
    if (upload > 0) lines.push('wrk.method="POST"', `wrk.body=string.rep("x",${upload})`);
    writeFileSync(lua, `wrk.headers["Host"]="${HOST}"\n${lines.join("\n")}\n`);
    const url = tls ? `https://${HOST}:${port + 1}${path}` : `http://127.0.0.1:${port}${path}`;
    const { stdout } = await run("taskset", [
      "-c",
      LOAD_CORE,
      "wrk",
      "-t1",
      "-c64",
      `-d${seconds}s`,
      "--latency",
      "-s",
      lua,
      url,
    ]);
    const errors =
      /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout)?.slice(1) ?? [];
    const failed = Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0);
    return {
      requests: Number(/(\d+) requests in/.exec(stdout)![1]),
      failed: errors.reduce((sum, text) => sum + Number(text), failed),
      p50: /50%\s+(\S+)/.exec(stdout)?.[1] ?? "?",
      p99: /99%\s+(\S+)/.exec(stdout)?.[1] ?? "?",
    };
  };

const http2 = (path: string) => async (port: number) => {
  const headers = HEADERS.flatMap(([name, value]) => ["-H", `${name.toLowerCase()}: ${value}`]);
  const url = `https://${HOST}:${port + 1}${path}`;
  const args = ["-c16", "-m8", "-t1", "-D", String(seconds), ...headers, url];
  const { stdout } = await run("taskset", ["-c", LOAD_CORE, "h2load", ...args], { maxBuffer: 1e8 });
  const counts = /requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed/.exec(stdout)!;
  const times = /time for request:\s+(\S+)\s+(\S+)\s+(\S+)/.exec(stdout);
  return {
    requests: Number(counts[2]),
    failed: Number(counts[3]),
    p50: times?.[3] ?? "?",
    p99: times?.[2] ?? "?",
  };
};

const CASES: readonly Case[] = [
  { name: "100 B", load: wrk("/100") },
  { name: "4 KB in two segments", load: wrk("/4k2") },
  { name: "64 KB", load: wrk("/64k") },
  { name: "1 MB", load: wrk("/1m") },
  { name: "upload of 64 KB", load: wrk("/100", false, 65536) },
  { name: "TLS, 100 B", load: wrk("/100", true) },
  { name: "TLS, a handshake each", load: wrk("/100", true, 0, true) },
  { name: "HTTP/2 over TLS, 100 B", load: http2("/100") },
];

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function ready(port: number): Promise<void> {
  for (let i = 0; i < 150; i++) {
    const socket = connect(port, "127.0.0.1");
    const open = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "error").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (open) return;
    await wait(100);
  }
  throw new Error(`nothing listens on ${port}`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  process.kill(-child.pid!, "SIGTERM");
  const timer = setTimeout(() => process.kill(-child.pid!, "SIGKILL"), 5000);
  await once(child, "exit");
  clearTimeout(timer);
}

async function measure(port: number, group: number, load: Case["load"]): Promise<Measured> {
  const before = cpuMicros(group);
  const { requests, failed, p50, p99 } = await load(port);
  const cpuUs = (cpuMicros(group) - before) / Math.max(1, requests);
  return { cpuUs, perSecond: requests / seconds, p50, p99, failed };
}

async function idleBytes(port: number, group: number, count: number): Promise<number> {
  const before = residentBytes(group);
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i++) {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    await once(socket, "connect");
    socket.write(`GET /100 HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    await once(socket, "data");
    sockets.push(socket);
  }
  const bytes = (residentBytes(group) - before) / count;
  for (const socket of sockets) socket.destroy();
  return bytes;
}

function others(): { name: string; root: string }[] {
  const list = [{ name: "Waybill", root: ROOT }];
  if (!process.argv.includes("--against")) return list;
  const commit = argument("--against")!;
  const root = join(DIR, `at-${commit}`);
  execFileSync("git", ["worktree", "add", "--force", "--detach", root, commit], {
    cwd: ROOT,
    stdio: "ignore",
  });
  execFileSync("ln", ["-sfn", join(ROOT, "node_modules"), join(root, "node_modules")]);
  return [...list, { name: `Waybill ${commit.slice(0, 8)}`, root }];
}

const lines: string[] = [];
const say = (line = "") => {
  lines.push(line);
  process.stdout.write(`${line}\n`);
};

async function compare(list: readonly ProxyUnderTest[]): Promise<void> {
  const results = new Map<string, Map<string, Measured>>();
  const idle = new Map<string, number>();
  for (const proxy of list) {
    const child = proxy.start();
    try {
      await ready(proxy.port);
      await ready(proxy.port + 1);
      await wait(1500);
      // Before any load: afterwards the memory that it needed would be used again.
      idle.set(proxy.name, await idleBytes(proxy.port, child.pid!, 2000));
      await wrk("/100")(proxy.port);
      for (const one of CASES) {
        const measured = await measure(proxy.port, child.pid!, one.load).catch(() => undefined);
        const row = results.get(one.name) ?? new Map<string, Measured>();
        results.set(one.name, row);
        if (measured !== undefined) row.set(proxy.name, measured);
      }
    } finally {
      await stop(child);
    }
  }
  const names = list.map(({ name }) => name);
  const head = `| ${["", ...names].join(" | ")} |\n|${" --- |".repeat(names.length + 1)}`;
  const table = (title: string, cell: (row: Map<string, Measured>, name: string) => string) => {
    say(`\n## ${title}\n\n${head}`);
    for (const [name, row] of results) say(`| ${name} | ${names.map((one) => cell(row, one)).join(" | ")} |`);
  };
  table("CPU a request, and the ratio to nginx", (row, name) => {
    const one = row.get(name);
    if (one === undefined) return "-";
    const nginx = row.get("nginx");
    const ratio = nginx === undefined || name === "nginx" ? "" : ` (${(one.cpuUs / nginx.cpuUs).toFixed(2)})`;
    return `${one.cpuUs.toFixed(1)} µs${ratio}${one.failed > 0 ? `, ${one.failed} failed` : ""}`;
  });
  table("Requests a second, p50 and p99 (HTTP/2: mean and maximum) at saturation", (row, name) => {
    const one = row.get(name);
    return one === undefined ? "-" : `${Math.round(one.perSecond)}, ${one.p50}, ${one.p99}`;
  });
  say(`\n## Memory of an idle connection, client and server side, after one request\n\n${head}`);
  say(
    `| 2000 connections | ${names.map((name) => `${((idle.get(name) ?? 0) / 1024).toFixed(1)} KB`).join(" | ")} |`,
  );
}

async function scale(): Promise<void> {
  say("\n## Waybill by number of routers and middlewares, 100 B\n\n| | CPU a request |\n| --- | --- |");
  for (const options of [
    { routers: 10, middlewares: 0 },
    { routers: 10_000, middlewares: 0 },
    { routers: 10, middlewares: 5 },
  ]) {
    const child = startWaybill(DIR, ROOT, 18190, options);
    try {
      await ready(18190);
      await wait(2500);
      await wrk("/100")(18190);
      const { cpuUs } = await measure(18190, child.pid!, wrk("/100"));
      say(`| ${options.routers} routers, ${options.middlewares} middlewares | ${cpuUs.toFixed(1)} µs |`);
    } finally {
      await stop(child);
    }
  }
}

const backend = pinned(LOAD_CORE, process.execPath, [join(ROOT, "bench/backend.ts"), String(BACKEND_PORT)]);
try {
  await ready(BACKEND_PORT);
  const list = installedProxies(DIR, others());
  const versions = list.map(
    ({ name, version }) => `${name} ${name.startsWith("Waybill") ? `on Node ${version}` : version}`,
  );
  say("# Benchmark results\n");
  say(
    `${versions.join(", ")}; ${cpus()[0]?.model.trim()}, ${cpus().length} cores, Linux ${release()}; ${new Date().toISOString().slice(0, 10)}.`,
  );
  say(
    "\nEach proxy has one thread on one core; load generator and server share another one. 64 connections, the headers",
  );
  say(
    "of a browser, 1,000 routers for Waybill, metrics on, access log off. Machines differ and this one is shared: read",
  );
  say("ratios, and only within one run. `npm run bench` repeats it.");
  await compare(list);
  await scale();
  writeFileSync(join(ROOT, "bench/RESULTS.md"), `${lines.join("\n")}\n`);
} finally {
  await stop(backend);
}

import { type ChildProcess, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { atRate, DIR, http2, LOAD_CORE, type Load, type Outcome, webSockets, wrk } from "./loads.ts";
import { cpuMicros, idleBytes, listens, median, stop, wait } from "./measure.ts";
import {
  BACKEND_PORT,
  installedProxies,
  type Proxy as ProxyUnderTest,
  pinned,
  startWaybill,
} from "./proxies.ts";
import { asMarkdown, asRatios, makeTable, put, remember, type Table, writeResults } from "./report.ts";

/**
 * Waybill beside other proxies in one run: each pinned to one core, generator and server on the other. All of them run
 * all the time and are asked in turn, several short rounds each, of which the median counts: what else the machine
 * does then meets all of them alike. `npm run bench -- [--seconds 2] [--rounds 3] [--quick] [--only text] [--against commit]`.
 * `--quick` leaves out what takes long; `--only` all but the requests of that name, and writes nothing down; with `--against` another commit's Waybill is asked as well, and only nginx
 * beside them, the ratio of the two is printed, and nothing is written down.
 */

const ROOT = join(import.meta.dirname, "..");
const argument = (name: string) => process.argv[process.argv.indexOf(name) + 1];
const has = (name: string) => process.argv.includes(name);
const seconds = has("--seconds") ? Number(argument("--seconds")) : 2;
const rounds = has("--rounds") ? Number(argument("--rounds")) : 3;
const against = has("--against") ? argument("--against") : undefined;
const only = has("--only") ? argument("--only")! : "";

interface Running {
  readonly name: string;
  readonly port: number;
  readonly child: ChildProcess;
}

const CASES: readonly (readonly [name: string, load: Load])[] = [
  ["100 B", wrk("/100")],
  ["4 KB in two segments", wrk("/4k2")],
  ["64 KB", wrk("/64k")],
  ["1 MB", wrk("/1m")],
  ["upload of 64 KB", wrk("/100", { upload: 65536 })],
  ["TLS, 100 B", wrk("/100", { tls: true })],
  ["TLS, a handshake each", wrk("/100", { tls: true, close: true })],
  ["HTTP/2 over TLS, 100 B", http2("/100")],
];

const cpu = makeTable("CPU a request, and the ratio to nginx", "µs", true);
const rate = makeTable("Requests a second at saturation", "");
const latency = makeTable("p99 of 100 B at 80 % of Waybill's saturation, the same rate for all", "ms", true);
const messages = makeTable("CPU a WebSocket message, 1,000 connections", "µs", true);
const idle = makeTable("Memory of an idle connection, client and server side, after one request", "KB");
const scale = makeTable("Waybill by number of routers and middlewares, 100 B: CPU a request", "µs");
const tables: readonly Table[] = [cpu, rate, latency, messages, idle, scale];

/** Those that do not come up are left out. */
async function start(list: readonly ProxyUnderTest[]): Promise<Running[]> {
  const running: Running[] = [];
  for (const { name, port, start } of list) {
    const child = start();
    try {
      await listens(port);
      await listens(port + 1);
      running.push({ name, port, child });
    } catch (error) {
      console.error(`${name} is left out: ${(error as Error).message}`);
      await stop(child);
    }
  }
  // A proxy that has just begun still reads its configuration.
  await wait(3000);
  return running;
}

interface Measured extends Outcome {
  readonly cpuUs: number;
}

async function measure({ port, child, name }: Running, load: Load): Promise<Measured> {
  let before = cpuMicros(child.pid!);
  const outcome = await load(port, seconds, () => {
    before = cpuMicros(child.pid!);
  });
  if (outcome.failed > 0) console.error(`${name}: ${outcome.failed} of ${outcome.requests} failed`);
  return { ...outcome, cpuUs: (cpuMicros(child.pid!) - before) / Math.max(1, outcome.requests) };
}

/** Every proxy in turn, as many rounds as were asked for, after one in which compilers get to know the path. */
async function takeTurns(
  running: readonly Running[],
  load: Load,
  told: (name: string, measured: readonly Measured[]) => void,
): Promise<void> {
  const all = new Map<string, Measured[]>(running.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const one of running) {
      const measured = await measure(one, load);
      if (round > 0) all.get(one.name)!.push(measured);
    }
  }
  for (const [name, measured] of all) told(name, measured);
}

const medianOf = (measured: readonly Measured[], field: keyof Measured) =>
  median(measured.map((one) => one[field]));

async function compareRequests(running: readonly Running[]): Promise<void> {
  for (const [name, load] of CASES.filter(([name]) => name.includes(only))) {
    await takeTurns(running, load, (proxy, measured) => {
      put(cpu, name, proxy, medianOf(measured, "cpuUs"));
      put(rate, name, proxy, medianOf(measured, "requests") / seconds);
    });
    console.log(
      `${name}: ${[...cpu.rows.get(name)!].map(([proxy, us]) => `${proxy} ${us.toFixed(1)} µs`).join(", ")}`,
    );
  }
}

async function compareLatency(running: readonly Running[]): Promise<void> {
  const perSecond = 0.8 * rate.rows.get("100 B")!.get("Waybill")!;
  await takeTurns(running, atRate("/100", perSecond), (proxy, measured) => {
    put(latency, `${Math.round(perSecond / 1000)},000 requests a second`, proxy, medianOf(measured, "p99"));
  });
}

async function compareWebSockets(running: readonly Running[]): Promise<void> {
  await takeTurns(running, webSockets(1000), (proxy, measured) => {
    put(messages, "echo of 128 B", proxy, medianOf(measured, "cpuUs"));
  });
}

/** On fresh processes: after a load the memory that it needed would be used again. */
async function compareIdle(list: readonly ProxyUnderTest[]): Promise<void> {
  for (const [what, count, tls] of [
    ["9,500 plain", 9500, false],
    ["4,000 over TLS", 4000, true],
  ] as const) {
    for (const proxy of list) {
      const [running] = await start([proxy]);
      if (running === undefined) continue;
      try {
        const port = proxy.port + (tls ? 1 : 0);
        put(idle, what, proxy.name, (await idleBytes(port, running.child.pid!, count, tls)) / 1024);
      } finally {
        await stop(running.child);
      }
    }
  }
}

async function compareScale(): Promise<void> {
  const sizes = [
    { routers: 10, middlewares: 0 },
    { routers: 10_000, middlewares: 0 },
    { routers: 10, middlewares: 5 },
  ];
  const running = await start(
    sizes.map((size, i) => ({
      name: `${size.routers} routers, ${size.middlewares} middlewares`,
      version: "",
      port: 18200 + i * 10,
      start: () => startWaybill(DIR, ROOT, 18200 + i * 10, size),
    })),
  );
  try {
    await takeTurns(running, wrk("/100"), (name, all) => put(scale, name, "Waybill", medianOf(all, "cpuUs")));
  } finally {
    for (const { child } of running) await stop(child);
  }
}

/** A copy of the project as it was at a commit, with today's packages. */
function copyOf(commit: string): string {
  const root = join(DIR, `at-${git("rev-parse", "--short", commit)}`);
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  execFileSync("sh", ["-c", 'git archive "$1" | tar -x -C "$2"', "sh", commit, root], { cwd: ROOT });
  symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
  return root;
}

const git = (...args: string[]) => execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trim();

/** What was written by hand below the tables is kept. */
function remarksOf(path: string): string {
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const from = text.indexOf("## Remarks");
  return from < 0 ? "" : text.slice(from);
}

async function compareAll(list: readonly ProxyUnderTest[]): Promise<void> {
  const running = await start(list);
  try {
    await compareRequests(running);
    if (only !== "") return;
    await compareLatency(running);
    await compareWebSockets(running);
  } finally {
    for (const { child } of running) await stop(child);
  }
  if (has("--quick") || only !== "" || against !== undefined) return;
  await compareIdle(list);
  await compareScale();
}

const backend = pinned(LOAD_CORE, process.execPath, [join(ROOT, "bench/backend.ts"), String(BACKEND_PORT)]);
const other = against === undefined ? undefined : copyOf(against);
try {
  await listens(BACKEND_PORT);
  const ours = [{ name: "Waybill", root: ROOT }];
  const waybills = other === undefined ? ours : [...ours, { name: `Waybill at ${against}`, root: other }];
  const installed = installedProxies(DIR, waybills);
  const list =
    other === undefined ? installed : installed.filter(({ name }) => /^(nginx|Waybill)/.test(name));
  await compareAll(list);
  const versions = list.map(
    ({ name, version }) => `${name}${name.startsWith("Waybill") ? " on Node" : ""} ${version}`,
  );
  const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Linux ${release()}`;
  const date = new Date().toISOString().slice(0, 16);
  const intro = `${versions.join(", ")}; ${machine}; ${date} UTC, commit ${git("rev-parse", "--short", "HEAD")}.

Each proxy has one thread on one core; load generator and server share another one. All run at the same time and are
asked in turn, ${rounds} rounds of ${seconds} s, of which the median counts. 64 connections and the headers of a browser; Waybill has
1,000 routers, metrics on, access log off. Machines differ and this one is shared: read ratios, and only within one
run. \`npm run bench\` repeats it; \`history.jsonl\` has every run for programs.`;
  const measured = tables.filter(({ rows }) => rows.size > 0);
  for (const table of measured) console.log(asMarkdown(table));
  if (against !== undefined) {
    const less = [cpu, latency, messages].map((table) => asRatios(table, "Waybill", `Waybill at ${against}`));
    console.log(asMarkdown({ ...makeTable(`Now, in parts of ${against}`, ""), rows: new Map(less.flat()) }));
  }
  if (other === undefined && only === "" && !has("--quick")) {
    writeResults(ROOT, intro, measured, remarksOf(join(ROOT, "bench/RESULTS.md")));
    remember(ROOT, { date, commit: git("rev-parse", "HEAD"), machine, versions, seconds, rounds }, measured);
  }
} finally {
  await stop(backend);
  if (other !== undefined) rmSync(other, { recursive: true, force: true });
}

import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readlinkSync, rmSync } from "node:fs";
import { Agent, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { BUSYBOX_IMAGE, docker as command, importBusybox, skipWithoutContainers } from "../busybox-image.ts";
import { eventually } from "./engine.ts";
import { type Product, startProduct } from "./harness.ts";

/** The main job, whole: real containers on a real engine, our sockets and threads, requests and their replies. */

const options = skipWithoutContainers();
const PREFIX = `waybill-e2e-${process.pid}`;
const docker = (...args: string[]) => command(args);
let product: Product;

before(async () => {
  if ("skip" in options) return;
  await importBusybox();
  product = await startProduct({
    flags: [
      "--providers.docker.endpoint=unix:///var/run/docker.sock",
      // Other tests use the same engine.
      `--providers.docker.constraints=Label(\`e2e.test\`, \`${PREFIX}\`)`,
    ],
  });
});

after(async () => {
  if ("skip" in options) return;
  await product[Symbol.asyncDispose]();
  const left = await docker("ps", "-aq", "--filter", `name=${PREFIX}`);
  if (left !== "") await docker("rm", "-f", ...left.split("\n"));
  const networks = await docker("network", "ls", "-q", "--filter", `name=${PREFIX}`);
  if (networks !== "") await docker("network", "rm", ...networks.split("\n"));
});

function start(name: string, labels: Record<string, string>, ...words: string[]): Promise<string> {
  const all = { ...labels, "e2e.test": PREFIX };
  const flags = Object.entries(all).flatMap(([key, value]) => ["-l", `${key}=${value}`]);
  return docker(
    "run",
    "-d",
    "--name",
    `${PREFIX}-${name}`,
    "--hostname",
    name,
    ...flags,
    ...words,
    BUSYBOX_IMAGE,
  );
}

const stop = (...names: string[]) => docker("rm", "-f", ...names.map((name) => `${PREFIX}-${name}`));

async function answers(host: string, status: number, body?: RegExp): Promise<void> {
  await eventually(15, async () => {
    // A request that is sent before a change is known may hang for a minute; the next one will not.
    const late = new Promise<never>((_, reject) => void setTimeout(reject, 2000, new Error("no answer")));
    const answer = await Promise.race([product.get(host), late]);
    assert.equal(answer.status, status, answer.body);
    if (body !== undefined) assert.match(answer.body, body);
  });
}

test("a labelled container is reachable, and its router is gone with it", options, async () => {
  await start("web", { "traefik.http.routers.e2e-web.rule": "Host(`web.e2e`)" });
  await answers("web.e2e", 200, /^web$/m);
  await stop("web");
  await answers("web.e2e", 404);
});

test("one label is enough", options, async () => {
  await start("short", { waybill: "short.e2e" });
  await answers("short.e2e", 200, /^short$/m);
  await stop("short");
});

test(
  "replicas of one service take turns, and one that is removed gets no more requests",
  options,
  async () => {
    const labels = {
      "com.docker.compose.project": PREFIX,
      "com.docker.compose.service": "shop",
      "traefik.http.routers.e2e-shop.rule": "Host(`shop.e2e`)",
    };
    await start("shop-1", labels);
    await start("shop-2", labels);
    const seen = async () => {
      const bodies = new Set<string>();
      for (let i = 0; i < 8; i++) bodies.add((await product.get("shop.e2e")).body.trim());
      return [...bodies].sort();
    };
    await eventually(15, async () => assert.deepEqual(await seen(), ["shop-1", "shop-2"]));
    await stop("shop-1");
    await eventually(15, async () => assert.deepEqual(await seen(), ["shop-2"]));
    await stop("shop-2");
  },
);

test("a container on several networks is reached, by the one that its label names too", options, async () => {
  for (const name of ["a", "b"]) await docker("network", "create", `${PREFIX}-${name}`);
  const labels = { waybill: "nets.e2e", "traefik.docker.network": `${PREFIX}-b` };
  await start("nets", labels, "--network", `${PREFIX}-a`);
  await answers("nets.e2e", 200, /^nets$/m);
  await docker("network", "connect", `${PREFIX}-b`, `${PREFIX}-nets`);
  const addresses = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
  const [, address] = (await docker("inspect", "-f", addresses, `${PREFIX}-nets`)).split(" ");
  await eventually(15, () => {
    const service = product.runtime.report().services.get(`${PREFIX}-nets@docker`);
    assert.equal(service?.servers[0]?.host, address);
  });
  await answers("nets.e2e", 200, /^nets$/m);
  await stop("nets");
});

test(
  "an unhealthy container keeps its router and says why, and serves when it is healthy",
  options,
  async () => {
    const check = ["--health-cmd", "test -f /tmp/ok", "--health-interval", "300ms", "--health-retries", "1"];
    await start("sick", { waybill: "sick.e2e" }, ...check);
    await answers("sick.e2e", 503);
    assert.ok(Number((await product.get("sick.e2e")).headers["retry-after"]) > 0);
    await docker("exec", `${PREFIX}-sick`, "touch", "/tmp/ok");
    await answers("sick.e2e", 200, /^sick$/m);
    await docker("pause", `${PREFIX}-sick`);
    await answers("sick.e2e", 503);
    await docker("unpause", `${PREFIX}-sick`);
    await answers("sick.e2e", 200);
    await stop("sick");
  },
);

test("one bad label among good ones takes only its own router away", options, async () => {
  await start("mixed", {
    "traefik.http.routers.e2e-good.rule": "Host(`good.e2e`)",
    "traefik.http.routers.e2e-bad.rule": "Host(`bad.e2e`)",
    "traefik.http.routers.e2e-bad.prioritty": "5",
  });
  await answers("good.e2e", 200, /^mixed$/m);
  // It keeps its place, so that nothing broader serves what it was to guard.
  await answers("bad.e2e", 503, /misconfigured/);
  await stop("mixed");
});

test("of two containers that claim one router, the older one has it", options, async () => {
  const labels = (host: string) => ({ "traefik.http.routers.e2e-claim.rule": `Host(\`${host}\`)` });
  await start("older", labels("older.e2e"));
  await answers("older.e2e", 200, /^older$/m);
  // The list tells ages in seconds.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  await start("younger", labels("younger.e2e"));
  await eventually(15, () => {
    const { problems } = product.runtime.report();
    assert.ok(
      problems.some(({ code, place }) => code === "conflict" && place.workload === `${PREFIX}-younger`),
    );
  });
  await answers("older.e2e", 200, /^older$/m);
  await answers("younger.e2e", 404);
  await stop("older");
  await answers("younger.e2e", 200, /^younger$/m);
  await stop("younger");
});

test(
  "BE-24 no request is lost while containers are replaced under load, the old one stopped when the new is healthy",
  options,
  async () => {
    const labels = {
      "com.docker.compose.project": PREFIX,
      "com.docker.compose.service": "rolling",
      "traefik.http.routers.e2e-rolling.rule": "Host(`rolling.e2e`)",
    };
    // The page is there when it serves.
    const check = [
      ...["--health-cmd", "test -f /www/index.html", "--health-interval", "300ms", "--health-retries", "20"],
    ];
    await start("rolling-0", labels, ...check);
    await answers("rolling.e2e", 200, /^rolling-0$/m);
    const load = startLoad("rolling.e2e");
    for (let i = 1; i <= 3; i++) {
      const [old, next] = [`rolling-${i - 1}`, `rolling-${i}`];
      await start(next, labels, ...check);
      await eventually(15, async () => {
        const state = await docker("inspect", "-f", "{{.State.Health.Status}}", `${PREFIX}-${next}`);
        assert.equal(state, "healthy");
      });
      await eventually(15, () => assert.ok(load.seen.has(next), `${next} gets requests`)).catch(
        async (error: Error) => {
          throw new Error(`${error.message}\n${await stateOf(old, next)}`);
        },
      );
      await docker("stop", "-t", "2", `${PREFIX}-${old}`);
      await stop(old);
    }
    const { asked, failures } = await load.end();
    assert.deepEqual(failures, [], `of ${asked} requests`);
    assert.ok(asked > 100, `only ${asked} requests`);
    await stop("rolling-3");
  },
);

/** For when it fails: what we think of the servers, and what the kernel knows of their connections. */
async function stateOf(...names: string[]): Promise<string> {
  const sockets = names.map(async (name) => {
    const pid = await docker("inspect", "-f", "{{.State.Pid}}", `${PREFIX}-${name}`);
    const { stdout } = spawnSync("nsenter", ["-t", pid, "-n", "ss", "-tanpo"], { encoding: "utf8" });
    return `${name}:\n${stdout}`;
  });
  return [JSON.stringify(product.runtime.servers()), ...(await Promise.all(sockets))].join("\n");
}

/** Clients that ask again and again, on connections that are kept. */
function startLoad(host: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const seen = new Set<string>();
  const failures: string[] = [];
  let asked = 0;
  let isOver = false;
  const client = async () => {
    while (!isOver) {
      asked++;
      try {
        const { status, body } = await product.get(host, "/", { agent });
        if (status === 200) seen.add(body.trim());
        else failures.push(`${status} ${body}`);
      } catch (error) {
        failures.push((error as Error).message);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const clients = Array.from({ length: 8 }, client);
  const end = async () => {
    isOver = true;
    await Promise.all(clients);
    agent.destroy();
    return { asked, failures };
  };
  return { seen, end };
}

// The machine's own engine is not ours to kill, so this test has one of its own, in namespaces of its own: an engine
// without a bridge takes `docker0` away from whoever has it.
const host = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === "IPv4" && !address.internal)?.address;
const canStart = existsSync("/usr/sbin/dockerd") && process.getuid?.() === 0 && host !== undefined;
const own =
  canStart || process.env["CI"] === "true" ? options : { skip: "needs dockerd, and the right to start it" };

test(
  "DK-02 while the engine is dead routes go on, and after its restart changes are seen within 5 s",
  own,
  async () => {
    const engine = await OwnEngine.start();
    const server = createServer((_request, response) => response.end("here")).listen(0);
    const { port } = server.address() as AddressInfo;
    const run = (name: string) => {
      const url = `traefik.http.services.${name}.loadbalancer.server.url=http://${host}:${port}`;
      return engine.docker(
        "run",
        "-d",
        "--name",
        name,
        "--network",
        "none",
        "-l",
        `waybill=${name}.e2e`,
        "-l",
        url,
        BUSYBOX_IMAGE,
      );
    };
    const proxy = await startProduct({ flags: [`--providers.docker.endpoint=${engine.host}`] });
    const serves = (name: string, seconds: number) =>
      eventually(seconds, async () => assert.equal((await proxy.get(`${name}.e2e`)).body, "here"));
    try {
      await run("before");
      await serves("before", 15);
      await engine.kill();
      for (let i = 0; i < 10; i++) {
        await serves("before", 0);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      await engine.restart();
      await run("after");
      await serves("after", 5);
      await serves("before", 0);
    } finally {
      await proxy[Symbol.asyncDispose]();
      await engine.close();
      server.close();
    }
  },
);

/** An engine in network and mount namespaces of its own, which a sleeping process keeps while it is dead. */
class OwnEngine {
  readonly host: string;
  readonly #folder: string;
  readonly #keeper: ChildProcess;
  #dockerd: ChildProcess | undefined;

  constructor(folder: string, keeper: ChildProcess) {
    this.#folder = folder;
    this.#keeper = keeper;
    this.host = `unix://${folder}/docker.sock`;
  }

  static async start(): Promise<OwnEngine> {
    const keeper = spawn("unshare", ["--net", "--mount", "sleep", "infinity"], { stdio: "ignore" });
    const engine = new OwnEngine(mkdtempSync(join(tmpdir(), "waybill-dockerd-")), keeper);
    await eventually(10, () => {
      const [ours, theirs] = [process.pid, keeper.pid].map((pid) => readlinkSync(`/proc/${pid}/ns/net`));
      assert.notEqual(ours, theirs);
    });
    await engine.restart();
    await importBusybox(engine.host);
    return engine;
  }

  docker(...args: string[]): Promise<string> {
    return command(args, this.host);
  }

  async restart(): Promise<void> {
    const folder = this.#folder;
    const flags = [
      ...["--host", this.host, "--data-root", `${folder}/data`, "--exec-root", `${folder}/exec`],
      ...[
        "--pidfile",
        `${folder}/pid-${Date.now()}`,
        "--bridge",
        "none",
        "--iptables=false",
        "--live-restore",
      ],
    ];
    const enter = ["--target", String(this.#keeper.pid), "--net", "--mount", "dockerd"];
    this.#dockerd = spawn("nsenter", [...enter, ...flags], { stdio: "ignore" });
    await eventually(30, () => this.docker("version"));
  }

  async kill(): Promise<void> {
    await end(this.#dockerd!, "SIGKILL");
  }

  async close(): Promise<void> {
    await this.docker("rm", "-f", "before", "after").catch(() => {});
    await end(this.#dockerd!, "SIGTERM");
    await end(this.#keeper, "SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function end(process: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = new Promise<void>((resolve) => void process.once("exit", () => resolve()));
  process.kill(signal);
  return ended;
}

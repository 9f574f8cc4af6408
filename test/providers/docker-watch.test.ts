import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type Demo, type DemoOptions, startDemoEngine } from "../../src/demo/start.ts";
import { dockerOptions } from "../../src/model/provider-settings.ts";
import { type DockerState, DockerWatch } from "../../src/providers/docker/watch.ts";
import { written } from "../gateway/plane.ts";

const folder = mkdtempSync(join(tmpdir(), "waybill-docker-"));
after(() => rmSync(folder, { recursive: true }));
let sockets = 0;
const newSocket = () => join(folder, `${++sockets}.sock`);

const NOWHERE = { hostname: "nowhere", mounts: "", cgroup: "" };
const silent = { debug() {}, info() {}, warn() {}, error() {} };

class Watcher {
  readonly states: DockerState[] = [];
  readonly watch: DockerWatch;
  #waiting: (() => void) | undefined;

  constructor(endpoint: string, options: Record<string, string> = {}, idleMs = 60_000) {
    this.watch = new DockerWatch(
      written(dockerOptions, { endpoint, ...options }),
      {
        log: silent,
        env: {},
        tickMs: () => performance.now(),
        place: { source: "default", key: "providers.docker.endpoint" },
        surroundings: NOWHERE,
        idleMs,
      },
      (state) => {
        this.states.push(state);
        this.#waiting?.();
      },
    );
  }

  get last(): DockerState | undefined {
    return this.states.at(-1);
  }

  /** `name:state`, with what else is said of it. */
  names(): string[] {
    return (this.last?.workloads ?? []).map(
      ({ name, state, health, stopping }) =>
        `${name}:${state}${health === "none" ? "" : `:${health}`}${stopping ? ":stopping" : ""}`,
    );
  }

  async until(isSo: (state: DockerState) => boolean): Promise<DockerState> {
    const giveUp = AbortSignal.timeout(20_000);
    while (this.last === undefined || !isSo(this.last)) {
      if (giveUp.aborted)
        assert.fail(`still ${JSON.stringify(this.names())} ${JSON.stringify(this.last?.problems)}`);
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
        giveUp.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    return this.last;
  }

  untilNames(...names: string[]): Promise<DockerState> {
    return this.until(() => JSON.stringify(this.names().sort()) === JSON.stringify(names.sort()));
  }
}

async function withDemo(
  options: DemoOptions,
  body: (demo: Demo, watcher: Watcher) => Promise<void>,
  watching: Record<string, string> = {},
  isTcp = false,
): Promise<void> {
  const demo = await startDemoEngine({ ...(!isTcp && { socketPath: newSocket() }), ...options });
  const watcher = new Watcher(demo.endpoint, watching);
  try {
    await body(demo, watcher);
  } finally {
    await watcher.watch.close();
    await demo.close();
  }
}

const spec = (name: string, rest = {}) => ({ name, serve: false, ...rest });
const refuse = (response: ServerResponse, status: number) => {
  response.writeHead(status, { "content-type": "application/json" }).end('{"message":"denied"}');
  return true;
};
const asks = (request: IncomingMessage, part: string) => request.url?.includes(part) ?? false;

test("DK-12 a container comes, pauses, goes on, becomes healthy and goes, each seen as it happens", async () => {
  await withDemo({}, async ({ engine }, watcher) => {
    await watcher.until(({ workloads }) => workloads.length === 0);
    const web = await engine.add(spec("web", { health: "starting" }));
    await watcher.untilNames("web:running:starting");
    engine.setHealth(web, "unhealthy");
    await watcher.untilNames("web:running:unhealthy");
    engine.setHealth(web, "healthy");
    await watcher.untilNames("web:running:healthy");
    engine.pause(web);
    await watcher.untilNames("web:paused:healthy");
    engine.unpause(web);
    await watcher.untilNames("web:running:healthy");
    engine.rename(web, "site");
    await watcher.untilNames("site:running:healthy");
    await engine.remove(web);
    await watcher.until(({ workloads }) => workloads.length === 0);
  });
});

test("DK-12 a container is stopping from the kill event on, before it ends", async () => {
  await withDemo({ containers: [spec("web")] }, async ({ engine }, watcher) => {
    await watcher.untilNames("web:running");
    const stopped = engine.stop(engine.find("web")!, { graceMs: 300 });
    await watcher.untilNames("web:running:stopping");
    await stopped;
    await watcher.untilNames("web:exited");
  });
});

test("a signal that does not end the container leaves it as it is", async () => {
  await withDemo({ containers: [spec("web")] }, async ({ engine }, watcher) => {
    await watcher.untilNames("web:running");
    engine.signal(engine.find("web")!, "1");
    await engine.add(spec("mark"));
    await watcher.untilNames("web:running", "mark:running");
    assert.ok(watcher.states.every(({ workloads }) => workloads.every(({ stopping }) => !stopping)));
  });
});

test("DK-13 stopped and started again at once, a container is as the last list has it", async () => {
  await withDemo({ containers: [spec("web")] }, async ({ engine }, watcher) => {
    const before = await watcher.untilNames("web:running");
    const web = engine.find("web")!;
    await engine.stop(web, { graceMs: 0 });
    await engine.start(web);
    const address = (state: DockerState) => state.workloads[0]?.networks[0]?.ipv4;
    const after = await watcher.until(
      (state) =>
        state.workloads[0]?.stopping === false &&
        address(state) !== address(before) &&
        address(state) !== undefined,
    );
    assert.deepEqual([after.workloads[0]?.state, after.workloads[0]?.networks.length], ["running", 1]);
  });
});

test("DK-06 a network that is connected later is seen", async () => {
  await withDemo({ containers: [spec("web", { networks: {} })] }, async ({ engine }, watcher) => {
    await watcher.untilNames("web:running");
    engine.connect(engine.find("web")!, "proxy", "10.1.0.5");
    await watcher.until(({ workloads }) => workloads[0]?.networks[0]?.ipv4 === "10.1.0.5");
    engine.disconnect(engine.find("web")!, "proxy");
    await watcher.until(({ workloads }) => workloads[0]?.networks.length === 0);
  });
});

test("DK-06 a network that the list shows only after its event is seen all the same", async () => {
  let isLate = false;
  const intercept = (request: IncomingMessage, response: ServerResponse) => {
    if (!isLate || !asks(request, "/containers/json")) return false;
    isLate = false;
    const [app] = demoOf.engine!.engine.containers();
    const stale = [{ Id: app!.id, Names: ["/app"], State: "running", Labels: {}, NetworkSettings: {} }];
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(stale));
    return true;
  };
  const demoOf: { engine?: Demo } = {};
  await withDemo({ intercept, containers: [spec("app", { networks: {} })] }, async (demo, watcher) => {
    demoOf.engine = demo;
    await watcher.untilNames("app:running");
    isLate = true;
    demo.engine.connect(demo.engine.find("app")!, "later", "10.1.0.2");
    const { workloads } = await watcher.until((state) => state.workloads[0]?.networks.length === 1);
    assert.equal(workloads[0]!.networks[0]!.ipv4, "10.1.0.2");
    assert.equal(isLate, false);
  });
});

test("DK-01 without a socket it says so and keeps trying, and finds the engine when it comes", async () => {
  const socketPath = newSocket();
  const watcher = new Watcher(`unix://${socketPath}`);
  const away = await watcher.until(({ problems }) => problems.length > 0);
  assert.match(away.problems[0]!.message, /there is no such socket: is Docker running/);
  const demo = await startDemoEngine({ socketPath, containers: [spec("web")] });
  const found = await watcher.untilNames("web:running");
  assert.deepEqual((await watcher.until(({ problems }) => problems.length === 0)).workloads, found.workloads);
  await watcher.watch.close();
  await demo.close();
});

test("DK-02 after a restart of the engine everything is listed anew, and the last good is kept until then", async () => {
  const socketPath = newSocket();
  const first = await startDemoEngine({ socketPath, containers: [spec("old")] });
  const watcher = new Watcher(first.endpoint);
  await watcher.untilNames("old:running");
  const before = watcher.last!.workloads;
  await first.close();
  await watcher.until(({ problems }) => problems.length > 0);
  assert.deepEqual(watcher.last!.workloads, before);
  const second = await startDemoEngine({ socketPath, containers: [spec("new")] });
  const backAtMs = performance.now();
  await watcher.untilNames("new:running");
  assert.ok(performance.now() - backAtMs < 5000);
  await watcher.watch.close();
  await second.close();
});

test("DK-03 events that are cut anywhere, doubled in one read or huge are understood", async () => {
  let stream: ServerResponse | undefined;
  const intercept = (request: IncomingMessage, response: ServerResponse) => {
    if (!asks(request, "/events")) return false;
    stream = response;
    response.writeHead(200).flushHeaders();
    return true;
  };
  await withDemo({ intercept }, async ({ engine }, watcher) => {
    await watcher.until(() => stream !== undefined);
    const line = (id: string, name: string) =>
      Buffer.from(
        `${JSON.stringify({ Type: "container", Action: "start", Actor: { ID: id, Attributes: { name } } })}\n`,
      );
    const [a, b, c] = [await engine.add(spec("a")), await engine.add(spec("b")), await engine.add(spec("c"))];
    const cut = line(a.id, "ä€");
    stream!.write(cut.subarray(0, cut.indexOf("ä") + 1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    stream!.write(cut.subarray(cut.indexOf("ä") + 1));
    await watcher.untilNames("a:running");
    stream!.write(
      Buffer.concat([line(b.id, "b"), Buffer.from("not json\n"), line(c.id, "x".repeat(1_000_000))]),
    );
    await watcher.untilNames("a:running", "b:running", "c:running");
    engine.pause(a);
    stream!.end();
    await watcher.untilNames("a:paused", "b:running", "c:running");
  });
});

test("DK-03 a stream of events that has died in silence is found out by asking", async () => {
  let streams = 0;
  const demo = await startDemoEngine({
    socketPath: newSocket(),
    containers: [spec("web")],
    intercept(request, response) {
      if (!asks(request, "/events") || ++streams > 1) return false;
      response.writeHead(200).flushHeaders();
      return true;
    },
  });
  const watcher = new Watcher(demo.endpoint, {}, 50);
  await watcher.untilNames("web:running");
  const web = demo.engine.find("web")!;
  demo.engine.rename(web, "site");
  await watcher.untilNames("site:running");
  while (streams < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  demo.engine.pause(web);
  await watcher.untilNames("site:paused");
  await watcher.watch.close();
  await demo.close();
});

test("DK-04 a flood of events is a few rebuilds, and the last state counts", async () => {
  let lists = 0;
  let listing = 0;
  let most = 0;
  const intercept = (request: IncomingMessage, response: ServerResponse) => {
    if (!asks(request, "/containers/json")) return false;
    lists++;
    most = Math.max(most, ++listing);
    response.once("close", () => listing--);
    return false;
  };
  await withDemo({ containers: [spec("web")], intercept }, async ({ engine }, watcher) => {
    await watcher.untilNames("web:running");
    const web = engine.find("web")!;
    const startMs = performance.now();
    for (let i = 0; i < 2000; i++) {
      if (i % 2 === 0) engine.pause(web);
      else engine.unpause(web);
      if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 25));
    }
    engine.rename(web, "calm");
    await watcher.untilNames("calm:running");
    const seconds = (performance.now() - startMs) / 1000;
    assert.ok(lists <= 6 + 4 * seconds, `${lists} lists in ${seconds} s`);
    assert.equal(most, 1);
  });
});

test("DK-05 a list that fails or ends in the middle changes nothing", async () => {
  let broken: "status" | "cut" | undefined;
  const intercept = (request: IncomingMessage, response: ServerResponse) => {
    if (broken === undefined || !asks(request, "/containers/json")) return false;
    if (broken === "status") return refuse(response, 500);
    response.writeHead(200).end('[{"Id":"half');
    return true;
  };
  await withDemo({ containers: [spec("web")], intercept }, async ({ engine }, watcher) => {
    await watcher.untilNames("web:running");
    const web = engine.find("web")!;
    for (const way of ["status", "cut"] as const) {
      broken = way;
      engine.rename(web, `web-${way}`);
      const { workloads } = await watcher.until(({ problems }) => problems.length > 0);
      assert.equal(workloads.length, 1);
      broken = undefined;
      await watcher.untilNames(`web-${way}:running`);
      await watcher.until(({ problems }) => problems.length === 0);
    }
    assert.ok(watcher.states.slice(1).every(({ workloads }) => workloads.length === 1));
  });
});

test("DK-14 five thousand containers are one list and no inspection", async () => {
  const urls: string[] = [];
  const intercept = (request: IncomingMessage) => {
    urls.push(request.url ?? "");
    return false;
  };
  const containers = Array.from({ length: 5000 }, (_, i) =>
    spec(`c${i}`, { labels: { waybill: `c${i}.localhost` } }),
  );
  await withDemo({ containers, intercept }, async (_demo, watcher) => {
    await watcher.until(({ workloads }) => workloads.length === 5000);
    assert.equal(urls.filter((url) => url.includes("/containers/json")).length, 1);
    assert.equal(urls.filter((url) => /\/containers\/[0-9a-f]{64}\/json/.test(url)).length, 0);
  });
});

test("DK-14 a container without a network of its own is inspected once for its ports", async () => {
  let inspections = 0;
  const intercept = (request: IncomingMessage) => {
    if (/\/containers\/[0-9a-f]{64}\/json/.test(request.url ?? "")) inspections++;
    return false;
  };
  const containers = [spec("web", { networkMode: "host", ports: [9000] })];
  await withDemo({ containers, intercept }, async ({ engine }, watcher) => {
    await watcher.until(
      ({ workloads }) => workloads[0]?.ports.some(({ privatePort }) => privatePort === 9000) ?? false,
    );
    engine.rename(engine.find("web")!, "site");
    await watcher.untilNames("site:running");
    assert.equal(inspections, 1);
  });
});

test("DK-16 the API version is the engine's, up to what we know", async () => {
  const urls: string[] = [];
  const intercept = (request: IncomingMessage, response: ServerResponse) => {
    urls.push(request.url ?? "");
    if (!asks(request, "/_ping")) return false;
    response.writeHead(200, { "api-version": "1.99" }).end("OK");
    return true;
  };
  await withDemo({ intercept }, async (_demo, watcher) => {
    await watcher.until(() => true);
    assert.equal(urls[0], "/_ping");
    assert.ok(urls.slice(1).every((url) => url.startsWith("/v1.51/")));
  });
});

test("DK-16 an engine that is too old is told by its version", async () => {
  const intercept = (request: IncomingMessage, response: ServerResponse) => {
    if (!asks(request, "/_ping")) return false;
    response.writeHead(200, { "api-version": "1.12" }).end("OK");
    return true;
  };
  await withDemo({ intercept }, async (_demo, watcher) => {
    const { problems } = await watcher.until(({ problems }) => problems.length > 0);
    assert.match(problems[0]!.message, /speaks API 1\.12; Waybill needs 1\.24/);
  });
});

test("DK-17 a socket proxy that denies the list or the events is told which", async () => {
  const denied = (part: string) => (request: IncomingMessage, response: ServerResponse) =>
    asks(request, part) ? refuse(response, 403) : false;
  await withDemo({ intercept: denied("/containers/json") }, async (_demo, watcher) => {
    const { problems } = await watcher.until(({ problems }) => problems.length > 0);
    assert.match(problems[0]!.message, /GET \/containers\/json is denied \(403\): .*CONTAINERS=1/);
  });
  await withDemo({ containers: [spec("web")], intercept: denied("/events") }, async (_demo, watcher) => {
    const { problems } = await watcher.untilNames("web:running");
    assert.match(problems[0]!.message, /GET \/events is denied \(403\): .*EVENTS=1/);
  });
});

test("DK-17 without /_ping and /version the list still works", async () => {
  const intercept = (request: IncomingMessage, response: ServerResponse) =>
    asks(request, "/_ping") || asks(request, "/version") ? refuse(response, 403) : false;
  await withDemo({ containers: [spec("web")], intercept }, async (_demo, watcher) => {
    await watcher.untilNames("web:running");
  });
});

test("DK-18 only GET is ever sent", async () => {
  const methods = new Set<string | undefined>();
  const intercept = (request: IncomingMessage) => {
    methods.add(request.method);
    return false;
  };
  await withDemo({ intercept }, async ({ engine }, watcher) => {
    const web = await engine.add(spec("web", { networkMode: "host" }));
    await watcher.untilNames("web:running");
    await engine.remove(web);
    await watcher.until(({ workloads }) => workloads.length === 0);
    assert.deepEqual([...methods], ["GET"]);
  });
});

test("without watching, the containers are read once", async () => {
  await withDemo(
    { containers: [spec("web")] },
    async (_demo, watcher) => {
      await watcher.watch.done;
      assert.deepEqual(watcher.names(), ["web:running"]);
    },
    { watch: "false" },
  );
});

test("an unchanged container keeps its object while others change", async () => {
  await withDemo({ containers: [spec("a"), spec("b")] }, async ({ engine }, watcher) => {
    const before = (await watcher.untilNames("a:running", "b:running")).workloads;
    engine.pause(engine.find("b")!);
    const after = (await watcher.untilNames("a:running", "b:paused")).workloads;
    assert.equal(after[0], before[0]);
    assert.notEqual(after[1], before[1]);
  });
});

test("the engine is reached over TCP too", async () => {
  const body = async (demo: Demo, watcher: Watcher) => {
    assert.match(demo.endpoint, /^tcp:/);
    await watcher.untilNames("web:running");
  };
  await withDemo({ containers: [spec("web")] }, body, {}, true);
});

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type DockerState, DockerWatch } from "../../src/providers/docker/watch.ts";
import {
  docker as command,
  BUSYBOX_IMAGE as IMAGE,
  importBusybox,
  skipWithoutContainers,
} from "../busybox-image.ts";
import { faults, read, urls } from "../labels/helper.ts";

const docker = (...args: string[]) => command(args);
const options = skipWithoutContainers();

const PREFIX = `waybill-test-${process.pid}`;

let watch: DockerWatch | undefined;
let last: DockerState | undefined;
let changed: (() => void) | undefined;

before(async () => {
  if ("skip" in options) return;
  await importBusybox();
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  watch = new DockerWatch(
    {
      endpoint: "unix:///var/run/docker.sock",
      username: "",
      password: "",
      tls: undefined,
      httpClientTimeout: 0,
      watch: true,
    },
    {
      log,
      env: process.env,
      tickMs: () => performance.now(),
      place: { source: "default", key: "providers.docker.endpoint" },
    },
    (state) => {
      last = state;
      changed?.();
    },
  );
});

after(async () => {
  await watch?.close();
  if ("skip" in options) return;
  const left = await docker("ps", "-aq", "--filter", `name=${PREFIX}`);
  if (left !== "") await docker("rm", "-f", ...left.split("\n"));
  const networks = await docker("network", "ls", "-q", "--filter", `name=${PREFIX}`);
  if (networks !== "") await docker("network", "rm", ...networks.split("\n"));
});

/** Starts `<prefix>-<name>` with further words for `docker run`. */
function start(name: string, ...words: string[]): Promise<string> {
  return docker("run", "-d", "--name", `${PREFIX}-${name}`, "--hostname", name, ...words, IMAGE);
}

const ours = () => (last?.workloads ?? []).filter(({ name }) => name.startsWith(PREFIX));
const one = (name: string) => ours().find((workload) => workload.name === `${PREFIX}-${name}`);
const declared = () => read(ours());

async function until(what: string, isSo: () => boolean): Promise<void> {
  const giveUp = AbortSignal.timeout(30_000);
  while (!isSo()) {
    assert.ok(!giveUp.aborted, `${what}: still ${JSON.stringify(ours())}`);
    await new Promise<void>((resolve) => {
      changed = resolve;
      giveUp.addEventListener("abort", () => resolve(), { once: true });
    });
  }
}

test(
  "DK-12 on a real engine a container is routed when it starts and gone when it is removed",
  options,
  async () => {
    await start("web", "-l", `traefik.http.routers.${PREFIX}.rule=Host(\`web.example\`)`);
    await until("started", () => one("web")?.state === "running");
    const [url] = urls(declared(), `${PREFIX}-web`);
    assert.equal(declared().routers.get(PREFIX)?.value.rule, "Host(`web.example`)");
    await until("serving", () => url !== undefined);
    assert.equal(await bodyOf(url!), "web\n");
    await docker("rm", "-f", `${PREFIX}-web`);
    await until("removed", () => one("web") === undefined);
  },
);

test(
  "DK-12 on a real engine a container says that it is stopping while its process still runs",
  options,
  async () => {
    // Process 1 without a handler for TERM: the engine waits and then kills it.
    await docker("run", "-d", "--name", `${PREFIX}-stops`, "--entrypoint", "/bin/sleep", IMAGE, "600");
    await until("started", () => one("stops")?.state === "running");
    const stopped = docker("stop", "-t", "2", `${PREFIX}-stops`);
    await until("stopping", () => one("stops")?.stopping === true);
    assert.equal(one("stops")?.state, "running");
    assert.deepEqual(faults(declared(), `${PREFIX}-stops`), ["stopped"]);
    await stopped;
    await until("ended", () => one("stops")?.state === "exited");
    await docker("start", `${PREFIX}-stops`);
    await until("started again", () => one("stops")?.state === "running" && one("stops")?.stopping === false);
  },
);

test("DK-12 on a real engine health and pauses are followed", options, async () => {
  const check = ["--health-cmd", "test -f /tmp/ok", "--health-interval", "300ms", "--health-retries", "1"];
  await start("sick", ...check, "--health-start-period", "1s");
  await until("not healthy yet", () => one("sick")?.state === "running" && one("sick")?.health !== "none");
  assert.equal(urls(declared(), `${PREFIX}-sick`).length, 0);
  await docker("exec", `${PREFIX}-sick`, "touch", "/tmp/ok");
  await until("healthy", () => one("sick")?.health === "healthy");
  assert.equal(urls(declared(), `${PREFIX}-sick`).length, 1);
  await docker("exec", `${PREFIX}-sick`, "rm", "/tmp/ok");
  await until("unhealthy", () => one("sick")?.health === "unhealthy");
  await docker("pause", `${PREFIX}-sick`);
  await until("paused", () => one("sick")?.state === "paused");
  assert.deepEqual(faults(declared(), `${PREFIX}-sick`), ["paused"]);
  await docker("unpause", `${PREFIX}-sick`);
  await until("going on", () => one("sick")?.state === "running");
});

test("DK-06 on a real engine networks that come and go later are followed", options, async () => {
  const network = `${PREFIX}-net`;
  await docker("network", "create", network);
  await start("net");
  await until("started", () => one("net")?.networks.some(({ ipv4 }) => ipv4 !== "") ?? false);
  await docker("network", "connect", network, `${PREFIX}-net`);
  await until(
    "connected",
    () => one("net")?.networks.some(({ name, ipv4 }) => name === network && ipv4 !== "") ?? false,
  );
  const [url] = urls(read(ours(), { network }), `${PREFIX}-net`);
  assert.equal(await bodyOf(url!), "net\n");
  await docker("network", "disconnect", network, `${PREFIX}-net`);
  await until("disconnected", () => one("net")?.networks.every(({ name }) => name !== network) ?? false);
});

test(
  "DK-14 on a real engine the ports of a container in the host's network are those of its image",
  options,
  async () => {
    await docker(
      "run",
      "-d",
      "--name",
      `${PREFIX}-host`,
      "--network",
      "host",
      "--entrypoint",
      "/bin/sleep",
      IMAGE,
      "600",
    );
    await until("inspected", () => one("host")?.ports.some(({ privatePort }) => privatePort === 80) ?? false);
    assert.deepEqual(urls(declared(), `${PREFIX}-host`), ["http://127.0.0.1:80"]);
  },
);

test(
  "DK-06 on a real engine a container in another's network is reached by that one's address",
  options,
  async () => {
    await start("owner");
    await docker(
      ...["run", "-d", "--name", `${PREFIX}-guest`, "--network", `container:${PREFIX}-owner`],
      ...["--entrypoint", "/bin/sleep", IMAGE, "600"],
    );
    await until("both there", () => one("guest")?.state === "running" && one("owner")?.state === "running");
    await until("inspected", () => (one("guest")?.ports.length ?? 0) > 0);
    assert.deepEqual(urls(declared(), `${PREFIX}-guest`), urls(declared(), `${PREFIX}-owner`));
  },
);

test("DK-19 on a real engine a container finds itself by its mounts", options, async () => {
  const id = await start("self");
  await until("started", () => one("self")?.state === "running");
  const mounts = await docker("exec", `${PREFIX}-self`, "/bin/busybox", "cat", "/proc/self/mountinfo");
  const { findSelf } = await import("../../src/providers/docker/self.ts");
  const listed = ours().map((workload) => ({ Id: workload.id }));
  assert.equal(findSelf(listed, { hostname: "renamed", mounts, cgroup: "" })?.Id, id);
  assert.equal(findSelf(listed, { hostname: id.slice(0, 12), mounts: "", cgroup: "" })?.Id, id);
  assert.equal(findSelf(listed, { hostname: "elsewhere", mounts: "", cgroup: "0::/" }), undefined);
});

/** A container that has just started may take a moment to listen. */
async function bodyOf(url: string): Promise<string> {
  for (let tries = 0; ; tries++) {
    try {
      return await (await fetch(url)).text();
    } catch (error) {
      if (tries === 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

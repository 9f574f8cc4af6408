import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import Docker from "dockerode";
import {
  addDemoContainer,
  DEMO_CONTAINERS,
  removeDemoContainer,
  startDemoEngine,
} from "../../src/demo/start.ts";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "waybill-demo-test-"));
after(() => rmSync(folder, { recursive: true }));
let sockets = 0;
const newSocket = () => join(folder, "below", `${++sockets}.sock`);

test("every container of the demo is a real HTTP service at the address that the list gives", async () => {
  const demo = await startDemoEngine({ containers: DEMO_CONTAINERS });
  const { port } = new URL(demo.endpoint);
  const docker = new Docker({ host: "127.0.0.1", port: Number(port) });
  for (const { Names, NetworkSettings, Ports, Labels } of await docker.listContainers()) {
    const address = NetworkSettings.Networks["bridge"]?.IPAddress;
    const body = await (await fetch(`http://${address}:${Ports[0]?.PrivatePort}/path`)).text();
    assert.match(body, new RegExp(`^Name: ${Names[0]?.slice(1)}\n`));
    assert.match(body, /GET \/path HTTP\/1\.1/);
    assert.ok(Object.keys(Labels).length > 0);
  }
  await demo.close();
});

test("a second terminal adds and removes containers", async () => {
  const socketPath = newSocket();
  const demo = await startDemoEngine({ socketPath });
  assert.equal(statSync(socketPath).mode & 0o777, 0o600);
  await addDemoContainer(socketPath, "blog", ["waybill=blog.localhost", "waybill.port=4000", "flag"]);
  const blog = demo.engine.find("blog");
  assert.equal(blog?.state, "running");
  assert.deepEqual(blog?.spec.labels, { waybill: "blog.localhost", "waybill.port": "4000", flag: "" });
  await assert.rejects(addDemoContainer(socketPath, "blog", []), /the name blog is taken/);
  await removeDemoContainer(socketPath, "blog");
  assert.equal(demo.engine.find("blog"), undefined);
  await assert.rejects(removeDemoContainer(socketPath, "blog"), /No such container: blog/);
  await demo.close();
  await assert.rejects(
    addDemoContainer(socketPath, "blog", []),
    /no demo is running; start one with: waybill demo/,
  );
});

test("a second demo at the same place is told of the first, and a dead one's socket is taken over", async () => {
  const socketPath = newSocket();
  const demo = await startDemoEngine({ socketPath });
  await assert.rejects(startDemoEngine({ socketPath }), /another demo is running already/);
  await demo.close();
  await (await startDemoEngine({ socketPath })).close();
});

test("events come as Docker sends them, and only those that were asked for", async () => {
  const demo = await startDemoEngine();
  const docker = new Docker({ host: "127.0.0.1", port: Number(new URL(demo.endpoint).port) });
  const stream = await docker.getEvents({
    filters: { type: ["container"], event: ["start", "health_status"] },
  });
  const seen = new Promise<string[]>((resolve) => {
    let text = "";
    stream.on("data", (chunk) => {
      text += chunk;
      const lines = text.split("\n").filter(Boolean);
      if (lines.length === 2) resolve(lines.map((line) => (JSON.parse(line) as { Action: string }).Action));
    });
  });
  const web = await demo.engine.add({ name: "web", serve: false });
  demo.engine.pause(web);
  demo.engine.setHealth(web, "healthy");
  assert.deepEqual(await seen, ["start", "health_status: healthy"]);
  await demo.close();
});

const isThere = await run("docker", ["--version"]).then(
  () => true,
  () => false,
);
const options = isThere || process.env["CI"] === "true" ? {} : { skip: "needs the docker command" };

test("the docker command can use the demo as its engine", options, async () => {
  const socketPath = newSocket();
  const demo = await startDemoEngine({ socketPath });
  const docker = async (...args: string[]) =>
    (await run("docker", ["-H", `unix://${socketPath}`, ...args])).stdout;
  await docker("run", "-d", "--name", "web", "-l", "waybill=web.localhost", "traefik/whoami");
  assert.equal(demo.engine.find("web")?.spec.labels?.["waybill"], "web.localhost");
  assert.match(await docker("ps"), /traefik\/whoami .* web/);
  await docker("pause", "web");
  assert.equal(demo.engine.find("web")?.state, "paused");
  await docker("unpause", "web");
  await docker("stop", "web");
  assert.equal(demo.engine.find("web")?.state, "exited");
  await docker("rm", "-f", "web");
  assert.deepEqual(demo.engine.containers(), []);
  await demo.close();
});

import assert from "node:assert/strict";
import { Agent } from "node:http";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { makePages } from "../../src/cli/pages.ts";
import { eventually, type Product, startProduct } from "./harness.ts";

const OWN_PAGES = {
  pages: makePages,
  flags: ["--entryPoints.traefik.address=127.0.0.1:0", "--api.insecure=true"],
};
const app = { name: "app", labels: { "traefik.http.routers.app.rule": "Host(`app.test`)" } };

interface Reader {
  readonly socket: Socket;
  bytes: number;
}

function read(product: Product, path: string): Reader {
  const socket = connect(product.ports.get("traefik")!, "127.0.0.1");
  const reader: Reader = { socket, bytes: 0 };
  socket.on("data", (chunk) => (reader.bytes += chunk.length));
  socket.on("error", () => undefined);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return reader;
}

/** The median of so many requests, in milliseconds. Every one of them must be answered. */
async function median(product: Product, agent: Agent, requests: number): Promise<number> {
  const path = `/${"x".repeat(300)}`;
  const took: number[] = [];
  const ask = async () => {
    while (took.length < requests) {
      const before = performance.now();
      const { status } = await product.get("app.test", path, { agent });
      assert.equal(status, 200);
      took.push(performance.now() - before);
    }
  };
  await Promise.all([ask(), ask(), ask(), ask()]);
  return took.sort((a, b) => a - b)[took.length >> 1]!;
}

test("AD-10 five hundred readers and a stalled one cost no request, and no memory without bound", async () => {
  await using product = await startProduct({ containers: [app], ...OWN_PAGES });
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  await eventually(async () => assert.equal((await product.get("app.test")).status, 200));
  await median(product, agent, 500);
  const alone = Math.min(await median(product, agent, 500), await median(product, agent, 500));
  const readers = Array.from({ length: 500 }, () => read(product, "/api/requests"));
  const stalled = read(product, "/api/requests");
  await eventually(() => assert.ok(readers.every(({ bytes }) => bytes > 0) && stalled.bytes > 0), 30);
  stalled.socket.pause();
  await median(product, agent, 500);
  const before = process.memoryUsage().rss;
  const watched = Math.min(await median(product, agent, 1000), await median(product, agent, 1000));
  const grown = process.memoryUsage().rss - before;
  // All readers are in this process too: what is seen is theirs as well.
  assert.ok(grown < 300 * 1024 * 1024, `${Math.round(grown / 1024 / 1024)} MB more`);
  assert.ok(watched < alone * 10 + 50, `${watched} ms watched, ${alone} ms alone`);
  await eventually(() => assert.equal(readers.filter(({ bytes }) => bytes > 1000).length, 500));
  for (const { socket } of [...readers, stalled]) socket.destroy();
  agent.destroy();
});

test("the version of reports rises with every container, routed or not", async () => {
  await using product = await startProduct(OWN_PAGES);
  const { engine } = product.demo;
  let last = product.runtime.report().version;
  const specs = [app, { name: "off", labels: { "traefik.enable": "false" } }, { ...app, name: "app-2" }];
  for (const spec of specs) {
    await engine.add(spec);
    await eventually(() => {
      const { version, workloads } = product.runtime.report();
      assert.ok(workloads.some(({ workload }) => workload.name === spec.name));
      assert.ok(version > last, `${version} after ${last}, with ${spec.name}`);
    });
    last = product.runtime.report().version;
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Worker } from "node:worker_threads";
import { eventually, startProduct, startServer } from "./harness.ts";

test("RS-08 one of two threads is killed: the other serves on, and it is replaced within a second", async () => {
  const workers: Worker[] = [];
  const note = (worker: Worker) => void workers.push(worker);
  process.on("worker", note);
  await using product = await startProduct({
    containers: [{ name: "one", labels: { "traefik.http.routers.one.rule": "Host(`one.test`)" } }],
  });
  assert.equal(workers.length, 2);
  const killed = performance.now();
  await workers[0]!.terminate();
  let served = 0;
  await eventually(async () => {
    assert.equal((await product.get("one.test")).status, 200);
    served++;
    assert.equal(workers.length, 3);
  });
  assert.ok(performance.now() - killed < 5000);
  assert.ok(served > 0);
  for (let i = 0; i < 20; i++) assert.equal((await product.get("one.test")).status, 200);
  process.off("worker", note);
});

test("what a rate limit has counted outlives a change of configuration, and is counted over all threads", async () => {
  await using backend = await startServer((_, response) => response.end("ok"));
  const yaml = (more: string) => `
http:
  routers: { app: { rule: "Host(\`app.test\`)", service: app, middlewares: [ limit ] } ${more} }
  middlewares: { limit: { rateLimit: { average: 1, period: 1h, burst: 6 } } }
  services: { app: { loadBalancer: { servers: [ { url: "${backend.url}" } ] } } }
`;
  await using product = await startProduct({ file: yaml("") });
  const statuses = async (times: number) => {
    const all: number[] = [];
    for (let i = 0; i < times; i++) all.push((await product.get("app.test")).status);
    return all;
  };
  assert.deepEqual(await statuses(4), [200, 200, 200, 200]);
  product.write(yaml(', other: { rule: "Host(`other.test`)", service: app }'));
  await eventually(async () => assert.equal((await product.get("other.test")).status, 200));
  assert.deepEqual(await statuses(4), [200, 200, 429, 429]);
});

test("RS-04 a request goes by the configuration it began with, all the way", async () => {
  const held = Promise.withResolvers<void>();
  await using slow = await startServer(async (_, response) => {
    response.write("begun ");
    await held.promise;
    response.end("ended");
  });
  const yaml = (host: string) => `
http:
  routers: { app: { rule: "Host(\`${host}\`)", service: app, middlewares: [ mark ] } }
  middlewares: { mark: { headers: { customResponseHeaders: { X-Host: "${host}" } } } }
  services: { app: { loadBalancer: { servers: [ { url: "${slow.url}" } ] } } }
`;
  await using product = await startProduct({ file: yaml("old.test") });
  const underWay = product.get("old.test");
  await eventually(() =>
    assert.equal(product.runtime.servers().find(({ service }) => service === "app@file")?.inFlight, 1),
  );
  product.write(yaml("new.test"));
  await eventually(() =>
    assert.equal(product.runtime.report().routers.get("app@file")?.hosts[0], "new.test"),
  );
  held.resolve();
  const { body, headers } = await underWay;
  assert.equal(body, "begun ended");
  assert.equal(headers["x-host"], "old.test");
});

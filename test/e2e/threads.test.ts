import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import type { Worker } from "node:worker_threads";
import { eventually, startProduct, startServer } from "./harness.ts";

/** Resolves when the next thread that starts listens. */
function nextToListen(): Promise<void> {
  return new Promise((resolve) => {
    process.once("worker", (worker: Worker) =>
      worker.on("message", ({ kind }: { kind: string }) => void (kind === "listening" && resolve())),
    );
  });
}

test("RS-08 one of two threads is killed: only its own requests are lost, and it is back within a second", async () => {
  const workers: Worker[] = [];
  const note = (worker: Worker) => void workers.push(worker);
  process.on("worker", note);
  const held: ServerResponse[] = [];
  await using slow = await startServer((request, response) => {
    if (request.url === "/held") held.push(response);
    else response.end("now");
  });
  await using product = await startProduct({
    file: `
http:
  routers: { app: { rule: "Host(\`app.test\`)", service: app } }
  services: { app: { loadBalancer: { servers: [ { url: "${slow.url}" } ] } } }
`,
  });
  const inFlight = () => product.runtime.servers().find(({ service }) => service === "app@file")?.inFlight;
  const tookMs: number[] = [];
  for (let turn = 0; turn < 3; turn++) {
    held.length = 0;
    const asked = Array.from({ length: 24 }, () => product.get("app.test", "/held").catch(() => undefined));
    await eventually(() => assert.equal(held.length, asked.length));
    await eventually(() => assert.equal(inFlight(), asked.length));

    const listening = nextToListen();
    const killedAtMs = performance.now();
    // Of the two that live, the one that has lived longer.
    await workers[turn]!.terminate();
    await eventually(() => assert.ok(inFlight()! < asked.length, "some of them were its own"));
    const others = inFlight()!;
    assert.ok(others > 0);
    for (let i = 0; i < 10; i++) assert.equal((await product.get("app.test")).status, 200);
    for (const response of held) response.end("late");
    const answers = await Promise.all(asked);
    assert.equal(answers.filter((answer) => answer?.body === "late").length, others);
    assert.equal(answers.filter((answer) => answer === undefined).length, asked.length - others);
    await listening;
    tookMs.push(performance.now() - killedAtMs);
    for (let i = 0; i < 10; i++) assert.equal((await product.get("app.test")).status, 200);
  }
  process.off("worker", note);
  assert.equal(workers.length, 5);
  assert.ok(Math.min(...tookMs) < 1000, `${tookMs.map(Math.round)} ms`);
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

import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { eventually, startProduct } from "../e2e/harness.ts";
import { freePort } from "../free-port.ts";

const configuration = (port: number) => `
http:
  routers: { app: { rule: "Host(\`app.test\`)", service: app } }
  services: { app: { loadBalancer: { servers: [ { url: "http://127.0.0.1:${port}" } ] } } }
`;

const head = (path: string) => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`;

/** An application that keeps the paths it was asked for, and answers with them. */
async function startApplication(delayMs = 0) {
  const asked: string[] = [];
  const server = createServer((incoming, response) => {
    asked.push(incoming.url!);
    if (delayMs === 0) response.end(incoming.url);
    else setTimeout(() => response.end(incoming.url), delayMs);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    asked,
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const run = promisify(execFile);
const skip =
  process.env["CI"] !== "true" && spawnSync("wrk", ["-v"]).error !== undefined
    ? "wrk is not installed"
    : false;

test("RS-01 two hundred changes of the configuration lose none of a hundred thousand requests", {
  skip,
  timeout: 290_000,
}, async () => {
  const port = await freePort();
  const backend = spawn(process.execPath, [
    join(import.meta.dirname, "../../bench/backend.ts"),
    String(port),
  ]);
  await once(backend.stdout, "data");
  await using product = await startProduct({ file: configuration(port) });
  let changes = 0;
  const changing = async () => {
    const { engine } = product.demo;
    while (changes < 200) {
      const name = `passing-${changes}`;
      const isRouted = () => product.runtime.report().routers.has(`${name}@docker`);
      const labels = { [`traefik.http.routers.${name}.rule`]: `Host(\`${name}.test\`)` };
      const container = await engine.add({ name, labels, serve: false });
      await eventually(() => assert.equal(isRouted(), true), 20);
      await engine.remove(container);
      await eventually(() => assert.equal(isRouted(), false), 20);
      changes += 2;
    }
  };
  const loading = async () => {
    const url = `http://127.0.0.1:${product.ports.get("web")}/100`;
    let answered = 0;
    while (changes < 200 || answered < 100_000) {
      // What is late on a busy machine is not lost.
      const flags = ["-t1", "-c16", "-d5s", "--timeout", "60s", "-H", "Host: app.test"];
      const { stdout } = await run("wrk", [...flags, url]);
      assert.doesNotMatch(stdout, /Socket errors|Non-2xx/);
      answered += Number(/(\d+) requests in/.exec(stdout)![1]);
    }
  };
  try {
    await Promise.all([changing(), loading()]);
  } finally {
    backend.kill();
  }
});

test("RS-05 stopping under load answers every request that an application has been asked", async () => {
  await using application = await startApplication(20);
  await using product = await startProduct({ file: configuration(application.port) });
  const answered = new Set<string>();
  let isRefused = false;

  const client = async (_: unknown, index: number) => {
    for (let i = 0; !isRefused; i++) {
      const path = `/${index}-${i}`;
      const socket = connect(product.ports.get("web")!, "127.0.0.1");
      let text = "";
      socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
      socket.on("error", () => (isRefused = true));
      socket.write(head(path).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
      await new Promise((resolve) => socket.on("close", resolve));
      if (text.startsWith("HTTP/1.1 200 ") && text.endsWith(path)) answered.add(path);
    }
  };
  const clients = Array.from({ length: 16 }, client);
  await eventually(() => assert.ok(answered.size > 100), 20);
  await product.waybill.stop();
  await Promise.all(clients);
  assert.deepEqual(
    application.asked.filter((path) => !answered.has(path)),
    [],
    `of ${application.asked.length}`,
  );
});

import assert from "node:assert/strict";
import { Agent } from "node:http";
import { connect } from "node:net";
import { test } from "node:test";
import { eventually, send, startProduct, startServer } from "./harness.ts";

const app = (name: string, host: string) => ({
  name,
  labels: { [`traefik.http.routers.${host.split(".")[0]}.rule`]: `Host(\`${host}\`)` },
});

const replica = (number: number) => ({
  name: `shop-${number}`,
  labels: {
    "com.docker.compose.project": "demo",
    "com.docker.compose.service": "shop",
    "traefik.http.routers.shop.rule": "Host(`shop.test`)",
  },
});

test("a container that starts is routed, one that is removed is not", async () => {
  await using product = await startProduct({ containers: [app("one", "one.test")] });
  const first = await product.get("one.test", "/x");
  assert.equal(first.status, 200);
  assert.match(first.body, /^Name: one$/m);

  assert.equal((await product.get("two.test")).status, 404);
  const two = await product.demo.engine.add(app("two", "two.test"));
  await eventually(async () => assert.equal((await product.get("two.test")).status, 200));
  await product.demo.engine.remove(two);
  await eventually(async () => assert.equal((await product.get("two.test")).status, 404));
  assert.equal((await product.get("one.test")).status, 200);
});

test("replicas share the requests, and one line of the log says what came and went", async () => {
  await using product = await startProduct({ containers: [replica(1), replica(2)] });
  const names = new Set<string>();
  for (let i = 0; i < 20; i++) names.add((await product.get("shop.test")).body.split("\n")[0]!);
  assert.deepEqual([...names].sort(), ["Name: shop-1", "Name: shop-2"]);
  const line = product.log.find(({ fields }) => fields["routersAdded"] === "shop@docker");
  assert.equal(line?.message, "configuration applied");
});

test("a bad label disables only its own router", async () => {
  const bad = { name: "bad", labels: { "traefik.http.routers.bad.rule": "Hots(`bad.test`)" } };
  await using product = await startProduct({ containers: [app("good", "good.test"), bad] });
  assert.equal((await product.get("good.test")).status, 200);
  assert.equal((await product.get("bad.test")).status, 404);
  assert.equal(product.runtime.report().routers.get("bad@docker")?.status, "disabled");
  assert.ok(
    product.log.some(({ level, message }) => level === "error" && /Hots.*did you mean Host/s.test(message)),
  );
});

test("RS-01 two hundred configurations under load lose no request", async () => {
  await using product = await startProduct({ containers: [replica(1), replica(2)] });
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  let asked = 0;
  let isOver = false;
  const failures: string[] = [];
  const client = async () => {
    while (!isOver) {
      asked++;
      const { status } = await send(product.ports.get("web")!, "shop.test", "/", { agent }).catch(
        (error: Error) => ({
          status: error.message,
        }),
      );
      if (status !== 200) failures.push(String(status));
    }
  };
  const load = Promise.all(Array.from({ length: 8 }, client));
  for (let i = 0; i < 200; i++) {
    const passing = await product.demo.engine.add({
      ...app(`passing-${i}`, `passing-${i}.test`),
      serve: false,
    });
    await product.demo.engine.remove(passing);
  }
  isOver = true;
  await load;
  agent.destroy();
  assert.ok(product.runtime.report().version > 20, `only ${product.runtime.report().version} configurations`);
  assert.deepEqual(failures, [], `of ${asked} requests`);
});

test("BE-24 a replica that is stopped finishes what it has, and gets nothing new", async () => {
  await using product = await startProduct({ containers: [replica(1), replica(2)] });
  const leaving = product.demo.engine.find("shop-2")!;
  const stopped = product.demo.engine.stop(leaving, { graceMs: 300 });
  const replicas = () => product.runtime.servers().filter(({ service }) => service.endsWith("@docker"));
  await eventually(() => assert.equal(replicas().length, 1));
  // The threads follow one after the other.
  await eventually(async () => {
    for (let i = 0; i < 20; i++) assert.match((await product.get("shop.test")).body, /^Name: shop-1$/m);
  });
  await stopped;
});

test("BE-21 a service without a healthy server answers 503 with Retry-After and stays in the table", async () => {
  const ill = { ...app("ill", "ill.test"), health: "unhealthy" as const };
  await using product = await startProduct({ containers: [ill] });
  const { status, headers } = await product.get("ill.test");
  assert.equal(status, 503);
  assert.ok(Number(headers["retry-after"]) > 0);
  product.demo.engine.setHealth(product.demo.engine.find("ill")!, "healthy");
  await eventually(async () => assert.equal((await product.get("ill.test")).status, 200));
});

test("BE-23 requests never reach a container that got another's address", async () => {
  await using one = await startServer((_, response) => response.end("one"));
  const yaml = (host: string) => `
http:
  routers: { app: { rule: "Host(\`${host}\`)", service: app } }
  services: { app: { loadBalancer: { servers: [ { url: "${one.url}" } ] } } }
`;
  await using product = await startProduct({ file: yaml("a.test") });
  assert.equal((await product.get("a.test")).body, "one");
  product.write(yaml("b.test"));
  await eventually(async () => assert.equal((await product.get("b.test")).body, "one"));
  // The other thread follows.
  await eventually(async () => assert.equal((await product.get("a.test")).status, 404));
});

test("BE-22 a server that fails its health check gets no requests until it passes again", async () => {
  let isWell = true;
  const answer = (name: string, well: () => boolean) =>
    startServer((request, response) => {
      response.statusCode = request.url === "/health" && !well() ? 500 : 200;
      response.end(name);
    });
  await using a = await answer("a", () => isWell);
  await using b = await answer("b", () => true);
  await using product = await startProduct({
    file: `
http:
  routers: { app: { rule: "Host(\`app.test\`)", service: app } }
  services:
    app:
      loadBalancer:
        healthCheck: { path: /health, interval: 50ms, timeout: 2s }
        servers: [ { url: "${a.url}" }, { url: "${b.url}" } ]
`,
  });
  const namesSeen = async () => {
    const names = new Set<string>();
    for (let i = 0; i < 8; i++) names.add((await product.get("app.test")).body);
    return [...names].sort().join("");
  };
  assert.equal(await namesSeen(), "ab");
  isWell = false;
  await eventually(async () => assert.equal(await namesSeen(), "b"));
  assert.ok(product.log.some(({ message }) => message.startsWith("a server fails its health check")));
  isWell = true;
  await eventually(async () => assert.equal(await namesSeen(), "ab"));
});

test("a health check that failed is remembered over a change of configuration", async () => {
  await using a = await startServer((_, response) => response.writeHead(500).end("a"));
  const yaml = (extra: string) => `
http:
  routers: { app: { rule: "Host(\`app.test\`)", service: app } ${extra} }
  services:
    app:
      loadBalancer:
        healthCheck: { path: /health, interval: 50ms, unhealthyInterval: 1h }
        servers: [ { url: "${a.url}" } ]
`;
  await using product = await startProduct({ file: yaml("") });
  await eventually(async () => assert.equal((await product.get("app.test")).status, 503));
  product.write(yaml(', b: { rule: "Host(`b.test`)", service: app }'));
  await eventually(async () => assert.equal((await product.get("b.test")).status, 503));
  assert.equal((await product.get("app.test")).status, 503);
});

test("RS-05 stopping finishes requests under way and takes no new ones", async () => {
  const held = Promise.withResolvers<void>();
  await using slow = await startServer(async (_, response) => {
    response.write("first ");
    await held.promise;
    response.end("last");
  });
  await using product = await startProduct({
    file: `
http:
  routers: { app: { rule: "Host(\`app.test\`)", service: app } }
  services: { app: { loadBalancer: { servers: [ { url: "${slow.url}" } ] } } }
`,
  });
  const underWay = product.get("app.test");
  await eventually(() =>
    assert.equal(product.runtime.servers().find(({ service }) => service === "app@file")?.inFlight, 1),
  );
  const stopped = product.waybill.stop();
  await eventually(() => assert.rejects(product.get("nobody.test")));
  held.resolve();
  assert.equal((await underWay).body, "first last");
  await stopped;
});

test("RS-06 when the grace time is over requests are cut off", async () => {
  await using slow = await startServer((_, response) => void response.write("first "));
  await using product = await startProduct({
    flags: ["--entryPoints.web.transport.lifeCycle.graceTimeOut=100ms"],
    file: `
http:
  routers: { app: { rule: "Host(\`app.test\`)", service: app } }
  services: { app: { loadBalancer: { servers: [ { url: "${slow.url}" } ] } } }
`,
  });
  const underWay = product.get("app.test");
  underWay.catch(() => {});
  await eventually(() =>
    assert.equal(product.runtime.servers().find(({ service }) => service === "app@file")?.inFlight, 1),
  );
  const begun = performance.now();
  await product.waybill.stop();
  // Of itself it would be ten seconds.
  assert.ok(performance.now() - begun < 9000);
  await assert.rejects(underWay);
  assert.ok(product.log.some(({ message }) => message === "requests were cut off after the grace time"));
});

test("RS-07 ping answers 503 first, while requests are still taken", async () => {
  await using product = await startProduct({
    containers: [app("one", "one.test")],
    flags: [
      "--ping",
      "--ping.entryPoint=web",
      "--entryPoints.web.transport.lifeCycle.requestAcceptGraceTimeout=4s",
    ],
  });
  assert.equal((await product.get("any.test", "/ping")).status, 200);
  const stopped = product.waybill.stop();
  await eventually(async () => assert.equal((await product.get("any.test", "/ping")).status, 503));
  assert.equal((await product.get("one.test")).status, 200);
  await stopped;
});

test("RS-02 a port in use is said at once, by name", async () => {
  await using taken = await startServer(() => {});
  const { port } = new URL(taken.url);
  const refused = startProduct({ threads: 1, flags: [`--entryPoints.other.address=127.0.0.1:${port}`] });
  await assert.rejects(refused, /entry point other cannot listen on .*EADDRINUSE/);
});

test("RS-02 a file that does not parse leaves the last good configuration in force", async () => {
  await using one = await startServer((_, response) => response.end("one"));
  const good = `
http:
  routers: { app: { rule: "Host(\`app.test\`)", service: app } }
  services: { app: { loadBalancer: { servers: [ { url: "${one.url}" } ] } } }
`;
  await using product = await startProduct({ file: good });
  assert.equal((await product.get("app.test")).status, 200);
  product.write("http: [ this is not {");
  await eventually(() => assert.ok(product.log.some(({ level }) => level === "error")));
  assert.equal((await product.get("app.test")).status, 200);
});

test("PR-17 without a live challenge its path belongs to the application", async () => {
  await using product = await startProduct({ containers: [app("one", "one.test")] });
  assert.equal((await product.get("one.test", "/.well-known/acme-challenge/token")).status, 200);
});

test("an entry point redirects to another, with its port", async () => {
  await using product = await startProduct({
    flags: [
      "--entryPoints.plain.address=127.0.0.1:0",
      "--entryPoints.plain.http.redirections.entryPoint.to=:8443",
      "--entryPoints.web.asDefault=true",
    ],
  });
  const { status, headers } = await product.get("app.test", "/x?y=1", { entryPoint: "plain" });
  assert.equal(status, 301);
  assert.equal(headers["location"], "https://app.test:8443/x?y=1");
});

test("connections are spread over all threads", async () => {
  await using product = await startProduct({ containers: [app("one", "one.test")], threads: 2 });
  const sockets = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const socket = connect(product.ports.get("web")!, "127.0.0.1");
      await new Promise((resolve) => socket.once("connect", resolve));
      return socket;
    }),
  );
  for (const socket of sockets) socket.destroy();
  assert.equal((await product.get("one.test")).status, 200);
});

test("a middleware that cannot be made closes what it guards, and the report says why", async () => {
  await using product = await startProduct({
    file: `
http:
  routers: { app: { rule: "Host(\`app.test\`)", service: "noop@internal", middlewares: [ auth ] } }
  middlewares: { auth: { basicAuth: { usersFile: /nowhere/users } } }
`,
  });
  assert.equal((await product.get("app.test")).status, 503);
  await eventually(() =>
    assert.equal(product.runtime.report().middlewares.get("auth@file")?.status, "disabled"),
  );
  assert.match(product.runtime.report().middlewares.get("auth@file")!.problems[0]!.message, /nowhere/);
});

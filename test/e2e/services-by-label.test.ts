import assert from "node:assert/strict";
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { eventually, type Product, startProduct } from "./harness.ts";

/** A container with labels, whose names are written without the `traefik.` that they all have. */
const container = (name: string, labels: Record<string, string>) => ({
  name,
  labels: Object.fromEntries(Object.entries(labels).map(([key, value]) => [`traefik.${key}`, value])),
});

const service = (name: string, more: Record<string, string> = {}) =>
  container(name, {
    [`http.services.${name}.loadbalancer.server.port`]: "8080",
    [`http.routers.${name}.rule`]: `Host(\`${name}.test\`)`,
    [`http.routers.${name}.service`]: name,
    ...more,
  });

const route = (name: string, to: string) => ({
  [`http.routers.${name}.rule`]: `Host(\`${name}.test\`)`,
  [`http.routers.${name}.service`]: to,
});

let product: Product;

before(async () => {
  product = await startProduct({
    threads: 1,
    flags: [
      "--entryPoints.websecure.address=127.0.0.1:0",
      "--entryPoints.guarded.address=127.0.0.1:0",
      "--entryPoints.guarded.http.middlewares=auth@docker,mark@docker",
    ],
    containers: [
      service("blue", {
        ...route("canary", "canary"),
        "http.services.canary.weighted.services[0].name": "blue",
        "http.services.canary.weighted.services[0].weight": "9",
        "http.services.canary.weighted.services[1].name": "green",
        "http.services.canary.weighted.services[1].weight": "1",
        "http.services.canary.weighted.services[1].header": "X-Canary=yes",
        "http.services.canary.weighted.services[1].cookie": "canary=on",
        ...route("loyal", "loyal"),
        "http.services.loyal.weighted.services[0].name": "blue",
        "http.services.loyal.weighted.services[1].name": "green",
        "http.services.loyal.weighted.sticky.cookie.name": "side",
        ...route("copied", "copied"),
        "http.services.copied.mirroring.service": "blue",
        "http.services.copied.mirroring.mirrors[0].name": "shadow",
        "http.services.copied.mirroring.mirrors[0].percent": "50",
        ...route("spare", "spare"),
        "http.services.spare.failover.service": "fickle",
        "http.services.spare.failover.fallback": "green",
        "http.services.spare.failover.errors.status": "500-599",
      }),
      service("green"),
      service("shadow"),
      service("fickle"),
      service("slow", {
        "http.services.slow.loadbalancer.serverstransport": "hasty",
        "http.serversTransports.hasty.forwardingTimeouts.responseHeaderTimeout": "100ms",
      }),
      service("modern", {
        "http.routers.modern.entrypoints": "websecure",
        "http.routers.modern.tls.options": "modern",
        "tls.options.modern.minVersion": "VersionTLS13",
      }),
      service("usual", {
        "http.routers.usual.entrypoints": "websecure",
        "http.routers.usual.tls": "true",
      }),
      service("closed", {
        "http.routers.closed.entrypoints": "guarded",
        "http.middlewares.auth.basicauth.users": "otto:{SHA}nU4eI71bcnBGqeO0t9tXvY1u5oQ=",
        "http.middlewares.mark.headers.customResponseHeaders.X-Marked": "yes",
      }),
      service("open", {
        "http.routers.open.entrypoints": "guarded",
        "http.routers.open.middlewares": "-auth",
      }),
    ],
  });
});

after(() => product[Symbol.asyncDispose]());

const nameIn = (body: string) => /^Name: (.*)$/m.exec(body)?.[1];
const serverOf = (name: string): Server => product.demo.engine.find(name)!.server!;

async function names(host: string, times: number, headers: Record<string, string> = {}): Promise<string[]> {
  const found: string[] = [];
  for (let i = 0; i < times; i++)
    found.push(nameIn((await product.get(`${host}.test`, "/", { headers })).body)!);
  return found;
}

/** Lets a container answer differently. Returns how to undo that. */
function answerBy(name: string, listener: RequestListener): () => void {
  const server = serverOf(name);
  const usual = server.listeners("request") as ((...args: [IncomingMessage, ServerResponse]) => void)[];
  server.removeAllListeners("request").on("request", listener);
  return () => {
    server.removeAllListeners("request");
    for (const one of usual) server.on("request", one);
  };
}

test("a canary by label: a share of the requests, and all with a header or a cookie", async () => {
  const all = await names("canary", 20);
  assert.equal(all.filter((name) => name === "green").length, 2);
  assert.equal(all.filter((name) => name === "blue").length, 18);
  assert.deepEqual(await names("canary", 3, { "x-canary": "yes" }), ["green", "green", "green"]);
  assert.deepEqual(await names("canary", 3, { cookie: "a=b; canary=on" }), ["green", "green", "green"]);
  assert.ok((await names("canary", 9, { cookie: "canary=off", "x-canary": "no" })).includes("blue"));
});

test("a sticky weighted service by label", async () => {
  const first = await product.get("loyal.test");
  const cookie = (first.headers["set-cookie"] as string[])[0]!.split(";")[0]!;
  assert.match(cookie, /^side=/);
  assert.deepEqual(await names("loyal", 4, { cookie }), Array(4).fill(nameIn(first.body)));
});

test("mirroring by label: half of the requests, and nobody waits for it", async () => {
  let copies = 0;
  const count = () => void copies++;
  serverOf("shadow").on("request", count);
  assert.deepEqual(await names("copied", 10), Array(10).fill("blue"));
  await eventually(() => assert.equal(copies, 5));
  serverOf("shadow").off("request", count);
});

test("failover by label: on a status, and when the container is unhealthy", async () => {
  assert.deepEqual(await names("spare", 2), ["fickle", "fickle"]);
  const undo = answerBy("fickle", (_, response) => response.writeHead(503).end());
  assert.deepEqual(await names("spare", 2), ["green", "green"]);
  undo();
  assert.deepEqual(await names("spare", 1), ["fickle"]);
  product.demo.engine.pause(product.demo.engine.find("fickle")!);
  await eventually(async () => assert.deepEqual(await names("spare", 2), ["green", "green"]));
});

test("when the containers of one side are gone, the others go on, and what is missing is said", async () => {
  const { engine } = product.demo;
  await engine.remove(engine.find("fickle")!);
  await eventually(async () => assert.deepEqual(await names("spare", 2), ["green", "green"]));
  await engine.remove(engine.find("green")!);
  await eventually(async () =>
    assert.deepEqual(await names("canary", 2, { "x-canary": "yes" }), ["blue", "blue"]),
  );
  const { status, problems } = product.runtime.report().services.get("canary@docker")!;
  assert.equal(status, "warning");
  assert.match(problems.map(({ message }) => message).join(), /there is no service green@docker now/);
  assert.equal(product.runtime.report().services.get("spare@docker")?.status, "disabled", "both are gone");
  await engine.add(service("green"));
  await eventually(async () => assert.deepEqual(await names("canary", 1, { "x-canary": "yes" }), ["green"]));
});

test("a serversTransport by label: its time limit holds for the service that names it", async () => {
  assert.equal((await product.get("slow.test")).status, 200);
  const undo = answerBy("slow", () => {});
  assert.equal((await product.get("slow.test")).status, 504);
  undo();
});

test("TLS options by label: they hold for the router's host and no other", async () => {
  const handshake = (servername: string, maxVersion: "TLSv1.2" | "TLSv1.3") =>
    new Promise<string>((resolve) => {
      const port = product.ports.get("websecure")!;
      const socket = connect({ host: "127.0.0.1", port, servername, maxVersion, rejectUnauthorized: false });
      socket.on("secureConnect", () => resolve(socket.getProtocol()!) ?? socket.destroy());
      socket.on("error", () => resolve("refused"));
    });
  assert.equal(await handshake("modern.test", "TLSv1.2"), "refused");
  assert.equal(await handshake("modern.test", "TLSv1.3"), "TLSv1.3");
  assert.equal(await handshake("usual.test", "TLSv1.2"), "TLSv1.2");
});

test("default middlewares of an entry point hold for its routers, but for those that take one out", async () => {
  const ask = (host: string) => product.get(`${host}.test`, "/", { entryPoint: "guarded" });
  assert.equal((await ask("closed")).status, 401);
  const open = await ask("open");
  assert.equal(open.status, 200);
  assert.equal(open.headers["x-marked"], "yes", "the others stay");
});

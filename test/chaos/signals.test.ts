import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, Agent as HttpAgent, type IncomingMessage, request as requestPlain } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { Agent as HttpsAgent, request as requestSecure } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { eventually } from "../e2e/harness.ts";
import { freePort } from "../free-port.ts";

/** The product as a process of its own, that is told to stop by signals while it is busy. */

const MAIN = join(import.meta.dirname, "../../bin/waybill.js");
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** An application that is slow, keeps the paths it was asked for, and echoes what comes through a tunnel. */
async function startApplication(delayMs: number) {
  const asked: string[] = [];
  const held: (() => void)[] = [];
  const server = createServer((incoming, response) => {
    asked.push(incoming.url!);
    incoming.resume();
    const answer = () => response.end(incoming.url);
    if (incoming.url === "/held") held.push(answer);
    else setTimeout(answer, delayMs);
  });
  server.on("upgrade", (_: IncomingMessage, socket: Socket) => {
    socket.on("error", () => {});
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    socket.on("data", (chunk: Buffer) => {
      socket.write(chunk);
      // A closing frame is answered, and then this side ends (RFC 6455 §7.1.1).
      if ((chunk[0]! & 0x0f) === 8) socket.end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    asked,
    held,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function startProcess(t: TestContext, url: string, ...flags: string[]) {
  const folder = mkdtempSync(join(tmpdir(), "waybill-test-"));
  const file = join(folder, "dynamic.yml");
  writeFileSync(
    file,
    `
http:
  routers:
    plain: { rule: "Host(\`app.test\`)", service: app, entryPoints: [web] }
    secure: { rule: "Host(\`app.test\`)", service: app, entryPoints: [websecure], tls: {} }
  services: { app: { loadBalancer: { servers: [ { url: "${url}" } ] } } }
`,
  );
  const [web, websecure] = [await freePort(), await freePort()];
  const child: ChildProcess = spawn(
    process.execPath,
    [
      MAIN,
      "--threads=2",
      `--entryPoints.web.address=127.0.0.1:${web}`,
      `--entryPoints.websecure.address=127.0.0.1:${websecure}`,
      `--providers.file.filename=${file}`,
      "--log.level=WARN",
      ...flags,
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  // Whatever becomes of the test: it would keep the test's own process.
  t.after(() => child.kill("SIGKILL"));
  let said = "";
  for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (chunk) => (said += chunk));
  const ended = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  const one = (agent: HttpAgent) => ask(requestPlain, web, "/first", agent);
  await eventually(async () => assert.equal(await one(new HttpAgent()), "/first", said), 60);
  return {
    child,
    web,
    websecure,
    ended,
    said: () => said,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function ask(
  request: typeof requestPlain,
  port: number,
  path: string,
  agent: HttpAgent,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = {
      host: "127.0.0.1",
      port,
      path,
      agent,
      headers: { host: "app.test" },
      servername: "app.test",
      rejectUnauthorized: false,
    };
    const outgoing = request(options, (incoming) => {
      let text = "";
      incoming.on("data", (chunk) => (text += chunk));
      incoming.on("error", () => resolve(undefined));
      incoming.on("aborted", () => resolve(undefined));
      incoming.on("end", () => resolve(incoming.statusCode === 200 ? text : undefined));
    });
    outgoing.on("error", () => resolve(undefined));
    outgoing.end();
  });
}

function askHttp2(session: ClientHttp2Session, path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    if (session.closed || session.destroyed) return resolve(undefined);
    const stream = session.request({ ":path": path, ":authority": "app.test" });
    let text = "";
    let status = 0;
    stream.on("response", (headers) => (status = Number(headers[":status"])));
    stream.on("data", (chunk) => (text += chunk));
    stream.on("error", () => {});
    stream.on("close", () => resolve(status === 200 && stream.rstCode === 0 ? text : undefined));
  });
}

const HANDSHAKE =
  "GET /ws HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const CLOSING = Buffer.from("888203e80000", "hex");

test("RS-05 SIGTERM under load fails no request of any protocol, and WebSockets say goodbye", {
  timeout: 240_000,
}, async (t) => {
  await using application = await startApplication(25);
  await using proxy = await startProcess(
    t,
    application.url,
    "--entryPoints.web.transport.lifeCycle.graceTimeOut=40s",
  );
  const answered = new Set<string>();
  let isOver = false;
  const keep = { keepAlive: true, maxSockets: 1 };
  const loop = async (name: string, once: (path: string) => Promise<string | undefined>) => {
    for (let i = 0; !isOver; i++) {
      const path = `/${name}-${i}`;
      if ((await once(path)) === path) answered.add(path);
      else await wait(1);
    }
  };
  const clients = Array.from({ length: 6 }, (_, i) => [
    ((agent) => loop(`h1-${i}`, (path) => ask(requestPlain, proxy.web, path, agent)))(new HttpAgent(keep)),
    ((agent) =>
      loop(`tls-${i}`, (path) =>
        ask(requestSecure as typeof requestPlain, proxy.websecure, path, agent as unknown as HttpAgent),
      ))(new HttpsAgent(keep)),
  ]).flat();
  const session = connectHttp2(`https://127.0.0.1:${proxy.websecure}`, {
    rejectUnauthorized: false,
    servername: "app.test",
  });
  session.on("error", () => {});
  for (let i = 0; i < 8; i++) clients.push(loop(`h2-${i}`, (path) => askHttp2(session, path)));
  const websocket = connect(proxy.web, "127.0.0.1");
  let heard = Buffer.alloc(0);
  websocket.on("data", (chunk: Buffer) => (heard = Buffer.concat([heard, chunk])));
  websocket.on("error", () => {});
  websocket.write(HANDSHAKE);
  await eventually(() => assert.match(heard.toString("latin1"), /^HTTP\/1\.1 101[\s\S]*\r\n\r\n$/));
  for (const kind of ["h1", "tls", "h2"])
    await eventually(
      () => assert.ok([...answered].filter((path) => path.startsWith(`/${kind}-`)).length > 50),
      30,
    );

  proxy.child.kill("SIGTERM");
  await eventually(async () =>
    assert.equal(await ask(requestPlain, proxy.web, "/late", new HttpAgent()), undefined),
  );
  // Its tunnel is still there, in both directions, and its end is what the process waits for.
  heard = Buffer.alloc(0);
  websocket.write(CLOSING);
  await once(websocket, "close");
  assert.deepEqual(heard, CLOSING);
  const [code] = await proxy.ended;
  isOver = true;
  session.destroy();
  await Promise.all(clients);
  assert.equal(code, 0, proxy.said());
  assert.deepEqual(
    application.asked.filter((path) => /^\/(?:h1|h2|tls)-/.test(path) && !answered.has(path)),
    [],
    `of ${application.asked.length}`,
  );
  assert.doesNotMatch(proxy.said(), /cut off/);
});

test("RS-06 a second signal ends everything at once", { timeout: 240_000 }, async (t) => {
  await using application = await startApplication(0);
  await using proxy = await startProcess(
    t,
    application.url,
    "--entryPoints.web.transport.lifeCycle.graceTimeOut=10m",
  );
  const held = ask(requestPlain, proxy.web, "/held", new HttpAgent());
  await eventually(() => assert.equal(application.held.length, 1));
  proxy.child.kill("SIGTERM");
  await eventually(async () =>
    assert.equal(await ask(requestPlain, proxy.web, "/late", new HttpAgent()), undefined),
  );
  // What follows the first one at once is taken for its echo.
  await wait(300);
  assert.equal(proxy.child.exitCode, null);
  proxy.child.kill("SIGINT");
  const [code] = await proxy.ended;
  assert.equal(code, 1);
  assert.equal(await held, undefined);
  assert.match(proxy.said(), /a second signal/);
});

import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { answer } from "./api.ts";
import { DemoEngine, type DemoSpec } from "./engine.ts";

export interface DemoOptions {
  /** A path for a Unix socket; without one, a free port on loopback. */
  readonly socketPath?: string;
  readonly containers?: readonly DemoSpec[];
  /** Sees every request first; true when it has answered it. For tests of engines that misbehave. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export interface Demo {
  /** For `providers.docker.endpoint`: `unix:///tmp/waybill-demo-1000/docker.sock`. */
  readonly endpoint: string;
  readonly engine: DemoEngine;
  /** Cuts every connection, as a restart of the engine does, and keeps the containers. */
  disconnect(): void;
  close(): Promise<void>;
}

/** Where the demo of this user listens, so that a second terminal finds it. */
export function demoSocketPath(): string {
  return join(tmpdir(), `waybill-demo-${userInfo().uid}`, "docker.sock");
}

/** What `waybill demo` begins with. */
export const DEMO_CONTAINERS: readonly DemoSpec[] = [
  { name: "whoami", labels: { waybill: "whoami.localhost" } },
  ...[1, 2].map((number) => ({
    name: `shop-${number}`,
    labels: {
      "com.docker.compose.project": "demo",
      "com.docker.compose.service": "shop",
      "traefik.http.routers.shop.rule": "Host(`shop.localhost`)",
    },
  })),
  {
    name: "api",
    labels: {
      "traefik.http.routers.api.rule": "Host(`shop.localhost`) && PathPrefix(`/api`)",
      "traefik.http.services.api.loadbalancer.server.port": "3000",
    },
  },
];

/** An engine in this process that Docker's clients can speak to, with real HTTP services behind it. */
export async function startDemoEngine(options: DemoOptions = {}): Promise<Demo> {
  const { socketPath, containers = [], intercept } = options;
  const engine = new DemoEngine();
  const server = createServer((incoming, response) => {
    if (intercept?.(incoming, response)) return;
    answer(engine, incoming, response).catch(() => response.destroy());
  });
  if (socketPath !== undefined) await clearSocket(socketPath);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    if (socketPath === undefined) server.listen(0, "127.0.0.1", resolve);
    else server.listen(socketPath, resolve);
  });
  if (socketPath !== undefined) chmodSync(socketPath, 0o600);
  for (const spec of containers) await engine.add(spec);
  return {
    endpoint:
      socketPath === undefined
        ? `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`
        : `unix://${socketPath}`,
    engine,
    disconnect: () => server.closeAllConnections(),
    async close() {
      await engine.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Takes away what a demo that was killed left behind, but not the socket of one that lives. */
async function clearSocket(socketPath: string): Promise<void> {
  mkdirSync(dirname(socketPath), { recursive: true, mode: 0o700 });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = connect(socketPath, () => resolve(true)).once("error", () => resolve(false));
  const isAlive = await promise;
  probe.destroy();
  if (isAlive) throw new Error(`another demo is running already, at ${socketPath}`);
  rmSync(socketPath, { force: true });
}

/** Adds a container to a running demo: `waybill demo add NAME LABEL...`, labels as `key=value`. Throws with a reason. */
export async function addDemoContainer(
  socketPath: string,
  name: string,
  labels: readonly string[],
): Promise<void> {
  const entries = labels.map((label) => {
    const at = label.indexOf("=");
    return at < 0 ? [label, ""] : [label.slice(0, at), label.slice(at + 1)];
  });
  const body = JSON.stringify({ Image: "demo", Labels: Object.fromEntries(entries) });
  await call(socketPath, "POST", `/containers/create?name=${encodeURIComponent(name)}`, body);
  await call(socketPath, "POST", `/containers/${encodeURIComponent(name)}/start`);
}

/** `waybill demo remove NAME`. Throws with a reason. */
export async function removeDemoContainer(socketPath: string, name: string): Promise<void> {
  await call(socketPath, "DELETE", `/containers/${encodeURIComponent(name)}?force=1`);
}

async function call(socketPath: string, method: string, path: string, body = ""): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  request({ socketPath, method, path, headers }, resolve)
    .once("error", () => reject(new Error("no demo is running; start one with: waybill demo")))
    .end(body);
  const reply = await promise;
  let text = "";
  for await (const chunk of reply) text += chunk;
  if (reply.statusCode! >= 300) {
    throw new Error(
      (JSON.parse(text || "{}") as { message?: string }).message ?? `the demo said ${reply.statusCode}`,
    );
  }
}

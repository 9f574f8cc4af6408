import type { IncomingMessage, ServerResponse } from "node:http";
import { type DemoContainer, type DemoEngine, type DemoEvent, type DemoHealth, networkId } from "./engine.ts";

export const DEMO_API_VERSION = "1.47";

const BODY_MAX = 1024 * 1024;

/** Answers as Docker's engine does, as far as its clients `docker ps`, `run -d`, `stop`, `rm` and Waybill ask. */
export async function answer(
  engine: DemoEngine,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://engine");
  const [, ...path] = url.pathname.replace(/^\/v\d+\.\d+(?=\/)/, "").split("/");
  const call: Call = { engine, request, response, query: url.searchParams };
  const method = request.method === "HEAD" ? "GET" : request.method;
  const pattern = path.map((part, index) =>
    index === 1 && path[0] === "containers" ? containerWord(part) : part,
  );
  const handler = ROUTES[`${method} /${pattern.join("/")}`];
  response.setHeader("Api-Version", DEMO_API_VERSION);
  response.setHeader("Ostype", "linux");
  if (handler === undefined) return send(response, 404, { message: "page not found" });
  const container = engine.find(decodeURIComponent(path[1] ?? ""));
  if (pattern.includes("*") && container === undefined) {
    return send(response, 404, { message: `No such container: ${path[1]}` });
  }
  try {
    await handler(call, container!);
  } catch (error) {
    send(response, 409, { message: error instanceof Error ? error.message : String(error) });
  }
}

interface Call {
  readonly engine: DemoEngine;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
}

type Handler = (call: Call, container: DemoContainer) => void | Promise<void>;

const containerWord = (part: string) => (part === "json" || part === "create" ? part : "*");

const ROUTES: Readonly<Record<string, Handler>> = {
  "GET /_ping": ({ response }) => void response.end("OK"),
  "GET /version": ({ response }) =>
    send(response, 200, {
      Version: "demo",
      ApiVersion: DEMO_API_VERSION,
      MinAPIVersion: "1.24",
      Os: "linux",
    }),
  "GET /info": ({ response, engine }) =>
    send(response, 200, { Name: "waybill-demo", Containers: engine.containers().length }),
  "GET /events": streamEvents,
  "GET /networks": ({ response, engine }) => send(response, 200, networksOf(engine)),
  "GET /containers/json": ({ response, engine, query }) => send(response, 200, list(engine, query)),
  "GET /containers/*/json": ({ response }, container) => send(response, 200, inspect(container)),
  "POST /containers/create": create,
  "POST /containers/*/start": async ({ response, engine }, container) => {
    await engine.start(container);
    send(response, 204);
  },
  "POST /containers/*/stop": async ({ response, engine }, container) => {
    await engine.stop(container);
    send(response, 204);
  },
  "POST /containers/*/restart": async ({ response, engine }, container) => {
    await engine.stop(container);
    await engine.start(container);
    send(response, 204);
  },
  "POST /containers/*/kill": async ({ response, engine, query }, container) => {
    await engine.stop(container, { graceMs: 0, signal: query.get("signal") ?? "9" });
    send(response, 204);
  },
  "POST /containers/*/pause": ({ response, engine }, container) => {
    engine.pause(container);
    send(response, 204);
  },
  "POST /containers/*/unpause": ({ response, engine }, container) => {
    engine.unpause(container);
    send(response, 204);
  },
  "POST /containers/*/rename": ({ response, engine, query }, container) => {
    engine.rename(container, query.get("name") ?? container.name);
    send(response, 204);
  },
  // Docker has no such call: a real container's health check decides.
  "POST /containers/*/health": ({ response, engine, query }, container) => {
    engine.setHealth(container, (query.get("health") ?? "healthy") as DemoHealth);
    send(response, 204);
  },
  "DELETE /containers/*": async ({ response, engine }, container) => {
    await engine.remove(container);
    send(response, 204);
  },
};

function send(response: ServerResponse, status: number, body?: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

async function create({ engine, request, response, query }: Call): Promise<void> {
  let text = "";
  for await (const chunk of request) {
    text += chunk;
    if (text.length > BODY_MAX) return send(response, 413, { message: "the body is too large" });
  }
  const config = JSON.parse(text || "{}") as {
    Image?: string;
    Labels?: Record<string, string>;
    ExposedPorts?: Record<string, unknown>;
  };
  const ports = Object.keys(config.ExposedPorts ?? {}).map((port) => Number.parseInt(port, 10));
  const container = engine.create({
    name: query.get("name") ?? `demo-${engine.containers().length + 1}`,
    image: config.Image ?? "demo",
    labels: config.Labels ?? {},
    ...(ports.length > 0 && { ports }),
  });
  send(response, 201, { Id: container.id, Warnings: [] });
}

function streamEvents({ engine, request, response, query }: Call): void {
  const filters = filtersOf(query);
  response.writeHead(200, { "content-type": "application/json" });
  response.flushHeaders();
  const stop = engine.onEvent((event) => {
    if (passes(event, filters)) response.write(`${JSON.stringify(event)}\n`);
  });
  request.once("close", stop);
  response.once("close", stop);
}

type Filters = Record<string, string[] | undefined>;

/** `{"type":["container"]}`, or the older `{"type":{"container":true}}`. */
function filtersOf(query: URLSearchParams): Filters {
  const filters = JSON.parse(query.get("filters") || "{}") as Record<
    string,
    string[] | Record<string, boolean>
  >;
  return Object.fromEntries(
    Object.entries(filters).map(([name, values]) => [
      name,
      Array.isArray(values) ? values : Object.keys(values),
    ]),
  );
}

function passes({ Type, Action }: DemoEvent, { type, event }: Filters): boolean {
  return (type?.includes(Type) ?? true) && (event?.some((name) => Action.startsWith(name)) ?? true);
}

function list(engine: DemoEngine, query: URLSearchParams): unknown[] {
  const { id } = filtersOf(query);
  const all = /^(?:1|true)$/.test(query.get("all") ?? "");
  return engine
    .containers()
    .filter((container) => all || container.state === "running" || container.state === "paused")
    .filter((container) => id?.some((wanted) => container.id.startsWith(wanted)) ?? true)
    .map(listed);
}

function listed(container: DemoContainer): unknown {
  const { id, name, spec, created, state } = container;
  return {
    Id: id,
    Names: [`/${name}`],
    Image: spec.image ?? "demo",
    Command: "whoami",
    Created: created,
    State: state,
    Status: statusOf(container),
    Labels: spec.labels ?? {},
    Ports: state === "exited" ? [] : container.ports.map((PrivatePort) => ({ PrivatePort, Type: "tcp" })),
    HostConfig: { NetworkMode: spec.networkMode ?? "default" },
    NetworkSettings: { Networks: settingsOf(container) },
  };
}

function statusOf({ state, health }: DemoContainer): string {
  if (state === "created") return "Created";
  if (state === "exited") return "Exited (0) 1 second ago";
  const words = health === "none" ? "" : health === "starting" ? " (health: starting)" : ` (${health})`;
  return `Up 1 second${words}${state === "paused" ? " (Paused)" : ""}`;
}

function settingsOf({ networks }: DemoContainer): Record<string, unknown> {
  return Object.fromEntries(
    [...networks].map(([name, address]) => [
      name,
      {
        NetworkID: networkId(name),
        IPAddress: address.includes(":") ? "" : address,
        GlobalIPv6Address: address.includes(":") ? address : "",
        Gateway: "",
      },
    ]),
  );
}

function inspect(container: DemoContainer): unknown {
  const { id, name, spec, created, state, health, ports } = container;
  return {
    Id: id,
    Name: `/${name}`,
    Created: new Date(created * 1000).toISOString(),
    State: {
      Status: state,
      Running: state === "running",
      ...(health !== "none" && { Health: { Status: health } }),
    },
    Config: {
      Image: spec.image ?? "demo",
      Labels: spec.labels ?? {},
      ExposedPorts: Object.fromEntries(ports.map((port) => [`${port}/tcp`, {}])),
      StopSignal: "SIGTERM",
    },
    HostConfig: { NetworkMode: spec.networkMode ?? "default" },
    NetworkSettings: { Networks: settingsOf(container) },
  };
}

function networksOf(engine: DemoEngine): unknown[] {
  const names = new Set(engine.containers().flatMap(({ networks }) => [...networks.keys()]));
  return [...names].map((Name) => ({ Name, Id: networkId(Name), Driver: "bridge", Scope: "local" }));
}

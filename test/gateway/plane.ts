import { once } from "node:events";
import { connect, createServer, type Server as NetServer, type Socket } from "node:net";
import { HttpGateway, type Observer } from "../../src/gateway/gateway.ts";
import { TimeLimits } from "../../src/lib/time-limits.ts";
import { EntryPoint } from "../../src/listen/entry-point.ts";
import { transportOptions } from "../../src/model/dynamic.ts";
import { type EntryPointSettings, entryPointOptions } from "../../src/model/entry-point.ts";
import type { Connection, Exchange } from "../../src/model/exchange.ts";
import { FAULTS, type Fault } from "../../src/model/fault.ts";
import type { Hooks } from "../../src/model/middleware.ts";
import type { Route, RouteTable } from "../../src/model/route.ts";
import type { Leaf, LeafLimits, Server, Service } from "../../src/model/service.ts";
import type { ServerSpec } from "../../src/model/snapshot.ts";
import type { TlsAcceptor } from "../../src/model/tls-acceptor.ts";
import { leaf as leafNode, Node } from "../../src/schema/node.ts";
import type { Options, Values } from "../../src/schema/option.ts";
import { readOptions } from "../../src/schema/read-options.ts";
import type { TransportTls } from "../../src/upstream/transport.ts";
import { ServersUpstream } from "../../src/upstream/upstream.ts";

/** Options as somebody wrote them: dotted name to text. Every problem is thrown. */
export function written<O extends Options>(options: O, texts: Record<string, string>): Values<O> {
  const place = { source: "file", key: "test" } as const;
  const root = new Node("test", place);
  for (const [path, text] of Object.entries(texts)) {
    const names = path.split(".");
    let node = root;
    for (const name of names.slice(0, -1)) node = node.child(name, place);
    const last = node.child(names.at(-1)!, place);
    last.value = leafNode(last.name, place, text).value;
  }
  return readOptions(options, root, {
    report(problem) {
      throw new Error(`${problem.place.key}: ${problem.message}`);
    },
    secret: (reference) => reference,
  });
}

export const PLAIN_TLS: TransportTls = {
  serverName: "",
  insecureSkipVerify: false,
  ca: [],
  certificates: [],
  ciphers: undefined,
  minVersion: undefined,
  maxVersion: undefined,
  peerCertUri: "",
};

export class TestServer implements Server {
  readonly spec: ServerSpec;
  inFlight = 0;
  isUp = true;

  constructor(port: number, extra: Partial<ServerSpec> = {}) {
    const host = extra.host ?? "127.0.0.1";
    const scheme = extra.scheme ?? "http";
    this.spec = {
      id: `test:${host}:${port}`,
      scheme,
      host,
      port,
      path: "",
      weight: 1,
      url: `${scheme}://${host}:${port}`,
      workload: undefined,
      ...extra,
    };
  }

  up(): boolean {
    return this.isUp;
  }
}

export interface PlaneOptions {
  readonly entryPoint?: Record<string, string>;
  readonly transport?: Record<string, string>;
  readonly servers?: readonly TestServer[];
  readonly hooks?: readonly Hooks[];
  readonly leaf?: Partial<Leaf>;
  readonly limits?: LeafLimits;
  readonly table?: (service: Service) => RouteTable;
  readonly tls?: TransportTls;
  readonly service?: (leaf: Leaf) => Service;
  readonly acceptor?: TlsAcceptor;
}

/** A whole data plane of one thread over real sockets: an entry point, a gateway, one service. */
export class Plane {
  readonly gateway: HttpGateway;
  readonly entryPoint: EntryPoint;
  readonly upstream: ServersUpstream;
  readonly limits = new TimeLimits(10);
  readonly settings: EntryPointSettings;
  readonly done: Exchange[] = [];
  readonly refused: { fault: Fault; detail: string; connection: Connection }[] = [];
  readonly errors: unknown[] = [];
  readonly service: Service;
  port = 0;

  constructor(options: PlaneOptions) {
    this.settings = written(entryPointOptions, { address: "127.0.0.1:0", ...options.entryPoint });
    const transport = written(transportOptions, options.transport ?? {});
    this.upstream = new ServersUpstream(transport, options.tls ?? PLAIN_TLS, this.limits);
    const servers = options.servers ?? [];
    let turn = 0;
    const leaf: Leaf = {
      name: "app@test",
      hooks: [],
      answer: undefined,
      passHostHeader: true,
      upstream: this.upstream,
      ...(options.limits && { limits: options.limits }),
      pick(_exchange, tried) {
        for (let i = 0; i < servers.length; i++) {
          const server = servers[turn++ % servers.length]!;
          if (server.up() && tried?.includes(server) !== true) return server;
        }
        return FAULTS["no-server"];
      },
      ...options.leaf,
    };
    this.service = options.service?.(leaf) ?? { name: "app@test", available: () => true, choose: () => leaf };
    const table = options.table?.(this.service) ?? everything(this.service, options.hooks ?? []);
    const observer: Observer = {
      done: (exchange) => this.done.push(exchange),
      refused: (connection, fault, detail) => this.refused.push({ connection, fault, detail }),
      failed: (_exchange, error) => this.errors.push(error),
    };
    this.gateway = new HttpGateway(table, observer, this.limits);
    this.entryPoint = new EntryPoint({
      name: "web",
      settings: this.settings,
      gateway: this.gateway,
      limits: this.limits,
      tls: options.acceptor,
      serverName: "proxy",
      threads: 1,
    });
  }

  async start(): Promise<this> {
    this.port = await this.entryPoint.listen();
    return this;
  }

  close(): void {
    this.entryPoint.close();
    this.upstream.close();
  }
}

export function routeTo(service: Service, hooks: readonly Hooks[]): Route {
  return {
    name: "app@test",
    rule: "PathPrefix(`/`)",
    hooks,
    service,
    tlsOptions: undefined,
    accessLog: true,
    metrics: true,
    tracing: true,
  };
}

export function everything(service: Service, hooks: readonly Hooks[]): RouteTable {
  const route = routeTo(service, hooks);
  return { match: (exchange) => (exchange.host === "unknown.example" ? undefined : route) };
}

/** A raw TCP server that answers as the test says and keeps what it was sent. */
export class RawBackend {
  readonly received: Buffer[] = [];
  readonly sockets: Socket[] = [];
  readonly server: NetServer;
  port = 0;
  connections = 0;

  constructor(onData: (socket: Socket, chunk: Buffer, all: string, backend: RawBackend) => void) {
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.connections++;
      this.sockets.push(socket);
      let all = "";
      socket.on("error", () => {});
      socket.on("end", () => socket.end());
      socket.on("data", (chunk: Buffer) => {
        this.received.push(chunk);
        all += chunk.toString("latin1");
        onData(socket, chunk, all, this);
      });
    });
  }

  get text(): string {
    return Buffer.concat(this.received).toString("latin1");
  }

  async start(): Promise<this> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    this.port = (this.server.address() as { port: number }).port;
    return this;
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** Answers every head with the same reply. */
export function replying(reply: string): RawBackend {
  return new RawBackend((socket, chunk) => {
    const heads = chunk.toString("latin1").split("\r\n\r\n").length - 1;
    for (let i = 0; i < heads; i++) socket.write(reply, "latin1");
  });
}

/** Sends bytes (in pieces, if several) and gives all that came back until the connection closed or `until` was there. */
export async function talk(
  port: number,
  pieces: string | readonly string[],
  until?: (text: string) => boolean,
  waitMs = 20_000,
): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  socket.on("error", () => {});
  let text = "";
  const over = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no end of the reply: ${JSON.stringify(text)}`)), waitMs);
    const end = () => {
      clearTimeout(timer);
      resolve();
    };
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (until?.(text)) end();
    });
    socket.on("close", end);
    socket.on("end", end);
  });
  await once(socket, "connect");
  for (const piece of typeof pieces === "string" ? [pieces] : pieces) {
    if (socket.destroyed) break;
    await new Promise<void>((resolve) => socket.write(piece, "latin1", () => setImmediate(resolve)));
  }
  try {
    await over;
  } finally {
    socket.destroy();
  }
  return text;
}

/** Whether the text holds that many whole replies with Content-Length or in chunks. */
export function replies(count: number): (text: string) => boolean {
  return (text) => {
    let rest = text;
    for (let i = 0; i < count; i++) {
      const end = rest.indexOf("\r\n\r\n");
      if (end < 0) return false;
      const head = rest.slice(0, end);
      const length = /content-length: (\d+)/i.exec(head);
      const chunked = /transfer-encoding: chunked/i.test(head);
      if (chunked) {
        const last = rest.indexOf("0\r\n\r\n", end);
        if (last < 0) return false;
        rest = rest.slice(last + 5);
      } else rest = rest.slice(end + 4 + Number(length?.[1] ?? 0));
      if (!chunked && rest === "" && length !== null && text.length < end + 4) return false;
    }
    return true;
  };
}

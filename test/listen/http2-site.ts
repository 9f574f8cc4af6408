import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { TimeLimits } from "../../src/lib/time-limits.ts";
import { Http2Connection, type Http2Site, sessionOptions } from "../../src/listen/http2.ts";
import { Http2Backlog } from "../../src/listen/http2-backlog.ts";
import { type BodySink, type BodySource, BytesBody, NO_BODY } from "../../src/model/body.ts";
import type { Gateway } from "../../src/model/client.ts";
import { type EntryPointSettings, entryPointOptions } from "../../src/model/entry-point.ts";
import { type Connection, Exchange } from "../../src/model/exchange.ts";
import type { Fault } from "../../src/model/fault.ts";
import { Node } from "../../src/schema/node.ts";
import { readOptions } from "../../src/schema/option.ts";
import { parseTarget } from "../../src/wire/target.ts";

/** What the gateway was told, in order. */
export class Record {
  readonly handled: Exchange[] = [];
  readonly left: Exchange[] = [];
  readonly done: Exchange[] = [];
  readonly refused: { fault: Fault; detail: string }[] = [];
}

export type Handler = (exchange: Exchange) => void;

/** A plain port that speaks HTTP/2 by prior knowledge, in front of a gateway that a test plays. */
export class Http2Port {
  readonly record = new Record();
  readonly connections = new Set<Http2Connection>();
  readonly port: number;
  readonly settings: EntryPointSettings;
  readonly backlog = new Http2Backlog(1);
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, settings: EntryPointSettings, handler: Handler) {
    this.#server = server;
    this.settings = settings;
    this.port = (server.address() as AddressInfo).port;
    const site = this.#site(handler);
    const options = sessionOptions(settings);
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
      const info: Connection = {
        entryPoint: "web",
        peerIp: "127.0.0.1",
        peerPort: socket.remotePort ?? 0,
        localPort: this.port,
        tls: undefined,
      };
      // As a listener does that had to look at the first bytes.
      socket.once("data", (head) => {
        socket.pause();
        socket.unshift(head);
        this.connections.add(new Http2Connection(site, options, socket, info));
      });
    });
  }

  static async open(
    handler: Handler,
    change: (settings: EntryPointSettings) => EntryPointSettings = (s) => s,
  ) {
    const server = createServer({ noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Http2Port(server, change(entryPointSettings()), handler);
  }

  #site(handler: Handler): Http2Site {
    const { record } = this;
    const gateway: Gateway = {
      handle: (exchange) => {
        record.handled.push(exchange);
        handler(exchange);
      },
      left: (exchange) => {
        exchange.clientLeft = true;
        record.left.push(exchange);
      },
      done: (exchange) => void record.done.push(exchange),
      refused: (_connection, fault, detail) => void record.refused.push({ fault, detail }),
    };
    return {
      gateway,
      limits: new TimeLimits(20),
      settings: this.settings,
      backlog: this.backlog,
      headLimits: { lineBytesMax: 8192, headBytesMax: 32_768, headersMax: 128 },
      exchange(head, client, connection, body, startedAtMs) {
        const policy = {
          sanitizePath: true,
          encodeQuerySemicolons: false,
          refusedEscapes: new Set<string>(),
        };
        const target = parseTarget(head.method, head.target, head.host, policy);
        if (target.fault !== undefined) {
          head.fail(target.fault, target.detail);
          return undefined;
        }
        return new Exchange(
          client,
          connection,
          startedAtMs,
          20,
          head.method,
          "http",
          target.authority,
          target.host,
          target.path,
          target.query,
          head.headers,
          body,
          head.upgrade,
          true,
        );
      },
      closed: (connection) => void this.connections.delete(connection),
    };
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

export function entryPointSettings(): EntryPointSettings {
  const place = { source: "default", key: "web" } as const;
  const node = new Node("web", place);
  node.child("address", place).value = ":0";
  return readOptions(entryPointOptions, node, { report() {}, secret: (text) => text });
}

/** Answers with the text, as a middleware would. */
export function answer(exchange: Exchange, status: number, text: string, headers: string[] = []): void {
  exchange.status = status;
  exchange.replyHeaders = headers;
  exchange.replyBody = text === "" ? NO_BODY : new BytesBody(Buffer.from(text));
  exchange.client.send(exchange);
}

/** Takes a whole body. */
export function gather(body: BodySource): Promise<{ text: string; trailers: string[] | undefined }> {
  return new Promise((resolve, reject) => {
    let text = "";
    const sink: BodySink = {
      data(chunk) {
        text += chunk.toString("latin1");
        return true;
      },
      end: (trailers) => resolve({ text, trailers }),
      fail: (fault) => reject(new Error(fault.code)),
    };
    body.flow(sink);
  });
}

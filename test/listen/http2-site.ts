import { TimeLimits } from "../../src/lib/time-limits.ts";
import { EntryPoint } from "../../src/listen/entry-point.ts";
import { type BodySink, type BodySource, BytesBody, NO_BODY } from "../../src/model/body.ts";
import type { Gateway } from "../../src/model/client.ts";
import { type EntryPointSettings, entryPointOptions } from "../../src/model/entry-point.ts";
import type { Exchange } from "../../src/model/exchange.ts";
import type { Fault } from "../../src/model/fault.ts";
import type { TlsAcceptor } from "../../src/model/tls-acceptor.ts";
import { Node } from "../../src/schema/node.ts";
import { readOptions } from "../../src/schema/read-options.ts";

/** What the gateway was told, in order. */
export class Record {
  readonly handled: Exchange[] = [];
  readonly left: Exchange[] = [];
  readonly done: Exchange[] = [];
  readonly refused: { fault: Fault; detail: string }[] = [];

  clear(): void {
    for (const list of [this.handled, this.left, this.done, this.refused]) list.length = 0;
  }
}

export type Handler = (exchange: Exchange) => void;

/** An entry point to which clients speak HTTP/2, by prior knowledge or over TLS, before a gateway that a test plays. */
export class Http2Port {
  readonly record = new Record();
  readonly settings: EntryPointSettings;
  readonly entryPoint: EntryPoint;
  port = 0;
  /** What happens in the moment in which the gateway is told that a client has left. */
  onLeft: Handler = () => {};

  private constructor(settings: EntryPointSettings, handler: Handler, tls: TlsAcceptor | undefined) {
    const { record } = this;
    const gateway: Gateway = {
      handle: (exchange) => {
        record.handled.push(exchange);
        handler(exchange);
      },
      left: (exchange) => {
        exchange.clientLeft = true;
        record.left.push(exchange);
        this.onLeft(exchange);
      },
      done: (exchange) => void record.done.push(exchange),
      refused: (_connection, fault, detail) => void record.refused.push({ fault, detail }),
    };
    this.settings = settings;
    this.entryPoint = new EntryPoint({
      name: "web",
      settings,
      gateway,
      limits: new TimeLimits(20),
      tls,
      serverName: "proxy",
      threads: 1,
    });
  }

  static async open(
    handler: Handler,
    change: (settings: EntryPointSettings) => EntryPointSettings = (s) => s,
    tls?: TlsAcceptor,
  ): Promise<Http2Port> {
    const port = new Http2Port(change(entryPointSettings()), handler, tls);
    port.port = await port.entryPoint.listen();
    return port;
  }

  /** Connections that are not closed. */
  get open(): number {
    return this.entryPoint.open;
  }

  close(): void {
    this.entryPoint.close();
  }
}

export function entryPointSettings(): EntryPointSettings {
  const place = { source: "default", key: "web" } as const;
  const node = new Node("web", place);
  node.child("address", place).value = "127.0.0.1:0";
  return readOptions(entryPointOptions, node, { report() {}, secret: (text) => text });
}

/** The headers of a request as the client sent them: without those that an entry point adds. */
export function sent({ headers }: Pick<Exchange, "headers">): string[] {
  const list: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (!/^x-(?:forwarded-|real-ip$)/i.test(headers[i]!)) list.push(headers[i]!, headers[i + 1]!);
  }
  return list;
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

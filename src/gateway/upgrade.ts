import type { Duplex } from "node:stream";
import type { Exchange } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import type { HttpGateway } from "./gateway.ts";

const TUNNEL_IDLE_MS = 60 * 60 * 1000;

/** The server has really switched protocols: from here on bytes are carried both ways, and nothing is understood. */
export function tunnel(exchange: Exchange, server: Duplex, early: Buffer, gateway: HttpGateway): void {
  if (exchange.clientLeft) {
    server.destroy();
    return;
  }
  const client = exchange.client.takeOver(exchange);
  new Tunnel(exchange, client, server, gateway).start(early);
}

/** Two streams, each the other's end. Half-closes are passed on; a stream that fails takes the other with it. */
class Tunnel {
  readonly #exchange: Exchange;
  readonly #client: Duplex;
  readonly #server: Duplex;
  readonly #gateway: HttpGateway;
  readonly #idle: NodeJS.Timeout | undefined;
  #open: boolean;

  constructor(exchange: Exchange, client: Duplex, server: Duplex, gateway: HttpGateway) {
    this.#exchange = exchange;
    this.#client = client;
    this.#server = server;
    this.#gateway = gateway;
    const idleMs = exchange.connection.tunnelIdleMs ?? TUNNEL_IDLE_MS;
    this.#idle = idleMs === 0 ? undefined : setTimeout(() => this.#close(), idleMs).unref();
    this.#open = true;
  }

  start(early: Buffer): void {
    const client = this.#client;
    const server = this.#server;
    this.#exchange.call = {
      cancel: () => this.#close(),
      over: this.#exchange.call?.over?.bind(this.#exchange.call) ?? (() => {}),
    };
    if (early.length > 0) this.#toClient(early);
    server.on("data", (chunk: Buffer) => this.#toClient(chunk));
    client.on("data", (chunk: Buffer) => this.#toServer(chunk));
    server.on("drain", () => client.resume());
    client.on("drain", () => server.resume());
    server.on("end", () => client.end());
    client.on("end", () => server.end());
    for (const stream of [client, server]) {
      stream.on("error", () => this.#close());
      stream.on("close", () => this.#closed());
    }
    server.resume();
    client.resume();
  }

  #toClient(chunk: Buffer): void {
    this.#exchange.replyBytes += chunk.length;
    this.#idle?.refresh();
    if (!this.#client.write(chunk)) this.#server.pause();
  }

  #toServer(chunk: Buffer): void {
    this.#exchange.requestBytes += chunk.length;
    this.#idle?.refresh();
    if (!this.#server.write(chunk)) this.#client.pause();
  }

  // A stream closes after both its halves ended, or at once when it is destroyed: then the other has nobody to talk to.
  #closed(): void {
    if (this.#client.destroyed && this.#server.destroyed) this.#done();
    else if (!this.#client.writableEnded || !this.#server.writableEnded) this.#close();
  }

  #close(): void {
    this.#client.destroy();
    this.#server.destroy();
    this.#done();
  }

  #done(): void {
    if (!this.#open) return;
    this.#open = false;
    clearTimeout(this.#idle);
    if (this.#exchange.fault === FAULTS["client-gone"]) this.#exchange.fault = undefined;
    this.#gateway.done(this.#exchange);
  }
}

import type { Duplex } from "node:stream";
import type { Timed } from "../lib/time-limits.ts";
import type { Exchange } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import type { ByteTaker, TunnelEnd } from "../model/upstream.ts";
import type { HttpGateway } from "./gateway.ts";

const TUNNEL_IDLE_MS = 60 * 60 * 1000;

/** The server has really switched protocols: from here on bytes are carried both ways, and nothing is understood. */
export function tunnel(exchange: Exchange, end: TunnelEnd, early: Buffer, gateway: HttpGateway): void {
  if (exchange.clientLeft) {
    end.stream.destroy();
    return;
  }
  const client = exchange.client.takeOver(exchange);
  new Tunnel(exchange, client, end, gateway).start(early);
}

/** Two streams, each the other's end. Half-closes are passed on; a stream that fails takes the other with it. */
class Tunnel implements ByteTaker, Timed {
  limitAtMs: number;
  limitIndex: number;
  readonly #exchange: Exchange;
  readonly #client: Duplex;
  readonly #end: TunnelEnd;
  readonly #server: Duplex;
  readonly #gateway: HttpGateway;
  readonly #idleMs: number;
  #open: boolean;

  constructor(exchange: Exchange, client: Duplex, end: TunnelEnd, gateway: HttpGateway) {
    this.#exchange = exchange;
    this.#client = client;
    this.#end = end;
    this.#server = end.stream;
    this.#gateway = gateway;
    this.#idleMs = (exchange.connection.tunnelIdleMs ?? TUNNEL_IDLE_MS) || Number.POSITIVE_INFINITY;
    this.#open = true;
    this.limitAtMs = 0;
    this.limitIndex = -1;
  }

  start(early: Buffer): void {
    const client = this.#client;
    const server = this.#server;
    this.#exchange.call = {
      cancel: () => this.#close(),
      over: this.#exchange.call?.over?.bind(this.#exchange.call) ?? (() => {}),
    };
    this.#moved();
    this.#gateway.limits.add(this);
    this.#end.readInto(this);
    client.on("data", this.#toServer);
    client.on("drain", () => server.resume());
    server.on("drain", () => client.resume());
    server.on("end", () => client.end());
    if (client.readableEnded) server.end();
    else client.on("end", () => server.end());
    for (const stream of [client, server]) {
      stream.on("error", () => this.#close());
      stream.on("close", () => this.#closed());
    }
    client.resume();
    if (early.length === 0 || this.take(early)) server.resume();
  }

  #moved(): void {
    this.limitAtMs = this.#gateway.limits.nowMs + this.#idleMs;
  }

  /** From the server to the client. */
  take(bytes: Buffer): boolean {
    this.#exchange.replyBytes += bytes.length;
    this.#moved();
    return this.#client.write(bytes);
  }

  readonly #toServer = (chunk: Buffer): void => {
    this.#exchange.requestBytes += chunk.length;
    this.#moved();
    if (!this.#server.write(chunk)) this.#client.pause();
  };

  // A stream closes after both its halves ended, or at once when it is destroyed: then the other has nobody to talk to.
  #closed(): void {
    if (this.#client.destroyed && this.#server.destroyed) this.#done();
    else if (!this.#client.writableEnded || !this.#server.writableEnded) this.#close();
  }

  timedOut(): void {
    this.#close();
  }

  #close(): void {
    this.#client.destroy();
    this.#server.destroy();
    this.#done();
  }

  #done(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#gateway.limits.remove(this);
    if (this.#exchange.fault === FAULTS["client-gone"]) this.#exchange.fault = undefined;
    this.#gateway.done(this.#exchange);
  }
}

import type { Duplex } from "node:stream";
import type { Timed } from "../lib/time-limits.ts";
import { type BodySink, type BodySource, NO_BODY } from "../model/body.ts";
import type { Client } from "../model/client.ts";
import { Exchange, type Reply } from "../model/exchange.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import type { CallRequest } from "../model/host.ts";
import type { Service } from "../model/service.ts";
import { canonicalHost } from "../wire/authority.ts";
import type { HttpGateway } from "./gateway.ts";
import { toService } from "./handle.ts";

const REPLY_BYTES_MAX = 1024 * 1024;
/** From its head to its end. Some replies, event streams first of all, have none. */
const REPLY_MS = 60_000;

/** Sends a request of our own to a service and gives its whole reply, whatever comes of it. */
export function callService(
  service: Service,
  request: CallRequest,
  origin: Exchange,
  gateway: HttpGateway,
  replyBytesMax: number = REPLY_BYTES_MAX,
): Promise<Reply> {
  return new Promise((resolve) => {
    const client = new InnerClient(gateway, replyBytesMax, resolve);
    const { method, path, query } = request;
    const exchange = innerExchange(
      client,
      origin,
      method,
      request.host,
      path,
      query,
      [...request.headers],
      NO_BODY,
    );
    toService(exchange, service, gateway);
  });
}

/** An exchange that no client is waiting for. */
export function innerExchange(
  client: Client,
  origin: Exchange,
  method: string,
  authority: string,
  path: string,
  query: string | undefined,
  headers: string[],
  body: BodySource,
): Exchange {
  return new Exchange(
    client,
    origin.connection,
    performance.now(),
    origin.httpVersion,
    method,
    origin.scheme,
    authority,
    canonicalHost(authority) ?? "",
    path,
    query,
    headers,
    body,
    undefined,
    false,
  );
}

/** Takes a reply as a client would, into memory; with `bytesMax` -1 its body is thrown away. */
export class InnerClient implements Client, BodySink, Timed {
  limitAtMs: number;
  limitIndex: number;
  readonly #gateway: HttpGateway;
  readonly #bytesMax: number;
  readonly #resolve: (reply: Reply) => void;
  #chunks: Buffer[];
  #bytes: number;
  #exchange: Exchange | undefined;

  constructor(gateway: HttpGateway, bytesMax: number, resolve: (reply: Reply) => void) {
    this.limitAtMs = 0;
    this.limitIndex = -1;
    this.#gateway = gateway;
    this.#bytesMax = bytesMax;
    this.#resolve = resolve;
    this.#chunks = [];
    this.#bytes = 0;
    this.#exchange = undefined;
  }

  inform(): void {}

  send(exchange: Exchange): void {
    this.#exchange = exchange;
    const { limits } = this.#gateway;
    this.limitAtMs = limits.nowMs + REPLY_MS;
    limits.add(this);
    const { replyTransforms: transforms, replyBody } = exchange;
    let sink: BodySink = this;
    for (let i = (transforms?.length ?? 0) - 1; i >= 0; i--) sink = transforms![i]!(sink, replyBody);
    replyBody.flow(sink);
  }

  takeOver(_exchange: Exchange): Duplex {
    throw new Error("an inner request cannot switch protocols");
  }

  abort(exchange: Exchange): void {
    this.#exchange = exchange;
    this.#cut(FAULTS["upstream-truncated"]);
  }

  timedOut(): void {
    this.#cut(FAULTS["upstream-stalled"]);
  }

  #cut(fault: Fault): void {
    this.#exchange?.call?.cancel();
    this.fail(fault);
  }

  data(chunk: Buffer): boolean {
    if (this.#bytesMax < 0 || this.#exchange === undefined) return true;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#bytesMax) {
      this.#exchange.replyBody.cancel();
      this.fail(FAULTS["reply-too-large"]);
      return true;
    }
    this.#chunks.push(Buffer.from(chunk));
    return true;
  }

  end(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    const { status, replyHeaders: headers, detail } = exchange;
    this.#finish({ status, headers, body: Buffer.concat(this.#chunks), reason: detail ?? "reply" });
  }

  fail(fault: Fault): void {
    this.#finish({ status: fault.status, headers: [], body: "", reason: fault.code, fault });
  }

  #finish(reply: Reply): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#exchange = undefined;
    this.#chunks = [];
    this.#gateway.limits.remove(this);
    this.#gateway.over(exchange);
    this.#resolve(reply);
  }
}

import type { BodySink, BodySource } from "../model/body.ts";
import type { Exchange } from "../model/exchange.ts";
import type { Fault } from "../model/fault.ts";
import { getHeader } from "../model/headers.ts";

/** A call whose reply says in its trailers whether it succeeded. */
export function isGrpc({ method, headers }: Exchange): boolean {
  return method === "POST" && getHeader(headers, "content-type")?.startsWith("application/grpc") === true;
}

/**
 * Notes how many bytes the server sends, for hooks may change them on their way, and its trailers. Gives the body to
 * go on with.
 */
export function watchOrigin(exchange: Exchange, body: BodySource): BodySource {
  if (exchange.method === "HEAD") return body;
  exchange.originBytes = Math.max(0, body.length);
  return body.length >= 0 ? body : new WatchedBody(exchange, body);
}

/** A body of unknown length, watched on its way. */
class WatchedBody implements BodySource, BodySink {
  readonly length = -1;
  readonly #exchange: Exchange;
  readonly #source: BodySource;
  #sink: BodySink | undefined;

  constructor(exchange: Exchange, source: BodySource) {
    this.#exchange = exchange;
    this.#source = source;
    this.#sink = undefined;
  }

  flow(sink: BodySink): void {
    this.#sink = sink;
    this.#source.flow(this);
  }

  resume(): void {
    this.#source.resume();
  }

  cancel(): void {
    this.#source.cancel();
  }

  data(chunk: Buffer): boolean {
    this.#exchange.originBytes += chunk.length;
    return this.#sink!.data(chunk);
  }

  end(trailers: string[] | undefined): void {
    this.#exchange.originTrailers = trailers;
    this.#sink!.end(trailers);
  }

  fail(fault: Fault): void {
    this.#sink!.fail(fault);
  }
}

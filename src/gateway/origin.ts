import type { BodySource } from "../model/body.ts";
import type { Exchange } from "../model/exchange.ts";
import { getHeader } from "../model/headers.ts";
import { PassingBody } from "../model/passing-body.ts";

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
class WatchedBody extends PassingBody {
  readonly #exchange: Exchange;

  constructor(exchange: Exchange, source: BodySource) {
    super(source, -1);
    this.#exchange = exchange;
  }

  override data(chunk: Buffer): boolean {
    this.#exchange.originBytes += chunk.length;
    return super.data(chunk);
  }

  override end(trailers: string[] | undefined): void {
    this.#exchange.originTrailers = trailers;
    super.end(trailers);
  }
}

import type { BodySink, BodySource } from "../model/body.ts";
import type { Exchange } from "../model/exchange.ts";
import { FAULTS, type Fault } from "../model/fault.ts";

/** Holds the request's body to a number of bytes. False: it is known to be larger already. */
export function limitBody(exchange: Exchange, bytesMax: number): boolean {
  const { length } = exchange.requestBody;
  if (length >= 0) return length <= bytesMax;
  exchange.requestTransforms ??= [];
  exchange.requestTransforms.push((sink, source) => new LimitedSink(sink, source, bytesMax));
  return true;
}

class LimitedSink implements BodySink {
  readonly #sink: BodySink;
  readonly #source: BodySource;
  #left: number;

  constructor(sink: BodySink, source: BodySource, bytesMax: number) {
    this.#sink = sink;
    this.#source = source;
    this.#left = bytesMax;
  }

  data(chunk: Buffer): boolean {
    if (this.#left < 0) return true;
    this.#left -= chunk.length;
    if (this.#left >= 0) return this.#sink.data(chunk);
    this.#sink.fail(FAULTS["body-too-large"]);
    this.#source.cancel();
    return true;
  }

  end(trailers: string[] | undefined): void {
    if (this.#left >= 0) this.#sink.end(trailers);
  }

  fail(fault: Fault): void {
    if (this.#left >= 0) this.#sink.fail(fault);
  }
}

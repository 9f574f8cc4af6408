import type { Transform } from "node:stream";
import type { Zlib } from "node:zlib";
import type { BodySink, BodySource } from "./body.ts";
import { FAULTS, type Fault } from "./fault.ts";

export type Encoder = Transform & Zlib;

/**
 * A body on its way through one of zlib's encoders. At most one chunk is in the encoder and one is with the sink, so
 * memory stays flat however long the body is and however slowly it is read.
 */
export class EncodedBody implements BodySource, BodySink {
  readonly length = -1;
  readonly #source: BodySource;
  readonly #encoder: Encoder;
  /** Send what there is whenever the source has nothing more for now: for streams of events. */
  readonly #isLive: boolean;
  #sink: BodySink | undefined;
  #chunks: number;
  #trailers: string[] | undefined;
  /** The source has no more. */
  #isLast: boolean;
  #isOver: boolean;

  constructor(source: BodySource, encoder: Encoder, isLive: boolean) {
    this.#source = source;
    this.#encoder = encoder;
    this.#isLive = isLive;
    this.#sink = undefined;
    this.#chunks = 0;
    this.#trailers = undefined;
    this.#isLast = false;
    this.#isOver = false;
  }

  flow(sink: BodySink): void {
    this.#sink = sink;
    const encoder = this.#encoder;
    encoder.on("data", (chunk: Buffer) => {
      if (!this.#isOver && !sink.data(chunk)) encoder.pause();
    });
    encoder.on("end", () => {
      if (!this.#isOver) sink.end(this.#trailers);
      this.#isOver = true;
    });
    encoder.on("error", () => {
      this.#source.cancel();
      this.fail(FAULTS.internal);
    });
    this.#source.flow(this);
  }

  resume(): void {
    this.#encoder.resume();
  }

  cancel(): void {
    this.#isOver = true;
    this.#encoder.destroy();
    this.#source.cancel();
  }

  data(chunk: Buffer): boolean {
    if (this.#isOver) return true;
    const number = ++this.#chunks;
    this.#encoder.write(chunk, () => {
      if (this.#isOver || this.#isLast) return;
      this.#source.resume();
      if (this.#isLive) setImmediate(() => this.#flushAfter(number));
    });
    return false;
  }

  #flushAfter(number: number): void {
    if (!this.#isOver && number === this.#chunks && !this.#isLast) this.#encoder.flush();
  }

  end(trailers: string[] | undefined): void {
    this.#trailers = trailers;
    this.#isLast = true;
    if (!this.#isOver) this.#encoder.end();
  }

  fail(fault: Fault): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#encoder.destroy();
    this.#sink?.fail(fault);
  }
}

import type { Fault } from "./fault.ts";

/** Where the bytes of a body go. Calls come in order and never after `end` or `fail`. */
export interface BodySink {
  /**
   * Takes a chunk. True: the bytes were used before returning and the source may reuse the buffer at once.
   * False: the sink keeps the buffer, and the source must pause until the sink calls `source.resume()`.
   */
  data(chunk: Buffer): boolean;
  /** The body is complete. Trailers are a flat header list, already checked, or undefined. */
  end(trailers: string[] | undefined): void;
  /** The body will never be complete. */
  fail(fault: Fault): void;
}

/** Where the bytes of a body come from. Nothing flows before `flow` is called, which happens at most once. */
export interface BodySource {
  /** Bytes if known before it flows, 0 for none, -1 if unknown (chunked, HTTP/2 without a length, until close). */
  readonly length: number;
  /** It is kept somewhere, and may flow again from its beginning. */
  readonly replayable?: true;
  /** Bytes that have come although the sink wants no more, and how many that may be. Absent: none. */
  readonly ahead?: number;
  readonly aheadMax?: number;
  flow(sink: BodySink): void;
  resume(): void;
  /** Nobody wants the rest: the source drains or destroys its connection as its protocol needs. */
  cancel(): void;
}

export const NO_BODY: BodySource = {
  length: 0,
  flow: (sink) => sink.end(undefined),
  resume() {},
  cancel() {},
};

/** A body that is wholly in memory and may flow more than once: for retries, mirrors and our own replies. */
export class BytesBody implements BodySource {
  readonly bytes: Buffer;
  readonly length: number;
  readonly replayable = true;
  #sink: BodySink | undefined;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.length = bytes.length;
  }

  flow(sink: BodySink): void {
    if (this.bytes.length === 0 || sink.data(this.bytes)) sink.end(undefined);
    else this.#sink = sink;
  }

  resume(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.end(undefined);
  }

  cancel(): void {
    this.#sink = undefined;
  }
}

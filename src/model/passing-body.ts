import type { BodySink, BodySource } from "./body.ts";
import type { Fault } from "./fault.ts";

/** A body that is looked at or changed on its way; the source's pace is the sink's. As it stands, all passes unchanged. */
export abstract class PassingBody implements BodySource, BodySink {
  readonly length: number;
  readonly #source: BodySource;
  /** Undefined before it flows and when it is over. */
  protected sink: BodySink | undefined;

  constructor(source: BodySource, length: number) {
    this.length = length;
    this.#source = source;
    this.sink = undefined;
  }

  data(chunk: Buffer): boolean {
    return this.sink === undefined || this.sink.data(chunk);
  }

  end(trailers: string[] | undefined): void {
    const sink = this.sink;
    this.sink = undefined;
    sink?.end(trailers);
  }

  flow(sink: BodySink): void {
    this.sink = sink;
    this.#source.flow(this);
  }

  resume(): void {
    if (this.sink !== undefined) this.#source.resume();
  }

  cancel(): void {
    this.sink = undefined;
    this.#source.cancel();
  }

  fail(fault: Fault): void {
    const sink = this.sink;
    this.sink = undefined;
    sink?.fail(fault);
  }
}

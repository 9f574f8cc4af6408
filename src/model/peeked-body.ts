import type { BodySink, BodySource } from "./body.ts";
import type { Fault } from "./fault.ts";

/**
 * A body whose beginning has been looked at: what came is kept and flows first. `peek` resolves when `bytesMin` are
 * there, when the body has ended, or when `patienceMs` have passed, so that a slow stream is not held back.
 */
export class PeekedBody implements BodySource, BodySink {
  readonly length: number;
  readonly #source: BodySource;
  readonly #bytesMin: number;
  readonly #resolve: (body: PeekedBody) => void;
  readonly #timer: NodeJS.Timeout;
  #isReady: boolean;
  #kept: Buffer[];
  #keptBytes: number;
  #isOver: boolean;
  #trailers: string[] | undefined;
  #fault: Fault | undefined;
  #sink: BodySink | undefined;
  /** The source waits for `resume`. */
  #isHeld: boolean;
  /** The sink will call `resume`. */
  #isFull: boolean;

  static peek(source: BodySource, bytesMin: number, patienceMs: number): Promise<PeekedBody> {
    return new Promise((resolve) => source.flow(new PeekedBody(source, bytesMin, patienceMs, resolve)));
  }

  constructor(source: BodySource, bytesMin: number, patienceMs: number, resolve: (body: PeekedBody) => void) {
    this.length = source.length;
    this.#source = source;
    this.#bytesMin = bytesMin;
    this.#resolve = resolve;
    this.#timer = setTimeout(() => this.#tellReady(), patienceMs);
    this.#isReady = false;
    this.#kept = [];
    this.#keptBytes = 0;
    this.#isOver = false;
    this.#trailers = undefined;
    this.#fault = undefined;
    this.#sink = undefined;
    this.#isHeld = false;
    this.#isFull = false;
  }

  /** What has come so far. */
  get beginning(): Buffer {
    return this.#kept.length === 1 ? this.#kept[0]! : Buffer.concat(this.#kept, this.#keptBytes);
  }

  /** That was all of it. */
  get isWhole(): boolean {
    return this.#isOver && this.#fault === undefined;
  }

  data(chunk: Buffer): boolean {
    if (this.#sink !== undefined && !this.#isFull) {
      const wasUsed = this.#sink.data(chunk);
      this.#isFull = !wasUsed;
      this.#isHeld = !wasUsed;
      return wasUsed;
    }
    this.#keptBytes += chunk.length;
    this.#isHeld = this.#isReady || this.#keptBytes >= this.#bytesMin;
    // A chunk that is not held is the source's again when this returns.
    this.#kept.push(this.#isHeld ? chunk : Buffer.from(chunk));
    if (this.#isHeld) this.#tellReady();
    return !this.#isHeld;
  }

  end(trailers: string[] | undefined): void {
    this.#trailers = trailers;
    this.#finish();
  }

  fail(fault: Fault): void {
    this.#fault = fault;
    this.#finish();
  }

  flow(sink: BodySink): void {
    this.#sink = sink;
    this.#pass(sink);
  }

  resume(): void {
    this.#isFull = false;
    if (this.#sink !== undefined) this.#pass(this.#sink);
  }

  cancel(): void {
    this.#kept = [];
    this.#source.cancel();
  }

  #finish(): void {
    this.#isOver = true;
    this.#tellReady();
    if (this.#sink !== undefined && !this.#isFull) this.#tellOver(this.#sink);
  }

  #tellReady(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    clearTimeout(this.#timer);
    this.#resolve(this);
  }

  /** What was kept first, and then whatever the source has. */
  #pass(sink: BodySink): void {
    if (this.#kept.length > 0) {
      const chunk = this.beginning;
      this.#kept = [];
      this.#keptBytes = 0;
      this.#isFull = !sink.data(chunk);
      if (this.#isFull) return;
    }
    if (this.#isOver) return this.#tellOver(sink);
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#source.resume();
  }

  #tellOver(sink: BodySink): void {
    if (this.#fault === undefined) sink.end(this.#trailers);
    else sink.fail(this.#fault);
  }
}

import { SpoolFile } from "../lib/spool-file.ts";
import { type BodySink, type BodySource, BytesBody, NO_BODY } from "../model/body.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import type { Spooled } from "../model/host.ts";
import { BodyFailure } from "./gather.ts";

const READ_BYTES = 64 * 1024;

/**
 * Reads a whole body, the first `memoryBytes` into memory and a longer one to a file. Undefined when it has more than
 * `bytesMax`: the rest is then left with the source. Rejects with `BodyFailure` if it will never be complete. Once
 * `over` is aborted nothing is kept any more, be it complete or not.
 */
export function spool(
  source: BodySource,
  memoryBytes: number,
  bytesMax: number,
  over: AbortSignal,
): Promise<Spooled | undefined> {
  if (source.length > bytesMax) return Promise.resolve(undefined);
  if (source === NO_BODY) return Promise.resolve(new SpooledBody(Buffer.alloc(0), undefined));
  if (source instanceof BytesBody) return Promise.resolve(new SpooledBody(source.bytes, undefined));
  return new Promise((resolve, reject) => {
    const spooling = new Spooling(source, memoryBytes, bytesMax, resolve, reject);
    over.addEventListener("abort", () => spooling.abandon(), { once: true });
    source.flow(spooling);
  });
}

class Spooling implements BodySink {
  readonly #source: BodySource;
  readonly #memoryBytes: number;
  readonly #bytesMax: number;
  readonly #resolve: (body: Spooled | undefined) => void;
  readonly #reject: (error: Error) => void;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #file: SpoolFile | undefined;
  /** A chunk is on its way to the file. */
  #isWriting = false;
  #isOver = false;
  #isDropped = false;

  constructor(
    source: BodySource,
    memoryBytes: number,
    bytesMax: number,
    resolve: (body: Spooled | undefined) => void,
    reject: (error: Error) => void,
  ) {
    this.#source = source;
    this.#memoryBytes = memoryBytes;
    this.#bytesMax = bytesMax;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  data(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#bytesMax) {
      this.#drop();
      this.#resolve(undefined);
      return false;
    }
    if (this.#file === undefined && this.#bytes <= this.#memoryBytes) {
      this.#chunks.push(Buffer.from(chunk));
      return true;
    }
    this.#isWriting = true;
    this.#write(chunk).then(
      () => this.#written(),
      (error) => this.#broken(error),
    );
    return false;
  }

  async #write(chunk: Buffer): Promise<void> {
    if (this.#file === undefined) {
      this.#file = await SpoolFile.open();
      if (this.#isDropped) return this.#file.close();
      await this.#file.write(Buffer.concat(this.#chunks));
      this.#chunks = [];
    }
    await this.#file.write(chunk);
  }

  #written(): void {
    this.#isWriting = false;
    if (this.#isDropped) return;
    if (this.#isOver) this.#finish();
    else this.#source.resume();
  }

  #broken(error: Error): void {
    this.#drop();
    this.#source.cancel();
    this.#reject(error);
  }

  end(): void {
    this.#isOver = true;
    // A source may end while its last chunk is still being written.
    if (!this.#isWriting) this.#finish();
  }

  #finish(): void {
    this.#resolve(new SpooledBody(Buffer.concat(this.#chunks), this.#file));
    this.#chunks = [];
  }

  fail(fault: Fault): void {
    this.#drop();
    this.#reject(new BodyFailure(fault));
  }

  /** Whoever wanted the body has gone, and its source does not say so to us. */
  abandon(): void {
    this.#drop();
    this.#reject(new BodyFailure(FAULTS["client-gone"]));
  }

  #drop(): void {
    this.#isDropped = true;
    this.#chunks = [];
    this.#file?.close();
  }
}

/** A whole body in memory or in a file. It may flow more than once, but not twice at the same time. */
class SpooledBody implements Spooled {
  readonly replayable = true;
  readonly length: number;
  readonly #bytes: Buffer;
  readonly #file: SpoolFile | undefined;
  #sink: BodySink | undefined;
  #position: number;

  constructor(bytes: Buffer, file: SpoolFile | undefined) {
    this.length = file?.size ?? bytes.length;
    this.#bytes = bytes;
    this.#file = file;
    this.#sink = undefined;
    this.#position = 0;
  }

  flow(sink: BodySink): void {
    this.#sink = sink;
    this.#position = 0;
    this.resume();
  }

  resume(): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    if (this.#position >= this.length) {
      this.#sink = undefined;
      sink.end(undefined);
      return;
    }
    if (this.#file === undefined) this.#pass(sink, this.#bytes);
    else
      this.#file.read(this.#position, READ_BYTES).then(
        (chunk) => this.#pass(sink, chunk),
        () => this.#fail(sink),
      );
  }

  #pass(sink: BodySink, chunk: Buffer): void {
    // Cancelled, or flowing to somebody else by now.
    if (this.#sink !== sink) return;
    if (chunk.length === 0) return this.#fail(sink);
    this.#position += chunk.length;
    if (sink.data(chunk)) this.resume();
  }

  #fail(sink: BodySink): void {
    if (this.#sink !== sink) return;
    this.#sink = undefined;
    sink.fail(FAULTS.internal);
  }

  cancel(): void {
    this.#sink = undefined;
  }

  close(): void {
    this.#sink = undefined;
    this.#file?.close();
  }
}

import { type BodySink, type BodySource, BytesBody, NO_BODY } from "../model/body.ts";
import type { Exchange } from "../model/exchange.ts";
import type { Fault } from "../model/fault.ts";

/** Thrown while a body is gathered that will never be complete. */
export class BodyFailure extends Error {
  readonly fault: Fault;

  constructor(fault: Fault) {
    super(fault.meaning);
    this.fault = fault;
  }
}

/** Reads the whole request body into memory; undefined, and the body still whole, if it has more than `bytesMax`. */
export async function gatherRequest(exchange: Exchange, bytesMax: number): Promise<Buffer | undefined> {
  const gathered = await gather(exchange.requestBody, undefined, bytesMax);
  if (gathered === undefined) return undefined;
  exchange.requestBody = gathered;
  return gathered instanceof BytesBody ? gathered.bytes : undefined;
}

/** The same for the reply's body, as it is after the transforms so far. */
export async function gatherReply(exchange: Exchange, bytesMax: number): Promise<Buffer | undefined> {
  const gathered = await gather(exchange.replyBody, exchange, bytesMax);
  if (gathered === undefined) return undefined;
  exchange.replyBody = gathered;
  exchange.replyTransforms = undefined;
  return gathered instanceof BytesBody ? gathered.bytes : undefined;
}

/** The body as it can flow from now on; undefined if it was too large to begin with and has not been touched. */
function gather(
  source: BodySource,
  transformed: Exchange | undefined,
  bytesMax: number,
): Promise<BodySource | undefined> {
  const transforms = transformed?.replyTransforms;
  if (transforms === undefined) {
    if (source.length > bytesMax) return Promise.resolve(undefined);
    if (source instanceof BytesBody) return Promise.resolve(source);
    if (source === NO_BODY) return Promise.resolve(new BytesBody(NOTHING));
  }
  return new Promise((resolve, reject) => {
    const gathering = new Gathering(
      source,
      transforms === undefined ? source.length : -1,
      bytesMax,
      resolve,
      reject,
    );
    let sink: BodySink = gathering;
    for (let i = (transforms?.length ?? 0) - 1; i >= 0; i--) sink = transforms![i]!(sink, source);
    source.flow(sink);
  });
}

const NOTHING = Buffer.alloc(0);

/** Keeps bytes until there are too many; then it becomes the source of what it kept and what is still to come. */
class Gathering implements BodySink, BodySource {
  readonly length: number;
  readonly #source: BodySource;
  readonly #resolve: (body: BodySource) => void;
  readonly #reject: (error: BodyFailure) => void;
  readonly #bytesMax: number;
  #chunks: Buffer[];
  #bytes: number;
  #over: boolean;
  #sink: BodySink | undefined;
  #ended: boolean;
  #trailers: string[] | undefined;
  #failed: Fault | undefined;

  constructor(
    source: BodySource,
    length: number,
    bytesMax: number,
    resolve: (body: BodySource) => void,
    reject: (error: BodyFailure) => void,
  ) {
    this.length = length;
    this.#source = source;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#bytesMax = bytesMax;
    this.#chunks = [];
    this.#bytes = 0;
    this.#over = false;
    this.#sink = undefined;
    this.#ended = false;
    this.#trailers = undefined;
    this.#failed = undefined;
  }

  data(chunk: Buffer): boolean {
    if (this.#sink !== undefined) return this.#sink.data(chunk);
    this.#bytes += chunk.length;
    this.#chunks.push(Buffer.from(chunk));
    if (this.#bytes <= this.#bytesMax) return true;
    if (!this.#over) {
      this.#over = true;
      this.#resolve(this);
    }
    return false;
  }

  end(trailers: string[] | undefined): void {
    if (this.#sink !== undefined) return this.#sink.end(trailers);
    this.#ended = true;
    this.#trailers = trailers;
    if (!this.#over) this.#resolve(new BytesBody(Buffer.concat(this.#chunks, this.#bytes)));
  }

  fail(fault: Fault): void {
    if (this.#sink !== undefined) return this.#sink.fail(fault);
    this.#failed = fault;
    if (!this.#over) this.#reject(new BodyFailure(fault));
  }

  flow(sink: BodySink): void {
    const kept = Buffer.concat(this.#chunks, this.#bytes);
    this.#chunks = [];
    this.#sink = sink;
    if (!sink.data(kept)) return;
    this.resume();
  }

  resume(): void {
    const sink = this.#sink!;
    if (this.#failed !== undefined) sink.fail(this.#failed);
    else if (this.#ended) sink.end(this.#trailers);
    else this.#source.resume();
  }

  cancel(): void {
    this.#chunks = [];
    this.#source.cancel();
  }
}

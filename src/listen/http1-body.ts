import type { BodySink, BodySource } from "../model/body.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import { BAD, ChunkedDecoder, DATA, END } from "../wire/chunked.ts";
import type { Http1Client } from "./http1-client.ts";

/** What `take` came to. */
export const WANTS_MORE = 0;
export const COMPLETE = 1;
export const STALLED = 2;
export const BROKEN = 3;

const RATE_GRACE_MS = 10_000;

/** The body of one request, on its way from the client's connection to whoever wants it. */
export class RequestBody implements BodySource {
  readonly length: number;
  readonly client: Http1Client;
  /** Where `take` stopped, when it did not use all bytes. */
  at: number;
  /** Of the body, framing excluded. */
  received: number;
  discarding: boolean;
  #sink: BodySink | undefined;
  #left: number;
  readonly #chunks: ChunkedDecoder | undefined;
  #over: boolean;
  #fromMs: number;
  /** Since when the server has taken nothing; 0 while it does. */
  #stalledAtMs: number;

  constructor(client: Http1Client, length: number, nowMs: number) {
    this.client = client;
    this.length = length;
    this.at = 0;
    this.received = 0;
    this.discarding = false;
    this.#sink = undefined;
    this.#left = length;
    this.#chunks = length < 0 ? new ChunkedDecoder(true) : undefined;
    this.#over = false;
    this.#fromMs = nowMs;
    this.#stalledAtMs = 0;
  }

  get flows(): boolean {
    return this.#sink !== undefined || this.discarding;
  }

  /** Bytes still to come, as far as it is known. */
  get left(): number {
    if (this.#over) return 0;
    return this.#chunks === undefined ? this.#left : Number.POSITIVE_INFINITY;
  }

  flow(sink: BodySink): void {
    if (this.#over || this.discarding) return sink.fail(FAULTS["client-gone"]);
    this.#sink = sink;
    this.client.bodyFlows(this);
  }

  resume(): void {
    this.client.bodyResumes(this);
  }

  cancel(): void {
    if (this.#over) return;
    this.#sink = undefined;
    this.discarding = true;
    this.client.bodyResumes(this);
  }

  fail(fault: Fault): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#over = true;
    sink?.fail(fault);
  }

  // --- How fast it comes. A client is not blamed for the time in which the server takes nothing.

  countFrom(nowMs: number): void {
    this.#fromMs = nowMs;
  }

  stopCount(nowMs: number): void {
    this.#stalledAtMs = nowMs;
  }

  countOn(nowMs: number): void {
    if (this.#stalledAtMs !== 0) this.#fromMs += nowMs - this.#stalledAtMs;
    this.#stalledAtMs = 0;
  }

  get isStalled(): boolean {
    return this.#stalledAtMs !== 0;
  }

  /** `rateMin` in bytes a second; 0 for none. */
  isSlowerThan(rateMin: number, nowMs: number): boolean {
    const tookMs = nowMs - this.#fromMs;
    return rateMin > 0 && tookMs > RATE_GRACE_MS && this.received * 1000 < rateMin * tookMs;
  }

  // --- Its bytes.

  /** Takes bytes of the body, as many as belong to it or until its sink wants no more. */
  take(bytes: Buffer): number {
    return this.#chunks === undefined ? this.#takePlain(bytes) : this.#takeChunks(bytes, this.#chunks);
  }

  #takePlain(bytes: Buffer): number {
    const end = Math.min(bytes.length, this.#left);
    this.#left -= end;
    this.received += end;
    this.at = end;
    const ready = this.#sink?.data(end === bytes.length ? bytes : bytes.subarray(0, end)) ?? true;
    if (this.#left === 0) return this.#complete();
    return ready ? WANTS_MORE : STALLED;
  }

  #takeChunks(bytes: Buffer, chunks: ChunkedDecoder): number {
    for (let at = 0; ; ) {
      const found = chunks.next(bytes, at);
      at = chunks.at;
      this.at = at;
      if (found === DATA) {
        this.received += chunks.dataEnd - chunks.dataStart;
        const ready = this.#sink?.data(bytes.subarray(chunks.dataStart, chunks.dataEnd)) ?? true;
        if (!ready) return STALLED;
      } else if (found === END) return this.#complete();
      else return found === BAD ? BROKEN : WANTS_MORE;
    }
  }

  #complete(): number {
    const sink = this.#sink;
    const trailers = this.#chunks?.trailers;
    this.#sink = undefined;
    this.#over = true;
    sink?.end(trailers);
    return COMPLETE;
  }
}

import type { IncomingMessage, ServerResponse } from "node:http";
import { Refusal } from "./listing.ts";

/** Readers at once, over all streams; each may leave this much unread before events are dropped for it (AD-10). */
const READERS_MAX = 1000;
const UNREAD_MAX = 256 * 1024;
/** A reader that takes nothing at all for this long is gone. */
const STALLED_MS = 60_000;
const BEAT_MS = 15_000;

/** Server-sent events. A reader that is slow loses events, is told how many, and never makes anyone wait. */
export class Streams {
  readonly #open = new Set<Stream>();

  open(request: IncomingMessage, response: ServerResponse): Stream {
    if (this.#open.size >= READERS_MAX) throw new Refusal(503, "too many readers");
    const stream = new Stream(response, () => this.#open.delete(stream));
    this.#open.add(stream);
    request.once("close", () => stream.close());
    response.once("close", () => stream.close());
    return stream;
  }
}

export class Stream {
  readonly #response: ServerResponse;
  readonly #closed: () => void;
  readonly #beat: NodeJS.Timeout;
  #ends: (() => void)[] = [];
  #dropped = 0;
  #tookAtMs = performance.now();
  #isOpen = true;

  constructor(response: ServerResponse, closed: () => void) {
    this.#response = response;
    this.#closed = closed;
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-accel-buffering": "no",
    });
    response.write(": waybill\n\n");
    response.on("drain", () => this.#took());
    this.#beat = setInterval(() => this.#check(), BEAT_MS);
    this.#beat.unref();
  }

  get closed(): boolean {
    return !this.#isOpen;
  }

  /** `items`: how many the event stands for, when it has to be dropped. */
  send(event: string, data: unknown, items = 1): void {
    this.sendText(event, data, JSON.stringify, items);
  }

  /** The same for data that `write` makes text of, which is asked only when it will be sent. */
  sendText<T>(event: string, data: T, write: (data: T) => string, items = 1): void {
    if (!this.#isOpen) return;
    if (this.#response.writableLength > UNREAD_MAX) {
      this.#dropped += items;
      return;
    }
    if (this.#dropped > 0) {
      this.#response.write(`event: dropped\ndata: ${this.#dropped}\n\n`);
      this.#dropped = 0;
    }
    if (this.#response.write(`event: ${event}\ndata: ${write(data)}\n\n`)) this.#took();
  }

  /** Called once, when nobody reads any more. */
  onClose(end: () => void): void {
    if (this.#isOpen) this.#ends.push(end);
    else end();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearInterval(this.#beat);
    for (const end of this.#ends) end();
    this.#ends = [];
    this.#response.destroy();
    this.#closed();
  }

  #took(): void {
    this.#tookAtMs = performance.now();
  }

  #check(): void {
    if (performance.now() - this.#tookAtMs > STALLED_MS) return this.close();
    if (this.#response.writableLength > UNREAD_MAX) return;
    if (this.#response.write(": still here\n\n")) this.#took();
  }
}

import { FRAME_BYTES_DEFAULT, WINDOW_DEFAULT, WINDOW_LIMIT } from "../wire/http2-frames.ts";
import type { Budget } from "./http2-budget.ts";
import type { Http2Writer } from "./http2-writer.ts";

/** A stream as far as its reply's bytes are concerned. */
export interface SendingStream {
  readonly id: number;
  /** Bytes of the reply that the client takes. Its settings may make it negative. */
  sendWindow: number;
  /** Something waits to be sent. */
  readonly hasToSend: boolean;
  /** It is its turn. `send` sends one frame of a chunk from an offset on, and gives where to go on. */
  sendNext(send: (chunk: Buffer, at: number) => number): void;
}

/** What every frame of a reply gives back of the budget of frames that ask for nothing. */
const EARNED = 2;

/** The replies' bytes of one connection: what the windows let through, and whose turn it is (RFC 9113 section 5.2). */
export class Http2Sender {
  readonly #writer: Http2Writer;
  readonly #idleFrames: Budget;
  /** Bytes that the client takes, all streams together. */
  #window: number;
  /** Streams that have something to send and a window of their own: they only wait for the connection. */
  readonly #line: Set<SendingStream>;

  constructor(writer: Http2Writer, idleFrames: Budget) {
    this.#writer = writer;
    this.#idleFrames = idleFrames;
    this.#window = WINDOW_DEFAULT;
    this.#line = new Set();
  }

  /** Whether so many bytes may leave at once, of a stream with a window that is large enough. */
  takes(bytes: number): boolean {
    return bytes <= this.#window && this.#line.size === 0 && !this.#writer.isFull;
  }

  /** What it takes, and no more than a frame. */
  sendAtOnce(id: number, bytes: Buffer): void {
    this.#window -= bytes.length;
    this.#writer.data(id, bytes, 0, bytes.length);
    this.#writer.endStream(id);
  }

  /**
   * Sends of the chunk what the windows and the socket let through, and gives how much that is. Who comes while others
   * wait gets in line.
   */
  send(stream: SendingStream, chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length && this.#line.size === 0) {
      const next = this.#sendFrame(stream, chunk, at);
      if (next === at) break;
      at = next;
    }
    return at;
  }

  #sendFrame(stream: SendingStream, chunk: Buffer, at: number): number {
    const bytes = Math.min(chunk.length - at, FRAME_BYTES_DEFAULT, stream.sendWindow, this.#window);
    if (bytes <= 0 || this.#writer.isFull) return at;
    this.#writer.data(stream.id, chunk, at, at + bytes);
    stream.sendWindow -= bytes;
    this.#window -= bytes;
    this.#idleFrames.earn(EARNED);
    return at + bytes;
  }

  /** It waits. Without a window of its own, it waits for that first. */
  lineUp(stream: SendingStream): void {
    if (stream.sendWindow > 0) this.#line.add(stream);
  }

  leave(stream: SendingStream): void {
    this.#line.delete(stream);
  }

  /** A frame of each who waits, in turn, as long as there is room. */
  pump(): void {
    for (const stream of this.#line) {
      if (this.#window <= 0 || this.#writer.isFull) return;
      this.#line.delete(stream);
      stream.sendNext((chunk, at) => this.#sendFrame(stream, chunk, at));
    }
  }

  /** False when the connection's window is larger than there can be. */
  widenAll(increment: number): boolean {
    this.#window += increment;
    this.pump();
    return this.#window <= WINDOW_LIMIT;
  }

  /** False when the stream's window is larger than there can be. */
  widen(stream: SendingStream, increment: number): boolean {
    stream.sendWindow += increment;
    if (stream.sendWindow > WINDOW_LIMIT) return false;
    if (stream.hasToSend && stream.sendWindow > 0) {
      this.#line.add(stream);
      this.pump();
    }
    return true;
  }

  clear(): void {
    this.#line.clear();
  }
}

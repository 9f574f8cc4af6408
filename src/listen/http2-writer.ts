import type { Socket } from "node:net";
import { WAITING_MAX } from "../lib/scratch.ts";
import { blockBytesMax, type HpackEncoder } from "../wire/hpack-encoder.ts";
import {
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_BYTES_DEFAULT,
  FRAME_HEAD_BYTES,
  HEADERS,
  writeFrameHead,
} from "../wire/http2-frames.ts";

/** Room for what a server's chunk of 64 KiB becomes. */
const SIZE = 68 * 1024;
/** Up to here a copy costs less than a buffer that is away until the socket gives it back. */
const COPY_MAX = 8 * 1024;
const SPARE_MAX = 16;
const END_FLAGS_AT = 4;

/**
 * What a thread's HTTP/2 connections lend each other: buffers, in which the frames of one turn of the loop are put
 * together, and the end of that turn, when they leave.
 */
export class Outbox {
  readonly #spare: Buffer[] = [];
  #waiting: Http2Writer[] = [];
  readonly #flush = () => {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const writer of waiting) writer.flush();
  };

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(SIZE);
  }

  giveBack(buffer: Buffer): void {
    if (this.#spare.length < SPARE_MAX) this.#spare.push(buffer);
  }

  flushLater(writer: Http2Writer): void {
    if (this.#waiting.length === 0) setImmediate(this.#flush);
    this.#waiting.push(writer);
  }
}

/** The way of one connection's frames to its socket: what comes in one turn of the loop leaves as one. */
export class Http2Writer {
  readonly #socket: Socket;
  readonly #isSecure: boolean;
  readonly #outbox: Outbox;
  readonly #encoder: HpackEncoder;
  /** There is room again, after `isFull`. */
  readonly #drained: () => void;
  #buffer: Buffer | undefined;
  #length: number;
  /** Where the last frame begins, if it is DATA; else -1. */
  #lastData: number;
  #lastStream: number;
  #isScheduled: boolean;

  constructor(socket: Socket, isSecure: boolean, outbox: Outbox, encoder: HpackEncoder, drained: () => void) {
    this.#socket = socket;
    this.#isSecure = isSecure;
    this.#outbox = outbox;
    this.#encoder = encoder;
    this.#drained = drained;
    this.#buffer = undefined;
    this.#length = 0;
    this.#lastData = -1;
    this.#lastStream = 0;
    this.#isScheduled = false;
  }

  /** Bytes that have not left. */
  get waiting(): number {
    return this.#length + this.#socket.writableLength;
  }

  /** No more DATA for now: the client takes no bytes. */
  get isFull(): boolean {
    return this.waiting >= WAITING_MAX;
  }

  // --- Frames.

  /** A buffer with room for so many bytes at `#length`. */
  #room(bytes: number): Buffer {
    if (this.#length + bytes > SIZE) this.flush();
    if (this.#buffer === undefined) {
      this.#buffer = this.#outbox.take();
      if (!this.#isScheduled) {
        this.#isScheduled = true;
        this.#outbox.flushLater(this);
      }
    }
    this.#lastData = -1;
    return this.#buffer;
  }

  /** A frame whose payload is small. */
  frame(type: number, flags: number, stream: number, payload: Buffer): void {
    const buffer = this.#room(FRAME_HEAD_BYTES + payload.length);
    const at = writeFrameHead(buffer, this.#length, payload.length, type, flags, stream);
    this.#length = at + payload.copy(buffer, at);
  }

  /** `start` to `end` of the chunk in one frame. */
  data(stream: number, chunk: Buffer, start: number, end: number): void {
    const buffer = this.#room(FRAME_HEAD_BYTES + end - start);
    this.#lastData = this.#length;
    this.#lastStream = stream;
    const at = writeFrameHead(buffer, this.#length, end - start, DATA, 0, stream);
    this.#length = at + chunk.copy(buffer, at, start, end);
  }

  /** In the last DATA frame, if that has not left yet. */
  endStream(stream: number): void {
    if (this.#lastData >= 0 && this.#lastStream === stream) {
      this.#buffer![this.#lastData + END_FLAGS_AT] = END_STREAM;
      return;
    }
    const buffer = this.#room(FRAME_HEAD_BYTES);
    this.#length = writeFrameHead(buffer, this.#length, 0, DATA, END_STREAM, stream);
  }

  headers(stream: number, list: readonly string[], endStream: boolean): void {
    const flags = endStream ? END_STREAM : 0;
    const bytesMax = blockBytesMax(list);
    if (bytesMax > FRAME_BYTES_DEFAULT) return this.#longHeaders(stream, list, bytesMax, flags);
    const buffer = this.#room(FRAME_HEAD_BYTES + bytesMax);
    const start = this.#length + FRAME_HEAD_BYTES;
    const end = this.#encoder.encode(list, buffer, start);
    writeFrameHead(buffer, this.#length, end - start, HEADERS, flags | END_HEADERS, stream);
    this.#length = end;
  }

  #longHeaders(stream: number, list: readonly string[], bytesMax: number, flags: number): void {
    const whole = Buffer.allocUnsafe(bytesMax);
    const block = whole.subarray(0, this.#encoder.encode(list, whole, 0));
    for (let at = 0; at === 0 || at < block.length; at += FRAME_BYTES_DEFAULT) {
      const piece = block.subarray(at, at + FRAME_BYTES_DEFAULT);
      const isLast = at + FRAME_BYTES_DEFAULT >= block.length;
      const type = at === 0 ? HEADERS : CONTINUATION;
      this.frame(type, (at === 0 ? flags : 0) | (isLast ? END_HEADERS : 0), stream, piece);
    }
  }

  // --- The socket.

  /** The end of the loop's turn, or a full buffer. */
  flush(): void {
    const buffer = this.#buffer;
    const length = this.#length;
    this.#buffer = undefined;
    this.#length = 0;
    this.#lastData = -1;
    this.#isScheduled = false;
    if (buffer === undefined) return;
    if (this.#socket.destroyed) this.#outbox.giveBack(buffer);
    else if (length > COPY_MAX) this.#lend(buffer, length);
    else if (this.#isSecure) this.#writeCopy(buffer, length);
    else this.#write(buffer, length);
  }

  #lend(buffer: Buffer, length: number): void {
    this.#socket.write(buffer.subarray(0, length), () => {
      this.#outbox.giveBack(buffer);
      this.#drained();
    });
  }

  // A TLS socket never takes bytes at once.
  #writeCopy(buffer: Buffer, length: number): void {
    const bytes = Buffer.allocUnsafe(length);
    buffer.copy(bytes, 0, 0, length);
    this.#outbox.giveBack(buffer);
    this.#give(bytes);
  }

  #write(buffer: Buffer, length: number): void {
    this.#give(buffer.subarray(0, length));
    // Bytes that the kernel has not taken yet still lie in the buffer.
    if (this.#socket.writableLength === 0) this.#outbox.giveBack(buffer);
  }

  #give(bytes: Buffer): void {
    const socket = this.#socket;
    // Only when much waits is anybody interested in when it has left.
    if (socket.writableLength + bytes.length < WAITING_MAX / 2) socket.write(bytes);
    else socket.write(bytes, this.#drained);
  }
}

import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  FRAME_BYTES_DEFAULT,
  FRAME_HEAD_BYTES,
  FRAME_SIZE_ERROR,
  GOAWAY,
  HAS_PRIORITY,
  HEADERS,
  HTTP2_PREFACE,
  PADDED,
  PING,
  PRIORITY,
  PROTOCOL_ERROR,
  PUSH_PROMISE,
  RST_STREAM,
  readUint31,
  readUint32,
  SETTINGS,
  WINDOW_UPDATE,
} from "./http2-frames.ts";

/** Who acts on the frames of a client. Whatever is wrong with one frame alone has been found before. */
export interface FrameHandler {
  /** A DATA frame begins that counts so many bytes against the windows: content and padding. */
  dataBegins(stream: number, bytes: number): void;
  /** A piece of its content. It stays as it is, and may be kept. */
  dataPiece(piece: Buffer): void;
  dataEnds(endStream: boolean): void;
  /** A whole field block. The bytes may be kept only while the call lasts. */
  headers(stream: number, block: Buffer, start: number, end: number, endStream: boolean): void;
  reset(stream: number, code: number): void;
  settings(bytes: Buffer, start: number, end: number): void;
  settingsTaken(): void;
  /** The eight bytes of it begin at `start`. */
  ping(bytes: Buffer, start: number, isAnswer: boolean): void;
  goaway(): void;
  windowUpdate(stream: number, increment: number): void;
  /** A frame that asks for nothing: PRIORITY, or of an unknown type. */
  idleFrame(): void;
  /** The connection cannot go on. Nothing is called afterwards. */
  connectionError(code: number): void;
}

const PREFACE = Buffer.from(HTTP2_PREFACE);
/** As many as nobody needs who packs them as full as they may be. */
const CONTINUATIONS_MAX = 16;
const EMPTY = Buffer.alloc(0);

/**
 * Cuts a client's bytes into frames, however they arrive, and checks each for itself (RFC 9113 sections 4 and 6). What
 * DATA carries is handed on as it comes; other frames are small, and gathered until they are whole.
 */
export class FrameReader {
  readonly #handler: FrameHandler;
  readonly #blockBytesMax: number;
  #prefaceLeft: number;
  /** The first frame must be SETTINGS. */
  #isFirst: boolean;
  readonly #head: Buffer;
  #headBytes: number;
  #length: number;
  #type: number;
  #flags: number;
  #stream: number;
  /** Of a frame that did not come in one piece. */
  #payload: Buffer;
  #payloadBytes: number;
  #contentLeft: number;
  #paddingLeft: number;
  /** Stream whose field block is not complete; 0 for none. */
  #blockStream: number;
  #blockEndsStream: boolean;
  /** Blocks in pieces, so far. */
  #blocks: number;
  #fragments: Buffer[];
  #blockBytes: number;
  #stopped: boolean;

  /** `blockBytesMax`: compressed bytes of one field block. */
  constructor(handler: FrameHandler, blockBytesMax: number) {
    this.#handler = handler;
    this.#blockBytesMax = blockBytesMax;
    this.#prefaceLeft = PREFACE.length;
    this.#isFirst = true;
    this.#head = Buffer.allocUnsafe(FRAME_HEAD_BYTES);
    this.#headBytes = 0;
    this.#length = 0;
    this.#type = 0;
    this.#flags = 0;
    this.#stream = 0;
    this.#payload = EMPTY;
    this.#payloadBytes = 0;
    this.#contentLeft = 0;
    this.#paddingLeft = 0;
    this.#blockStream = 0;
    this.#blockEndsStream = false;
    this.#blocks = 0;
    this.#fragments = [];
    this.#blockBytes = 0;
    this.#stopped = false;
  }

  /** Number of the field block that has begun and not ended: nothing else can come before the rest of it. 0 for none. */
  get openBlock(): number {
    return this.#blockStream === 0 ? 0 : this.#blocks;
  }

  /** Whatever comes now is of no interest. */
  stop(): void {
    this.#stopped = true;
    this.#payload = EMPTY;
    this.#fragments = [];
  }

  take(chunk: Buffer): void {
    let at = this.#prefaceLeft === 0 ? 0 : this.#takePreface(chunk);
    while (!this.#stopped) {
      if (this.#headBytes < FRAME_HEAD_BYTES) {
        if (at === chunk.length) return;
        at = this.#takeHead(chunk, at);
        if (this.#headBytes < FRAME_HEAD_BYTES || this.#stopped) return;
      }
      if (this.#type === DATA) at = this.#takeData(chunk, at);
      else at = this.#takePayload(chunk, at);
      if (at < 0) return;
    }
  }

  #fail(code: number): void {
    this.stop();
    this.#handler.connectionError(code);
  }

  #takePreface(chunk: Buffer): number {
    const from = PREFACE.length - this.#prefaceLeft;
    const bytes = Math.min(this.#prefaceLeft, chunk.length);
    if (chunk.compare(PREFACE, from, from + bytes, 0, bytes) !== 0) this.#fail(PROTOCOL_ERROR);
    this.#prefaceLeft -= bytes;
    return bytes;
  }

  // --- Heads.

  #takeHead(chunk: Buffer, at: number): number {
    if (this.#headBytes === 0 && chunk.length - at >= FRAME_HEAD_BYTES) {
      this.#headBytes = FRAME_HEAD_BYTES;
      this.#readHead(chunk, at);
      return at + FRAME_HEAD_BYTES;
    }
    const bytes = Math.min(FRAME_HEAD_BYTES - this.#headBytes, chunk.length - at);
    chunk.copy(this.#head, this.#headBytes, at, at + bytes);
    this.#headBytes += bytes;
    if (this.#headBytes === FRAME_HEAD_BYTES) this.#readHead(this.#head, 0);
    return at + bytes;
  }

  #readHead(bytes: Buffer, at: number): void {
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    const type = bytes[at + 3]!;
    const stream = readUint31(bytes, at + 5);
    this.#length = length;
    this.#type = type;
    this.#flags = bytes[at + 4]!;
    this.#stream = stream;
    this.#payloadBytes = 0;
    if (length > FRAME_BYTES_DEFAULT) return this.#fail(FRAME_SIZE_ERROR);
    if (this.#isFirst && (type !== SETTINGS || (this.#flags & ACK) !== 0)) return this.#fail(PROTOCOL_ERROR);
    this.#isFirst = false;
    const isExpected = this.#blockStream === 0 || (type === CONTINUATION && stream === this.#blockStream);
    if (!isExpected) return this.#fail(PROTOCOL_ERROR);
    if (type === DATA) this.#dataBegins();
  }

  // --- DATA (RFC 9113 section 6.1).

  #dataBegins(): void {
    const isPadded = (this.#flags & PADDED) !== 0;
    if (this.#stream === 0 || (isPadded && this.#length === 0)) return this.#fail(PROTOCOL_ERROR);
    this.#contentLeft = this.#length;
    // Known when the first byte of the frame has come.
    this.#paddingLeft = isPadded ? -1 : 0;
    this.#handler.dataBegins(this.#stream, this.#length);
  }

  /** Gives where to go on, or -1 when there must be more bytes first. */
  #takeData(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#paddingLeft < 0) {
      if (at === chunk.length) return -1;
      this.#paddingLeft = chunk[at]!;
      this.#contentLeft -= 1 + this.#paddingLeft;
      at++;
      if (this.#contentLeft < 0) {
        this.#fail(PROTOCOL_ERROR);
        return -1;
      }
    }
    if (this.#contentLeft > 0 && at < chunk.length) {
      const bytes = Math.min(this.#contentLeft, chunk.length - at);
      this.#contentLeft -= bytes;
      this.#handler.dataPiece(chunk.subarray(at, at + bytes));
      at += bytes;
    }
    const padding = Math.min(this.#paddingLeft, chunk.length - at);
    if (this.#contentLeft === 0 && padding > 0) {
      this.#paddingLeft -= padding;
      at += padding;
    }
    if (this.#contentLeft > 0 || this.#paddingLeft > 0) return -1;
    this.#headBytes = 0;
    if (!this.#stopped) this.#handler.dataEnds((this.#flags & END_STREAM) !== 0);
    return at;
  }

  // --- All other frames.

  /** Gives where to go on, or -1 when there must be more bytes first. */
  #takePayload(chunk: Buffer, at: number): number {
    const length = this.#length;
    if (this.#payloadBytes === 0 && chunk.length - at >= length) {
      this.#headBytes = 0;
      this.#frame(chunk, at, at + length);
      return at + length;
    }
    if (this.#payloadBytes === 0) this.#payload = Buffer.allocUnsafe(length);
    const bytes = Math.min(length - this.#payloadBytes, chunk.length - at);
    chunk.copy(this.#payload, this.#payloadBytes, at, at + bytes);
    this.#payloadBytes += bytes;
    if (this.#payloadBytes < length) return -1;
    this.#headBytes = 0;
    const payload = this.#payload;
    this.#payload = EMPTY;
    this.#frame(payload, 0, length);
    return at + bytes;
  }

  #frame(bytes: Buffer, start: number, end: number): void {
    switch (this.#type) {
      case HEADERS:
        return this.#headers(bytes, start, end);
      case CONTINUATION:
        return this.#continuation(bytes, start, end);
      case PRIORITY:
        return this.#ofStream(5) ? this.#handler.idleFrame() : undefined;
      case RST_STREAM:
        return this.#ofStream(4) ? this.#handler.reset(this.#stream, readUint32(bytes, start)) : undefined;
      case SETTINGS:
        return this.#settings(bytes, start, end);
      case PUSH_PROMISE:
        return this.#fail(PROTOCOL_ERROR);
      case PING:
        if (!this.#ofConnection(8)) return;
        return this.#handler.ping(bytes, start, (this.#flags & ACK) !== 0);
      case GOAWAY:
        return this.#ofConnection(this.#length < 8 ? 8 : this.#length) ? this.#handler.goaway() : undefined;
      case WINDOW_UPDATE:
        if (this.#length !== 4) return this.#fail(FRAME_SIZE_ERROR);
        return this.#handler.windowUpdate(this.#stream, readUint31(bytes, start));
      default:
        return this.#handler.idleFrame();
    }
  }

  #ofStream(length: number): boolean {
    if (this.#stream === 0) this.#fail(PROTOCOL_ERROR);
    else if (this.#length !== length) this.#fail(FRAME_SIZE_ERROR);
    return !this.#stopped;
  }

  #ofConnection(length: number): boolean {
    if (this.#stream !== 0) this.#fail(PROTOCOL_ERROR);
    else if (this.#length !== length) this.#fail(FRAME_SIZE_ERROR);
    return !this.#stopped;
  }

  #settings(bytes: Buffer, start: number, end: number): void {
    const isAnswer = (this.#flags & ACK) !== 0;
    const length = isAnswer ? 0 : this.#length - (this.#length % 6);
    if (!this.#ofConnection(length)) return;
    if (isAnswer) this.#handler.settingsTaken();
    else this.#handler.settings(bytes, start, end);
  }

  // --- Field blocks (RFC 9113 sections 4.3, 6.2 and 6.10).

  #headers(bytes: Buffer, from: number, to: number): void {
    const flags = this.#flags;
    if (this.#stream === 0) return this.#fail(PROTOCOL_ERROR);
    const isPadded = (flags & PADDED) !== 0;
    const before = (isPadded ? 1 : 0) + ((flags & HAS_PRIORITY) !== 0 ? 5 : 0);
    if (this.#length < before) return this.#fail(FRAME_SIZE_ERROR);
    const start = from + before;
    const end = isPadded ? to - bytes[from]! : to;
    if (end < start) return this.#fail(PROTOCOL_ERROR);
    const endStream = (flags & END_STREAM) !== 0;
    if ((flags & END_HEADERS) !== 0) {
      this.#handler.headers(this.#stream, bytes, start, end, endStream);
      return;
    }
    this.#blockStream = this.#stream;
    this.#blocks++;
    this.#blockEndsStream = endStream;
    this.#blockBytes = 0;
    this.#gather(bytes, start, end);
  }

  #gather(bytes: Buffer, start: number, end: number): void {
    this.#blockBytes += end - start;
    this.#fragments.push(Buffer.from(bytes.subarray(start, end)));
    if (this.#blockBytes > this.#blockBytesMax || this.#fragments.length > CONTINUATIONS_MAX)
      this.#fail(ENHANCE_YOUR_CALM);
  }

  #continuation(bytes: Buffer, start: number, end: number): void {
    if (this.#blockStream === 0) return this.#fail(PROTOCOL_ERROR);
    this.#gather(bytes, start, end);
    if (this.#stopped || (this.#flags & END_HEADERS) === 0) return;
    const stream = this.#blockStream;
    const block = Buffer.concat(this.#fragments);
    this.#fragments = [];
    this.#blockStream = 0;
    this.#handler.headers(stream, block, 0, block.length, this.#blockEndsStream);
  }
}

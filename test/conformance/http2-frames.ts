import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type Field, FieldReader } from "./http2-hpack.ts";

/** HTTP/2 frames written and read by hand, so that a test can say what no library would. */

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;
export const PADDED = 8;
export const PRIORITY = 32;

export const CODE = {
  none: 0,
  protocol: 1,
  internal: 2,
  flow: 3,
  closed: 5,
  frameSize: 6,
  refused: 7,
  cancel: 8,
  compression: 9,
  calm: 11,
} as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** A block of fields: a reply's head, an interim one, or trailers. */
export interface Head {
  readonly stream: number;
  readonly fields: readonly Field[];
  readonly isLast: boolean;
}

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK without compression: every field a literal that is not indexed. */
export function block(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]));
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  return Buffer.concat([integer(bytes.length, 7), bytes]);
}

function integer(value: number, bits: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.from([value]);
  const bytes = [most];
  for (let rest = value - most; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}

export const GET: readonly (readonly [string, string])[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":authority", "app.test"],
  [":path", "/"],
];

export const POST: typeof GET = [[":method", "POST"], ...GET.slice(1)];

export function headers(stream: number, fields: typeof GET, endStream = true): Buffer {
  return frame(TYPE.headers, END_HEADERS | (endStream ? END_STREAM : 0), stream, block(fields));
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function setting(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt16BE(id);
  bytes.writeUInt32BE(value, 2);
  return bytes;
}

export const settings = (...entries: readonly (readonly [id: number, value: number])[]) =>
  frame(TYPE.settings, 0, 0, Buffer.concat(entries.map(([id, value]) => setting(id, value))));
export const data = (stream: number, bytes: string | Buffer, endStream = true) =>
  frame(TYPE.data, endStream ? END_STREAM : 0, stream, Buffer.from(bytes));
export const reset = (stream: number, code: number = CODE.cancel) =>
  frame(TYPE.reset, 0, stream, uint32(code));
export const grant = (stream: number, bytes: number) => frame(TYPE.window, 0, stream, uint32(bytes));
export const ping = (text = "") => frame(TYPE.ping, 0, 0, Buffer.from(text.padEnd(8, "\0")));

export const HELLO = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** A client that only does what it is told, but for acknowledging settings. */
export class RawClient {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  readonly heads: Head[] = [];
  closed = false;
  acknowledges = true;
  /** Sees every frame as it comes. */
  watch: (one: Frame) => void = () => {};
  readonly #fields = new FieldReader();
  #block: Buffer[] = [];
  #isLast = false;
  #settled = 0;
  #rest = Buffer.alloc(0);
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
    socket.on("close", () => {
      this.closed = true;
      this.#wake();
    });
  }

  /**
   * `hello`: what is sent first in place of the preface and the settings. `halfOpen`: it does not close when the server
   * does.
   */
  static async open(
    port: number,
    settings?: Buffer,
    hello?: readonly Buffer[],
    halfOpen = false,
  ): Promise<RawClient> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: halfOpen });
    await once(socket, "connect");
    return RawClient.over(socket, settings, hello);
  }

  static over(
    socket: Socket,
    settings: Buffer = Buffer.alloc(0),
    hello: readonly Buffer[] = [HELLO, frame(TYPE.settings, 0, 0, settings)],
  ): RawClient {
    const client = new RawClient(socket);
    client.send(...hello);
    return client;
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }

  #read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) break;
      const one = {
        type: this.#rest[3]!,
        flags: this.#rest[4]!,
        stream: this.#rest.readUInt32BE(5),
        payload: this.#rest.subarray(9, end),
      };
      this.#rest = this.#rest.subarray(end);
      this.frames.push(one);
      this.watch(one);
      if (one.type === TYPE.headers || one.type === TYPE.continuation) this.#readHead(one);
      if (one.type === TYPE.settings && one.flags === 0 && this.acknowledges)
        this.send(frame(TYPE.settings, ACK, 0));
    }
    this.#wake();
  }

  #readHead({ type, flags, stream, payload }: Frame): void {
    if (type === TYPE.headers) this.#isLast = (flags & END_STREAM) !== 0;
    this.#block.push(payload);
    if ((flags & END_HEADERS) === 0) return;
    const fields = this.#fields.read(Buffer.concat(this.#block));
    this.#block = [];
    this.heads.push({ stream, fields, isLast: this.#isLast });
  }

  /** Statuses of a stream's heads, interim ones included. */
  statuses(stream: number): string[] {
    return this.heads
      .filter((head) => head.stream === stream)
      .flatMap(({ fields }) => valuesOf(fields, ":status"));
  }

  /** All bytes of a stream's body that have come. */
  body(stream: number): Buffer {
    const mine = this.frames.filter((one) => one.type === TYPE.data && one.stream === stream);
    return Buffer.concat(mine.map(({ payload }) => payload));
  }

  /** Whether the stream has come to its proper end. */
  ended(stream: number): boolean {
    return this.frames.some(
      (one) => one.stream === stream && one.type <= TYPE.headers && (one.flags & END_STREAM) !== 0,
    );
  }

  /** Until all that was sent has had its effect, or the connection is closed: two answered pings. */
  async settle(): Promise<void> {
    for (let i = 0; i < 2; i++) {
      const text = `s${this.#settled++}`;
      this.send(ping(text));
      await this.find(
        (one) =>
          one.type === TYPE.goaway || (one.type === TYPE.ping && one.payload.toString().startsWith(text)),
      );
    }
  }

  /** Until what is asked for is so, or the connection is closed. */
  async until(so: () => boolean, timeoutMs?: number): Promise<boolean> {
    if (so()) return true;
    await this.find(so, timeoutMs);
    return so();
  }

  /** Waits for a frame that fits, or for the connection to close (undefined). */
  async find(fits: (one: Frame) => boolean, timeoutMs = 5000): Promise<Frame | undefined> {
    const untilMs = Date.now() + timeoutMs;
    for (;;) {
      const found = this.frames.find(fits);
      if (found !== undefined || this.closed) return found;
      const leftMs = untilMs - Date.now();
      if (leftMs <= 0)
        throw new Error(`no such frame among ${this.frames.map(({ type }) => type).join(",")}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** What became of a stream: its reset code, or its status (the first byte of the block tells), or how the connection ended. */
  async verdict(stream: number): Promise<string> {
    const found = await this.find(
      (one) =>
        (one.stream === stream && (one.type === TYPE.reset || one.type === TYPE.headers)) ||
        one.type === TYPE.goaway,
    );
    if (found === undefined) return "closed";
    if (found.type === TYPE.reset) return `reset ${found.payload.readUInt32BE(0)}`;
    if (found.type === TYPE.goaway) return `goaway ${found.payload.readUInt32BE(4)}`;
    return "headers";
  }

  /** The reason in the GOAWAY; undefined if the connection closed without one. */
  async goaway(timeoutMs = 5000): Promise<number | undefined> {
    return (await this.find((one) => one.type === TYPE.goaway, timeoutMs))?.payload.readUInt32BE(4);
  }

  close(): void {
    this.socket.destroy();
  }
}

export const valuesOf = (fields: readonly Field[], wanted: string) =>
  fields.filter(([name]) => name === wanted).map(([, value]) => value);

import { once } from "node:events";
import { connect, type Socket } from "node:net";

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

export const HELLO = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** A client that only does what it is told, but for acknowledging settings. */
export class RawClient {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  closed = false;
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

  /** `hello`: what is sent first in place of the preface and the settings. */
  static async open(
    port: number,
    settings: Buffer = Buffer.alloc(0),
    hello: readonly Buffer[] = [HELLO, frame(TYPE.settings, 0, 0, settings)],
  ): Promise<RawClient> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
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
      if (one.type === TYPE.settings && one.flags === 0) this.send(frame(TYPE.settings, ACK, 0));
    }
    this.#wake();
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

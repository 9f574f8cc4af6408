import { Duplex } from "node:stream";
import type { BodySink } from "../model/body.ts";

/** What a tunnel needs of its HTTP/2 stream. */
export interface TunnelledStream {
  /** True: the bytes were used. False: they are kept, and `written` of the tunnel follows. */
  data(chunk: Buffer): boolean;
  end(): void;
  /** The tunnel wants more bytes from the client. */
  resume(): void;
  /** Nobody is at the other end any more. */
  cut(): void;
}

/** An HTTP/2 stream as the two-way stream that a WebSocket runs in (RFC 8441). */
export class Http2Tunnel extends Duplex {
  /** Where the client's bytes go. */
  readonly fromClient: BodySink;
  readonly #stream: TunnelledStream;
  #written: (() => void) | undefined;

  constructor(stream: TunnelledStream) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    this.#written = undefined;
    this.fromClient = {
      data: (chunk) => this.push(chunk),
      end: () => void this.push(null),
      fail: () => void this.destroy(),
    };
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.#stream.data(chunk)) done();
    else this.#written = done;
  }

  /** What was kept has left. */
  written(): void {
    const done = this.#written;
    this.#written = undefined;
    done?.();
  }

  override _final(done: () => void): void {
    this.#stream.end();
    done();
  }

  override _destroy(_error: Error | null, done: (error: null) => void): void {
    this.#stream.cut();
    // Whoever has the stream learns of its end by `close`.
    done(null);
  }
}

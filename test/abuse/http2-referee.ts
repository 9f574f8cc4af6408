import {
  ACK,
  END_HEADERS,
  END_STREAM,
  type Frame,
  type RawClient,
  TYPE,
} from "../conformance/http2-frames.ts";

const WINDOW = 65_535;
const INITIAL_WINDOW_SIZE = 4;
const FRAME_MAX = 16_384;

/** A stream as its client sees it. */
interface Seen {
  /** Bytes that the server may still send, and that the client may. */
  toUs: number;
  toServer: number;
  head: boolean;
  ended: boolean;
  reset: boolean;
}

/**
 * Watches what both sides of one connection send, and what of it the server must not: more than the windows let
 * through, frames of streams that are over or were never begun, blocks in pieces with something between them.
 */
export class Referee {
  readonly fouls: string[] = [];
  readonly streams = new Map<number, Seen>();
  toUs = WINDOW;
  toServer = WINDOW;
  serverInitial = WINDOW;
  /** The last that the server has acknowledged, and those that it has not. */
  #initial = WINDOW;
  readonly #unacknowledged: (number | undefined)[] = [];
  #block = 0;
  #lastGoaway = 2 ** 31;
  goaway: number | undefined;

  constructor(client: RawClient) {
    client.watch = (one) => this.#came(one);
  }

  // --- What the client says.

  begin(id: number): void {
    const toUs = Math.max(this.#initial, ...this.#unacknowledged.map((bytes) => bytes ?? 0));
    this.streams.set(id, { toUs, toServer: this.serverInitial, head: false, ended: false, reset: false });
  }

  grant(id: number, bytes: number): void {
    if (id === 0) this.toUs += bytes;
    else {
      const stream = this.streams.get(id);
      if (stream !== undefined) stream.toUs += bytes;
    }
  }

  /** A larger window may be used before its acknowledgement comes, a smaller one counts from then on. */
  settings(initial: number | undefined): void {
    const before = this.#most();
    this.#unacknowledged.push(initial);
    this.#widen(this.#most() - before);
  }

  #most(): number {
    return Math.max(this.#initial, ...this.#unacknowledged.map((bytes) => bytes ?? 0));
  }

  #widen(bytes: number): void {
    for (const stream of this.streams.values()) stream.toUs += bytes;
  }

  sent(id: number, bytes: number): void {
    this.toServer -= bytes;
    const stream = this.streams.get(id);
    if (stream !== undefined) stream.toServer -= bytes;
  }

  // --- What the server says.

  #foul(what: string, one: Frame): void {
    this.fouls.push(`${what}: type ${one.type}, flags ${one.flags}, stream ${one.stream}`);
  }

  #came(one: Frame): void {
    const { type, flags, stream: id, payload } = one;
    if (payload.length > FRAME_MAX) this.#foul("too large a frame", one);
    if (this.#block !== 0 && (type !== TYPE.continuation || id !== this.#block))
      this.#foul("in a block", one);
    if (this.goaway !== undefined && this.goaway !== 0) this.#foul("after the last word", one);
    switch (type) {
      case TYPE.headers:
        this.#block = (flags & END_HEADERS) !== 0 ? 0 : id;
        return this.#ofStream(one);
      case TYPE.continuation:
        if (this.#block === 0) this.#foul("no block", one);
        if ((flags & END_HEADERS) !== 0) this.#block = 0;
        return;
      case TYPE.data:
        return this.#ofStream(one);
      case TYPE.reset:
        return this.#reset(one);
      case TYPE.settings:
        return this.#settings(one);
      case TYPE.window:
        return this.#window(one);
      case TYPE.goaway: {
        const last = payload.readUInt32BE(0);
        if (last > this.#lastGoaway) this.#foul("a later last stream", one);
        this.#lastGoaway = last;
        this.goaway = payload.readUInt32BE(4);
      }
    }
  }

  #ofStream(one: Frame): void {
    const stream = this.streams.get(one.stream);
    if (stream === undefined) return this.#foul("nobody asked", one);
    if (stream.ended || stream.reset) this.#foul("after its end", one);
    if (one.type === TYPE.data) {
      if (!stream.head) this.#foul("before its head", one);
      stream.toUs -= one.payload.length;
      this.toUs -= one.payload.length;
      if (stream.toUs < 0 && one.payload.length > 0)
        this.#foul(`past the stream's window by ${-stream.toUs}`, one);
      if (this.toUs < 0) this.#foul(`past the connection's window by ${-this.toUs}`, one);
    } else stream.head = true;
    if ((one.flags & END_STREAM) !== 0) stream.ended = true;
  }

  #reset(one: Frame): void {
    const stream = this.streams.get(one.stream);
    if (stream === undefined) return this.#foul("nobody asked", one);
    if (stream.reset) this.#foul("twice", one);
    stream.reset = true;
  }

  #settings({ flags, payload }: Frame): void {
    if ((flags & ACK) === 0) {
      for (let i = 0; i < payload.length; i += 6) {
        if (payload.readUInt16BE(i) !== INITIAL_WINDOW_SIZE) continue;
        const initial = payload.readUInt32BE(i + 2);
        for (const stream of this.streams.values()) stream.toServer += initial - this.serverInitial;
        this.serverInitial = initial;
      }
      return;
    }
    // The first answers the settings of the preface.
    if (this.#unacknowledged.length === 0) return;
    const before = this.#most();
    const initial = this.#unacknowledged.shift();
    if (initial !== undefined) this.#initial = initial;
    this.#widen(this.#most() - before);
  }

  #window(one: Frame): void {
    const bytes = one.payload.readUInt32BE(0);
    if (bytes === 0) this.#foul("a window of nothing", one);
    if (one.stream === 0) this.toServer += bytes;
    else {
      const stream = this.streams.get(one.stream);
      if (stream === undefined) this.#foul("nobody asked", one);
      else stream.toServer += bytes;
    }
  }
}

import type { Socket } from "node:net";
import { COPY_MAX, type Scratch, writeCopied } from "../lib/scratch.ts";
import type { Exchange } from "../model/exchange.ts";
import { allowedTrailers, LAST_CHUNK, lastChunk } from "../wire/chunked.ts";
import { type Framing, replyText } from "./reply-text.ts";

const EMPTY = Buffer.alloc(0);

/** A reply's way to the client's socket. Its head waits for the first bytes of the body, and both leave as one. */
export class ReplyWriter {
  /** The reply under way has begun: its status is decided. */
  begun: boolean;
  framing: Framing;
  readonly #socket: Socket;
  readonly #scratch: Scratch;
  readonly #isSecure: boolean;
  readonly #drained: () => void;
  #head: string;

  constructor(socket: Socket, scratch: Scratch, isSecure: boolean, drained: () => void) {
    this.begun = false;
    this.framing = "none";
    this.#socket = socket;
    this.#scratch = scratch;
    this.#isSecure = isSecure;
    this.#drained = drained;
    this.#head = "";
  }

  /** Nothing has left yet. */
  get isHeld(): boolean {
    return this.#head !== "";
  }

  begin(exchange: Exchange, framing: Framing, length: number, keepAlive: boolean, date: string): void {
    this.begun = true;
    this.framing = framing;
    this.#head = replyText(exchange, framing, length, keepAlive, date);
  }

  /** Takes back what has not left yet. */
  forget(): void {
    this.#head = "";
  }

  release(): void {
    if (this.#head === "") return;
    this.#socket.write(this.#head, "latin1");
    this.#head = "";
  }

  /** False: the socket has kept the bytes, and `drained` is called when it has no more. */
  write(chunk: Buffer): boolean {
    const socket = this.#socket;
    const head = this.#head;
    this.#head = "";
    const chunked = this.framing === "chunked";
    if (this.#isSecure) {
      const start = chunked ? `${head}${chunk.length.toString(16)}\r\n` : head;
      return writeCopied(socket, start, chunk, chunked ? "\r\n" : "", this.#drained);
    }
    if (head === "" && !chunked) socket.write(chunk);
    else if (chunk.length <= COPY_MAX) this.#writeTogether(head, chunk, chunked);
    else {
      socket.cork();
      const size = chunked ? `${chunk.length.toString(16)}\r\n` : "";
      socket.write(head + size, "latin1");
      socket.write(chunk);
      if (chunked) socket.write("\r\n", "latin1");
      socket.uncork();
    }
    if (socket.writableLength === 0) return true;
    socket.write(EMPTY, this.#drained);
    return false;
  }

  #writeTogether(head: string, chunk: Buffer, chunked: boolean): void {
    const scratch = this.#scratch;
    if (head !== "") scratch.text(head);
    if (chunked) scratch.text(`${chunk.length.toString(16)}\r\n`);
    scratch.chunk(chunk);
    if (chunked) scratch.text("\r\n");
    scratch.write(this.#socket);
  }

  end(trailers: string[] | undefined, acceptsTrailers: boolean): void {
    let last = this.#head;
    this.#head = "";
    if (this.framing === "chunked") {
      const sendable = trailers !== undefined && acceptsTrailers ? allowedTrailers(trailers) : undefined;
      last += sendable === undefined ? LAST_CHUNK : lastChunk(sendable);
    }
    if (last !== "") this.#socket.write(last, "latin1");
  }
}

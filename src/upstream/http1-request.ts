import type { Socket } from "node:net";
import { COPY_MAX, type Scratch, writeCopied } from "../lib/scratch.ts";
import { lastChunk } from "../wire/chunked.ts";

const EMPTY = Buffer.alloc(0);

/** A request's way to the server's socket. Its head waits for the first bytes of the body, and both leave as one. */
export class RequestWriter {
  /** Some byte of the present request has been written. */
  begun: boolean;
  /** All of it has. */
  done: boolean;
  readonly #socket: Socket;
  readonly #scratch: Scratch;
  readonly #isSecure: boolean;
  readonly #drained: () => void;
  #head: string;
  #isChunked: boolean;

  constructor(socket: Socket, scratch: Scratch, isSecure: boolean, drained: () => void) {
    this.begun = false;
    this.done = false;
    this.#socket = socket;
    this.#scratch = scratch;
    this.#isSecure = isSecure;
    this.#drained = drained;
    this.#head = "";
    this.#isChunked = false;
  }

  get isHeld(): boolean {
    return this.#head !== "";
  }

  begin(head: string, isChunked: boolean): void {
    this.begun = false;
    this.done = false;
    this.#head = head;
    this.#isChunked = isChunked;
  }

  release(): void {
    if (this.#head === "") return;
    this.#socket.write(this.#head, "latin1");
    this.#head = "";
    this.begun = true;
  }

  /** False: the socket has kept the bytes, and `drained` is called when it has no more. */
  write(chunk: Buffer): boolean {
    const socket = this.#socket;
    const size = this.#isChunked ? `${chunk.length.toString(16)}\r\n` : "";
    const start = this.#head + size;
    const tail = this.#isChunked ? "\r\n" : "";
    this.begun = true;
    this.#head = "";
    if (this.#isSecure) return writeCopied(socket, start, chunk, tail, this.#drained);
    if (start === "" && tail === "") socket.write(chunk);
    else if (chunk.length <= COPY_MAX) this.#writeTogether(start, chunk, tail);
    else {
      socket.cork();
      if (start !== "") socket.write(start, "latin1");
      socket.write(chunk);
      if (tail !== "") socket.write(tail, "latin1");
      socket.uncork();
    }
    if (socket.writableLength === 0) return true;
    socket.write(EMPTY, this.#drained);
    return false;
  }

  #writeTogether(start: string, chunk: Buffer, tail: string): void {
    const scratch = this.#scratch;
    if (start !== "") scratch.text(start);
    scratch.chunk(chunk);
    if (tail !== "") scratch.text(tail);
    scratch.write(this.#socket);
  }

  end(trailers: string[] | undefined): void {
    if (this.#isChunked) this.#head += lastChunk(trailers);
    this.release();
    this.done = true;
  }
}

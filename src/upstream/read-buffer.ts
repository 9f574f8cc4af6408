/** What is read of a reply before anybody is known to take it: a client that reads nothing costs no more than this. */
const FIRST_BYTES = 8 * 1024;
const BYTES = 64 * 1024;
const EMPTY = Buffer.alloc(0);

/** What a server's socket reads into: a small buffer until the client takes something, then a large one. */
export class ReadBuffer {
  /** The client has taken something of the present reply. */
  flows: boolean;
  #first: Buffer;
  #large: Buffer;

  constructor() {
    this.flows = false;
    this.#first = EMPTY;
    this.#large = EMPTY;
  }

  get(): Buffer {
    if (!this.flows) {
      if (this.#first.length === 0) this.#first = Buffer.allocUnsafeSlow(FIRST_BYTES);
      return this.#first;
    }
    if (this.#large.length === 0) this.#large = Buffer.allocUnsafeSlow(BYTES);
    return this.#large;
  }

  /** Somebody keeps the bytes that were read last, so the next ones need another buffer. */
  giveAway(): void {
    this.#first = EMPTY;
    this.#large = EMPTY;
  }
}

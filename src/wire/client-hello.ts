/** What a TLS client says first, as far as choosing certificate and options needs it. */
export interface ClientHello {
  /** Lower-case, without a trailing dot; undefined if there is none or it is no host name. */
  readonly serverName: string | undefined;
  /** Protocols of the ALPN extension, in the client's order. */
  readonly protocols: readonly string[];
}

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const ALPN = 16;
const RECORD_HEADER = 5;
const RECORD_MAX = 16_384;

/** Longest first flight that is read before a choice is made. Real ones, post-quantum shares included, have 2 KiB. */
export const HELLO_BYTES_MAX = 16_384;

// Whatever is wrong with a hello, OpenSSL knows the alert for it; it only needs some certificate to be started with.
const UNREADABLE: ClientHello = { serverName: undefined, protocols: [] };

/** Reads a ClientHello from the first bytes of a connection: undefined if there must be more, null if it is not TLS. */
export function parseClientHello(bytes: Buffer): ClientHello | undefined | null {
  if (bytes.length === 0) return undefined;
  if (bytes[0] !== HANDSHAKE || (bytes.length > 1 && bytes[1] !== 3)) return null;
  const message = helloMessage(bytes);
  if (message === undefined) return bytes.length < HELLO_BYTES_MAX ? undefined : UNREADABLE;
  try {
    return readHello(new Fields(message, 4));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return UNREADABLE;
  }
}

/** The handshake message, joined from as many records as it came in; undefined if it is not complete. */
function helloMessage(bytes: Buffer): Buffer | undefined {
  const fragments: Buffer[] = [];
  let gathered = 0;
  let needed = 4;
  for (let at = 0; at + RECORD_HEADER <= bytes.length; ) {
    const length = bytes.readUInt16BE(at + 3);
    if (bytes[at] !== HANDSHAKE || length === 0 || length > RECORD_MAX) return Buffer.alloc(0);
    const fragment = bytes.subarray(at + RECORD_HEADER, at + RECORD_HEADER + length);
    fragments.push(fragment);
    gathered += fragment.length;
    if (gathered >= 4 && needed === 4) {
      const head = Buffer.concat(fragments);
      if (head[0] !== CLIENT_HELLO) return Buffer.alloc(0);
      needed = 4 + head.readUIntBE(1, 3);
    }
    if (gathered >= needed && needed > 4) return Buffer.concat(fragments).subarray(0, needed);
    at += RECORD_HEADER + length;
  }
  return undefined;
}

function readHello(hello: Fields): ClientHello {
  hello.skip(2 + 32);
  hello.skip(hello.uint(1));
  hello.skip(hello.uint(2));
  hello.skip(hello.uint(1));
  let serverName: string | undefined;
  let protocols: readonly string[] = [];
  if (hello.left() === 0) return UNREADABLE;
  const extensions = hello.inner(hello.uint(2));
  while (extensions.left() > 0) {
    const type = extensions.uint(2);
    const extension = extensions.inner(extensions.uint(2));
    if (type === SERVER_NAME) serverName = readServerName(extension);
    else if (type === ALPN) protocols = readProtocols(extension);
  }
  return { serverName, protocols };
}

function readServerName(extension: Fields): string | undefined {
  const names = extension.inner(extension.uint(2));
  if (names.uint(1) !== 0) return undefined;
  return normalServerName(names.text(names.uint(2)));
}

function readProtocols(extension: Fields): string[] {
  const list = extension.inner(extension.uint(2));
  const protocols: string[] = [];
  while (list.left() > 0) protocols.push(list.text(list.uint(1)));
  return protocols;
}

/** The one form in which server names are compared; undefined for what cannot be a host name. */
export function normalServerName(name: string): string | undefined {
  const bare = name.endsWith(".") ? name.slice(0, -1) : name;
  return bare.length <= 253 && /^[\w.:-]+$/.test(bare) ? bare.toLowerCase() : undefined;
}

/** Fields one after the other. Reading past the end throws RangeError, as Buffer does. */
class Fields {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  left(): number {
    return this.#bytes.length - this.#at;
  }

  skip(length: number): number {
    const start = this.#at;
    if (length > this.left()) throw new RangeError("past the end");
    this.#at += length;
    return start;
  }

  uint(size: number): number {
    return this.#bytes.readUIntBE(this.skip(size), size);
  }

  inner(length: number): Fields {
    const start = this.skip(length);
    return new Fields(this.#bytes.subarray(start, start + length), 0);
  }

  text(length: number): string {
    const start = this.skip(length);
    return this.#bytes.toString("latin1", start, start + length);
  }
}

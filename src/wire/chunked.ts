import { isForwardedInAnySpelling } from "./forwarded.ts";
import { trimmed } from "./request-head.ts";

/** What `next` found. */
export const MORE = 0;
export const DATA = 1;
export const END = 2;
export const BAD = 3;

const EXTENSION_BYTES_MAX = 16 * 1024;
const TRAILER_BYTES_MAX = 16 * 1024;
const TRAILERS_MAX = 64;
// Without the white space that RFC 9112 §7.1.1 calls bad.
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const QUOTED = '"(?:[\\t !#-[\\]-~\\x80-\\xff]|\\\\[\\t -~\\x80-\\xff])*"';
const EXTENSIONS = new RegExp(`^(?:;${TOKEN}(?:=(?:${TOKEN}|${QUOTED}))?)+$`);
const CR = 0x0d;
const LF = 0x0a;

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const BODY = 3;
const BODY_CR = 4;
const BODY_LF = 5;
const TRAILER_START = 6;
const TRAILER_LINE = 7;
const TRAILER_LF = 8;
const LAST_LF = 9;
const DONE = 10;

/**
 * Takes chunk framing off, strictly (RFC 9112 §7.1), whatever pieces it comes in. Data is never copied: after `DATA`,
 * it lies between `dataStart` and `dataEnd` of the buffer that was given.
 */
export class ChunkedDecoder {
  dataStart: number;
  dataEnd: number;
  /** Where to go on reading. */
  at: number;
  /** A flat list, checked, after `END`; undefined if there were none. */
  trailers: string[] | undefined;
  #state: number;
  #left: number;
  #digits: number;
  #extensionBytes: number;
  #trailerBytes: number;
  #line: string;
  readonly #ofRequest: boolean;

  /** Trailers that frame a message are a fault in requests; in replies they are only dropped. */
  constructor(ofRequest = false) {
    this.#ofRequest = ofRequest;
    this.dataStart = 0;
    this.dataEnd = 0;
    this.at = 0;
    this.trailers = undefined;
    this.#state = SIZE;
    this.#left = 0;
    this.#digits = 0;
    this.#extensionBytes = 0;
    this.#trailerBytes = 0;
    this.#line = "";
  }

  /** Reads on from `at`, up to the next piece of data, the end, or the end of the buffer. */
  next(bytes: Buffer, from: number): number {
    const end = bytes.length;
    for (let at = from; at < end; ) {
      if (this.#state === BODY) return this.#data(at, end);
      const byte = bytes[at]!;
      at++;
      if (!this.#take(byte)) return BAD;
      if (this.#state === DONE) {
        this.at = at;
        return END;
      }
    }
    this.at = end;
    return MORE;
  }

  #data(at: number, end: number): number {
    this.dataStart = at;
    this.dataEnd = Math.min(end, at + this.#left);
    this.#left -= this.dataEnd - at;
    this.at = this.dataEnd;
    if (this.#left === 0) this.#state = BODY_CR;
    return DATA;
  }

  /** One byte of the framing. False: not allowed there. */
  #take(byte: number): boolean {
    switch (this.#state) {
      case SIZE:
        return this.#size(byte);
      case EXTENSION:
        return this.#extension(byte);
      case SIZE_LF:
        if (byte !== LF) return false;
        this.#state = this.#left === 0 ? TRAILER_START : BODY;
        this.#digits = 0;
        return true;
      case BODY_CR:
        this.#state = BODY_LF;
        return byte === CR;
      case BODY_LF:
        this.#state = SIZE;
        return byte === LF;
      default:
        return this.#trailer(byte);
    }
  }

  #size(byte: number): boolean {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#left = this.#left * 16 + digit;
      this.#digits++;
      return this.#digits <= 16 && this.#left <= Number.MAX_SAFE_INTEGER;
    }
    if (this.#digits === 0) return false;
    if (byte === CR) {
      this.#state = SIZE_LF;
      return true;
    }
    if (byte !== 0x3b) return false;
    this.#state = EXTENSION;
    this.#line = ";";
    return true;
  }

  #extension(byte: number): boolean {
    if (++this.#extensionBytes > EXTENSION_BYTES_MAX) return false;
    if (byte === CR) {
      this.#state = SIZE_LF;
      const line = this.#line;
      this.#line = "";
      return EXTENSIONS.test(line);
    }
    this.#line += String.fromCharCode(byte);
    return byte === 0x09 || (byte >= 0x20 && byte !== 0x7f);
  }

  #trailer(byte: number): boolean {
    if (++this.#trailerBytes > TRAILER_BYTES_MAX) return false;
    switch (this.#state) {
      case TRAILER_START:
        if (byte === CR) {
          this.#state = LAST_LF;
          return true;
        }
        this.#state = TRAILER_LINE;
        this.#line = String.fromCharCode(byte);
        return byte !== LF;
      case TRAILER_LINE:
        if (byte === CR) this.#state = TRAILER_LF;
        else this.#line += String.fromCharCode(byte);
        return byte !== LF;
      case TRAILER_LF:
        this.#state = TRAILER_START;
        return byte === LF && this.#addTrailer();
      case LAST_LF:
        this.#state = DONE;
        return byte === LF;
    }
    return false;
  }

  #addTrailer(): boolean {
    const line = this.#line;
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    const value = trimmed(line, colon + 1, line.length);
    if (colon < 1 || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) return false;
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) return false;
    if (this.#ofRequest && /^(?:transfer-encoding|content-length|host)$/i.test(name)) return false;
    this.trailers ??= [];
    if (this.trailers.length >= TRAILERS_MAX * 2) return false;
    this.trailers.push(name, value);
    return true;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

export const LAST_CHUNK = "0\r\n\r\n";

/** The end of a chunked body with trailers. */
export function lastChunk(trailers: readonly string[] | undefined): string {
  if (trailers === undefined || trailers.length === 0) return LAST_CHUNK;
  let text = "0\r\n";
  for (let i = 0; i < trailers.length; i += 2) text += `${trailers[i]}: ${trailers[i + 1]}\r\n`;
  return `${text}\r\n`;
}

// Fields that frame, route, authorise, condition or describe the message, and cookies: RFC 9110 §6.5.1. A recipient
// that merges trailers into headers would take them for the real ones.
const NOT_IN_TRAILERS = new Set([
  "age",
  "authorization",
  "cache-control",
  "connection",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "cookie",
  "date",
  "expect",
  "expires",
  "host",
  "http2-settings",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "keep-alive",
  "location",
  "max-forwards",
  "pragma",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "range",
  "retry-after",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "vary",
  "via",
  "warning",
  "www-authenticate",
]);

/** Whether a field may stand behind a message, whichever way it goes. */
export function mayBeTrailer(name: string): boolean {
  return !NOT_IN_TRAILERS.has(name.toLowerCase()) && !isForwardedInAnySpelling(name);
}

/** The trailers of a reply that a client may see, or undefined when none is left. */
export function allowedTrailers(trailers: readonly string[]): string[] | undefined {
  const kept: string[] = [];
  for (let i = 0; i < trailers.length; i += 2) {
    if (mayBeTrailer(trailers[i]!)) kept.push(trailers[i]!, trailers[i + 1]!);
  }
  return kept.length === 0 ? undefined : kept;
}

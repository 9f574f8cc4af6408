import { FAULTS, type Fault } from "../model/fault.ts";
import { HeadBuffer, headEnd } from "../wire/head-buffer.ts";
import type { HeadLimits } from "../wire/limits.ts";

/** What `take` came to. */
export const PARTIAL = 0;
export const WHOLE = 1;
export const REFUSED = 2;

const CR = 0x0d;
const LF = 0x0a;
const EMPTY = Buffer.alloc(0);

/** Finds where a request's head ends, whatever pieces it comes in. Most come whole, and are never copied. */
export class HeadReader {
  /** After `WHOLE`: the head, and the bytes in which it ends before `end`. */
  text: string;
  bytes: Buffer;
  end: number;
  /** After `REFUSED`. */
  fault: Fault;
  detail: string;
  /** `performance.now()` at the first byte. */
  startedAtMs: number;
  readonly #limits: HeadLimits;
  readonly #pending: HeadBuffer;
  #skippedLine: boolean;

  constructor(limits: HeadLimits) {
    this.text = "";
    this.bytes = EMPTY;
    this.end = 0;
    this.fault = FAULTS["bad-request"];
    this.detail = "";
    this.startedAtMs = 0;
    this.#limits = limits;
    this.#pending = new HeadBuffer();
    this.#skippedLine = false;
  }

  /** Nothing of a head has come. */
  get isEmpty(): boolean {
    return this.#pending.length === 0;
  }

  /** Keeps nothing alive. */
  clear(): void {
    this.#pending.clear();
    this.text = "";
    this.bytes = EMPTY;
  }

  take(chunk: Buffer): number {
    if (this.#pending.length === 0) {
      this.startedAtMs = performance.now();
      const end = chunk[0] === CR ? -1 : headEnd(chunk, 0);
      if (end >= 0) return this.#found(chunk, end);
    }
    return this.#takePart(chunk);
  }

  #found(bytes: Buffer, end: number): number {
    this.#skippedLine = false;
    this.text = bytes.toString("latin1", 0, end);
    this.bytes = bytes;
    this.end = end;
    return WHOLE;
  }

  #takePart(chunk: Buffer): number {
    const pending = this.#pending;
    const from = pending.length;
    pending.add(chunk);
    const bytes = pending.bytes();
    // RFC 9112 §2.2: one empty line before a request is forgiven.
    if (bytes[0] === CR && bytes.length >= 2 && bytes[1] === LF && !this.#skippedLine) {
      this.#skippedLine = true;
      const rest = Buffer.from(bytes.subarray(2));
      pending.clear();
      return rest.length > 0 ? this.take(rest) : PARTIAL;
    }
    const end = pending.end(from);
    if (end >= 0) {
      pending.clear();
      return this.#found(bytes, end);
    }
    return this.#mayBecomeHead(bytes);
  }

  #mayBecomeHead(bytes: Buffer): number {
    const { lineBytesMax, headBytesMax } = this.#limits;
    if (bytes[0] === CR && (this.#skippedLine || (bytes.length > 1 && bytes[1] !== LF))) {
      return this.#refuse(FAULTS["bad-request"], "empty line");
    }
    if (this.#pending.hasBareLineEnd()) return this.#refuse(FAULTS["bad-request"], "bare CR or LF");
    if (bytes.length > lineBytesMax + 2 && bytes.indexOf("\r\n") < 0) {
      return this.#refuse(FAULTS["uri-too-long"], "request line");
    }
    if (bytes.length > headBytesMax) return this.#refuse(FAULTS["headers-too-large"], "head");
    return PARTIAL;
  }

  #refuse(fault: Fault, detail: string): number {
    this.fault = fault;
    this.detail = detail;
    return REFUSED;
  }
}

import { sameName } from "../lib/same-name.ts";
import type { HeadLimits, ReplyFault } from "./limits.ts";
import { trimmed } from "./request-head.ts";

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
// Every line of a good head, up to the empty one. The lines are only looked at one by one to say what is wrong.
const HEADERS = /(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n/y;
const REASON = /^(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const LENGTH = /^\d{1,16}$/;

/** One reply's head, read as strictly as requests are: a server that cannot be understood is not guessed at. */
export class ReplyHead {
  status: number;
  /** 10 or 11. */
  version: number;
  /** Without hop-by-hop headers; Content-Length stays. */
  headers: string[];
  /** -1 when there is none. */
  contentLength: number;
  chunked: boolean;
  keepAlive: boolean;
  /** Lower-case; only looked at after a 101. */
  upgrade: string | undefined;
  nominated: string[] | undefined;
  fault: ReplyFault | undefined;
  detail: string;

  constructor() {
    this.status = 0;
    this.version = 11;
    this.headers = [];
    this.contentLength = -1;
    this.chunked = false;
    this.keepAlive = true;
    this.upgrade = undefined;
    this.nominated = undefined;
    this.fault = undefined;
    this.detail = "";
  }

  fail(fault: ReplyFault, detail: string): ReplyHead {
    this.fault = fault;
    this.detail = detail;
    return this;
  }
}

/** Reads a head given as latin1 text that ends with the empty line. */
export function parseReplyHead(text: string, limits: HeadLimits): ReplyHead {
  const head = new ReplyHead();
  if (text.length > limits.headBytesMax) return head.fail("reply-too-large", "head");
  const lineEnd = text.indexOf("\r\n");
  if (!parseStatusLine(text, lineEnd, head)) return head.fail("bad-reply", "status line");
  if (!parseHeaders(text, lineEnd + 2, head, limits.headersMax)) return head;
  if (head.chunked && (head.contentLength >= 0 || head.version === 10)) {
    return head.fail("bad-reply", "Transfer-Encoding with Content-Length or HTTP/1.0");
  }
  if (head.nominated !== undefined) dropNominated(head.headers, head.nominated);
  return head;
}

function parseStatusLine(text: string, lineEnd: number, head: ReplyHead): boolean {
  if (lineEnd < 12 || !text.startsWith("HTTP/1.") || text.charCodeAt(8) !== 0x20) return false;
  const minor = text.charCodeAt(7);
  if (minor !== 0x31 && minor !== 0x30) return false;
  head.version = minor === 0x31 ? 11 : 10;
  head.keepAlive = minor === 0x31;
  const hundreds = text.charCodeAt(9) - 0x30;
  const tens = text.charCodeAt(10) - 0x30;
  const ones = text.charCodeAt(11) - 0x30;
  // RFC 9110 §15: the first digit is 1 to 5. Statuses above 599 are in use all the same, so they pass.
  if (!(hundreds >= 1 && hundreds <= 9 && tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9)) return false;
  head.status = hundreds * 100 + tens * 10 + ones;
  return lineEnd === 12 || REASON.test(text.slice(12, lineEnd));
}

function parseHeaders(text: string, start: number, head: ReplyHead, headersMax: number): boolean {
  HEADERS.lastIndex = start;
  const isGood = HEADERS.test(text);
  let count = 0;
  for (let at = start; ; ) {
    const end = text.indexOf("\r\n", at);
    if (end === at) return true;
    const colon = text.indexOf(":", at);
    if (colon < 0 || colon > end) return fail(head, "bad-reply", "line without a colon");
    if (++count > headersMax) return fail(head, "reply-too-large", "number of headers");
    const name = text.slice(at, colon);
    const value = trimmed(text, colon + 1, end);
    at = end + 2;
    if (!isGood && !NAME.test(name)) return fail(head, "bad-reply", "header name");
    if (!isGood && !VALUE.test(value)) return fail(head, "bad-reply", "header value");
    if (!takeHeader(head, name, value)) return false;
  }
}

function fail(head: ReplyHead, fault: ReplyFault, detail: string): false {
  head.fail(fault, detail);
  return false;
}

function takeHeader(head: ReplyHead, name: string, value: string): boolean {
  switch (name.length) {
    case 7:
      if (sameName(name, "trailer")) return true;
      if (!sameName(name, "upgrade")) break;
      head.upgrade = value.toLowerCase();
      return true;
    case 10:
      if (sameName(name, "keep-alive")) return true;
      if (sameName(name, "connection")) return takeConnection(head, value);
      break;
    case 14:
      if (sameName(name, "http2-settings")) return true;
      if (!sameName(name, "content-length")) break;
      if (head.contentLength >= 0) return fail(head, "bad-reply", "two Content-Length headers");
      if (!LENGTH.test(value)) return fail(head, "bad-reply", "Content-Length");
      head.contentLength = Number(value);
      if (!Number.isSafeInteger(head.contentLength)) return fail(head, "bad-reply", "Content-Length");
      break;
    case 16:
      if (sameName(name, "proxy-connection")) return true;
      break;
    case 17:
      if (!sameName(name, "transfer-encoding")) break;
      if (head.chunked) return fail(head, "bad-reply", "two Transfer-Encoding headers");
      if (!sameName(value, "chunked")) return fail(head, "bad-reply", "Transfer-Encoding");
      head.chunked = true;
      return true;
    case 18:
      if (sameName(name, "proxy-authenticate")) return true;
      break;
    case 19:
      if (sameName(name, "proxy-authorization")) return true;
      break;
  }
  head.headers.push(name, value);
  return true;
}

function takeConnection(head: ReplyHead, value: string): boolean {
  if (sameName(value, "keep-alive")) {
    head.keepAlive ||= head.version === 10;
    return true;
  }
  for (const part of value.toLowerCase().split(",")) {
    const token = trimmed(part, 0, part.length);
    if (token === "close") head.keepAlive = false;
    else if (token === "keep-alive") head.keepAlive ||= head.version === 10;
    else if (token !== "" && token !== "upgrade") {
      // A reply cannot have the headers taken away that a client must see whatever the proxy is.
      if (token === "set-cookie" || token === "content-length" || token === "transfer-encoding") {
        return fail(head, "bad-reply", "Connection names a header that is not hop-by-hop");
      }
      head.nominated ??= [];
      head.nominated.push(token);
    }
  }
  return true;
}

/** Takes out the headers that Connection named. */
export function dropNominated(headers: string[], nominated: readonly string[]): void {
  let kept = 0;
  for (let i = 0; i < headers.length; i += 2) {
    if (nominated.includes(headers[i]!.toLowerCase())) continue;
    headers[kept] = headers[i]!;
    headers[kept + 1] = headers[i + 1]!;
    kept += 2;
  }
  headers.length = kept;
}

import { sameName } from "../lib/same-name.ts";
import type { HeadLimits, RequestFault } from "./limits.ts";

/** What the names of headers may be like: `_` and `.` pass for `-` in many applications. */
export type UnderscoreStrategy = "delete" | "reject" | "keep";

const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/;
const PLAIN_NAME = /^[!#$%&'*+^`|~0-9A-Za-z-]+$/;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
// Every line of a head as nearly all clients send it, up to the empty one: one look instead of two for each header.
// Linear: a name ends at its colon and a value at its CR, so there is one way only to match.
const PLAIN_HEADERS = /(?:[!#$%&'*+^`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n/y;
const LENGTH = /^(?:0|[1-9]\d{0,15})$/;
const OTHER_CODING = /^(?:x-)?(?:gzip|compress|deflate|br|zstd)$/;

/**
 * One request's head, read strictly: whatever two HTTP implementations might understand differently is a fault.
 * `parse` fills a fresh one; after a fault the other fields mean nothing.
 */
export class RequestHead {
  method: string;
  target: string;
  /** 10 or 11. */
  version: number;
  /** Without hop-by-hop headers and Host, but with Content-Length. */
  headers: string[];
  host: string | undefined;
  /** -1 when there is none. */
  contentLength: number;
  chunked: boolean;
  /** The connection may carry another request after this one. */
  keepAlive: boolean;
  /** `Connection: upgrade` and this Upgrade header. */
  upgrade: string | undefined;
  expectsContinue: boolean;
  acceptsTrailers: boolean;
  /** Lower-case names that Connection makes hop-by-hop, beyond those that always are. */
  nominated: string[] | undefined;
  /** Some header's name starts as forwarded headers do. */
  mayBeForwarded: boolean;
  /** A Via header says that the request has been here before. */
  via: boolean;
  fault: RequestFault | undefined;
  detail: string;

  constructor() {
    this.method = "";
    this.target = "";
    this.version = 11;
    this.headers = [];
    this.host = undefined;
    this.contentLength = -1;
    this.chunked = false;
    this.keepAlive = true;
    this.upgrade = undefined;
    this.expectsContinue = false;
    this.acceptsTrailers = false;
    this.nominated = undefined;
    this.mayBeForwarded = false;
    this.via = false;
    this.fault = undefined;
    this.detail = "";
  }

  fail(fault: RequestFault, detail: string): RequestHead {
    this.fault = fault;
    this.detail = detail;
    return this;
  }
}

/** Reads a head given as latin1 text that ends with the empty line. */
export function parseRequestHead(
  text: string,
  limits: HeadLimits,
  underscores: UnderscoreStrategy,
): RequestHead {
  const head = new RequestHead();
  const lineEnd = text.indexOf("\r\n");
  if (lineEnd > limits.lineBytesMax) return head.fail("uri-too-long", "request line");
  if (text.length > limits.headBytesMax) return head.fail("headers-too-large", "head");
  if (!parseRequestLine(text, lineEnd, head)) return head;
  const seen = parseHeaders(text, lineEnd + 2, head, limits.headersMax, underscores);
  if (head.fault !== undefined) return head;
  return checkTogether(head, seen);
}

function parseRequestLine(text: string, lineEnd: number, head: RequestHead): boolean {
  const methodEnd = text.indexOf(" ");
  const targetEnd = lineEnd - 9;
  if (methodEnd < 1 || targetEnd <= methodEnd || text.charCodeAt(targetEnd) !== 0x20) {
    return wrongRequestLine(text.slice(0, lineEnd), head);
  }
  const minor = text.charCodeAt(lineEnd - 1);
  if (!text.startsWith("HTTP/1.", targetEnd + 1) || (minor !== 0x31 && minor !== 0x30)) {
    return wrongRequestLine(text.slice(0, lineEnd), head);
  }
  head.version = minor === 0x31 ? 11 : 10;
  head.method = text.slice(0, methodEnd);
  head.target = text.slice(methodEnd + 1, targetEnd);
  if (head.method !== "GET" && !METHOD.test(head.method)) {
    head.fail("bad-request", "method");
    return false;
  }
  return true;
}

function wrongRequestLine(line: string, head: RequestHead): false {
  const version = /^[^ ]+ [^ ]+ HTTP\/(\d)\.\d$/.exec(line);
  const later = version !== null && Number(version[1]) >= 2 && !line.startsWith("PRI ");
  head.fail(later ? "bad-version" : "bad-request", later ? "version" : "request line");
  return false;
}

/** Bits for headers that may come once only. */
const SEEN_TE = 1;
const SEEN_EXPECT = 2;
const SEEN_UPGRADE_TOKEN = 4;
const SEEN_CLOSE = 8;
const SEEN_KEEP_ALIVE = 16;

function parseHeaders(
  text: string,
  start: number,
  head: RequestHead,
  headersMax: number,
  underscores: UnderscoreStrategy,
): number {
  const headers = head.headers;
  PLAIN_HEADERS.lastIndex = start;
  const plain = PLAIN_HEADERS.test(text);
  let seen = 0;
  let count = 0;
  for (let at = start; ; ) {
    const end = text.indexOf("\r\n", at);
    if (end === at) return seen;
    const colon = text.indexOf(":", at);
    if (colon < 0 || colon > end) return stop(head, "bad-header", "line without a colon");
    if (++count > headersMax) return stop(head, "headers-too-large", "number of headers");
    const name = text.slice(at, colon);
    const value = trimmed(text, colon + 1, end);
    at = end + 2;
    if (!plain && !isWanted(name, value, head, underscores)) {
      if (head.fault !== undefined) return seen;
      continue;
    }
    seen = takeHeader(head, headers, name, value, seen);
    if (head.fault !== undefined) return seen;
  }
}

function isWanted(name: string, value: string, head: RequestHead, underscores: UnderscoreStrategy): boolean {
  if (!VALUE.test(value)) head.fail("bad-header", "header value");
  else if (PLAIN_NAME.test(name)) return true;
  else if (!NAME.test(name)) head.fail("bad-header", "header name");
  else if (underscores === "reject") head.fail("bad-header", "header name with _ or .");
  else return underscores === "keep";
  return false;
}

function stop(head: RequestHead, fault: RequestFault, detail: string): number {
  head.fail(fault, detail);
  return 0;
}

/** The text between two offsets without spaces and tabs at its ends. */
export function trimmed(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

const isBlank = (code: number) => code === 0x20 || code === 0x09;

// A switch on the length first: most headers of a browser are told apart from the special ones by it alone.
function takeHeader(head: RequestHead, headers: string[], name: string, value: string, seen: number): number {
  switch (name.length) {
    case 2:
      if (!sameName(name, "te")) break;
      if (/(?:^|,)[ \t]*trailers[ \t]*(?:$|[,;])/i.test(value)) head.acceptsTrailers = true;
      return seen;
    case 3:
      if (sameName(name, "via")) head.via = true;
      break;
    case 4:
      if (!sameName(name, "host")) break;
      if (head.host !== undefined) return stop(head, "bad-host", "two Host headers");
      head.host = value;
      return seen;
    case 6:
      if (!sameName(name, "expect")) break;
      if ((seen & SEEN_EXPECT) !== 0) return stop(head, "bad-expectation", "two Expect headers");
      if (!sameName(value, "100-continue")) return stop(head, "bad-expectation", "Expect");
      head.expectsContinue = true;
      return seen | SEEN_EXPECT;
    case 7:
      if (sameName(name, "trailer")) return seen;
      if (!sameName(name, "upgrade")) break;
      // Two protocols at once would have to be chosen between; nobody needs that, so neither is switched to.
      head.upgrade = head.upgrade === undefined ? value.toLowerCase() : "";
      return seen;
    case 10:
      if (sameName(name, "keep-alive")) return seen;
      if (sameName(name, "connection")) return takeConnection(head, value, seen);
      break;
    case 14:
      if (sameName(name, "http2-settings")) return seen;
      if (!sameName(name, "content-length")) break;
      if (head.contentLength >= 0) return stop(head, "bad-framing", "two Content-Length headers");
      if (!LENGTH.test(value)) return stop(head, "bad-framing", "Content-Length");
      head.contentLength = Number(value);
      if (!Number.isSafeInteger(head.contentLength)) return stop(head, "bad-framing", "Content-Length");
      break;
    case 16:
      if (sameName(name, "proxy-connection")) return seen;
      break;
    case 17:
      if (!sameName(name, "transfer-encoding")) break;
      return takeTransferEncoding(head, value, seen);
    case 18:
      if (sameName(name, "proxy-authenticate")) return seen;
      break;
    case 19:
      if (sameName(name, "proxy-authorization")) return seen;
      break;
  }
  const first = name.charCodeAt(0) | 0x20;
  if (first === 0x78 || first === 0x66) head.mayBeForwarded = true;
  headers.push(name, value);
  return seen;
}

function takeTransferEncoding(head: RequestHead, value: string, seen: number): number {
  if ((seen & SEEN_TE) !== 0) return stop(head, "bad-framing", "two Transfer-Encoding headers");
  if (!sameName(value, "chunked")) {
    const codings = value.toLowerCase().split(/[ \t]*,[ \t]*/);
    const other = codings.every((coding) => coding === "chunked" || OTHER_CODING.test(coding));
    const known = other && codings.some((coding) => coding !== "chunked");
    return stop(head, known ? "coding-refused" : "bad-framing", "Transfer-Encoding");
  }
  head.chunked = true;
  return seen | SEEN_TE;
}

function takeConnection(head: RequestHead, value: string, seen: number): number {
  if (sameName(value, "keep-alive")) return seen | SEEN_KEEP_ALIVE;
  if (sameName(value, "close")) return seen | SEEN_CLOSE;
  let now = seen;
  for (const part of value.toLowerCase().split(",")) {
    const token = trimmed(part, 0, part.length);
    if (token === "close") now |= SEEN_CLOSE;
    else if (token === "keep-alive") now |= SEEN_KEEP_ALIVE;
    else if (token === "upgrade") now |= SEEN_UPGRADE_TOKEN;
    else if (token === "host" || token === "content-length" || token === "transfer-encoding") {
      return stop(head, "bad-header", "Connection names a header that frames or routes the request");
    } else if (token !== "" && token !== "te") {
      if (!NAME.test(token)) return stop(head, "bad-header", "Connection");
      head.nominated ??= [];
      head.nominated.push(token);
    }
  }
  return now;
}

function checkTogether(head: RequestHead, seen: number): RequestHead {
  const { version, host } = head;
  if (head.chunked) {
    if (head.contentLength >= 0) return head.fail("bad-framing", "Content-Length and Transfer-Encoding");
    if (version === 10) return head.fail("bad-framing", "Transfer-Encoding in HTTP/1.0");
  }
  if (host === undefined && version === 11) return head.fail("bad-host", "no Host header");
  head.keepAlive = (seen & SEEN_CLOSE) === 0 && (version === 11 || (seen & SEEN_KEEP_ALIVE) !== 0);
  if ((seen & SEEN_UPGRADE_TOKEN) === 0) head.upgrade = undefined;
  // RFC 9110 §10.1.1: an HTTP/1.0 client does not know interim replies.
  if (version === 10) head.expectsContinue = false;
  return head;
}

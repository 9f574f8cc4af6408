import { sameName } from "../lib/same-name.ts";
import type { HeadLimits } from "../wire/limits.ts";
import { RequestHead, type UnderscoreStrategy } from "../wire/request-head.ts";
import { isForbidden } from "./http2-reply-head.ts";

const PLAIN_NAME = /^[!#$%&'*+^`|~0-9a-z-]+$/;
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const COLON = 0x3a;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/;

/** The head of an HTTP/2 request in the form that HTTP/1.1 heads have, so that one policy serves both. */
export class Http2Head extends RequestHead {
  /** `:scheme`, or empty. */
  scheme = "";
  /** `:protocol` of an extended CONNECT (RFC 8441). */
  protocol: string | undefined = undefined;
  /** Not only refused, but no HTTP/2 request at all (RFC 9113 §8.1.1). */
  malformed = false;
  hasAuthority = false;
  hasPath = false;
  cookie: string | undefined = undefined;

  failAsMalformed(fault: NonNullable<RequestHead["fault"]>, detail: string): void {
    this.malformed = true;
    this.fail(fault, detail);
  }
}

/**
 * Reads the list of a decoded field block, whose size the decoder has bounded. What RFC 9113 §8.2 and §8.3 forbid is
 * refused: above all what would mean something else to an HTTP/1.1 server.
 */
export function readHttp2Head(
  raw: readonly string[],
  limits: HeadLimits,
  underscores: UnderscoreStrategy,
): Http2Head {
  const head = new Http2Head();
  head.version = 20;
  head.acceptsTrailers = true;
  let isBehindFields = false;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    if (!isValue(value)) {
      malformed(head, "bad-header", "header value");
      return head;
    }
    if (name.charCodeAt(0) === COLON) {
      if (isBehindFields) malformed(head, "bad-header", "pseudo-header behind a header");
      if (isBehindFields || !takePseudo(head, name, value)) return head;
    } else {
      isBehindFields = true;
      if (!takeHeader(head, name, value, underscores)) return head;
    }
  }
  if (head.headers.length > limits.headersMax * 2)
    return fail(head, "headers-too-large", "number of headers");
  return checkTogether(head, limits);
}

/** RFC 9113 §8.2.1. */
function isValue(value: string): boolean {
  return VALUE.test(value) && !isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(value.length - 1));
}

const isBlank = (code: number) => code === 0x20 || code === 0x09;

/** The trailers of a request, or undefined when they are malformed (RFC 9113 §8.1). */
export function readTrailers(list: string[]): string[] | undefined {
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i]!;
    if (!NAME.test(name) || isForbidden(name) || !isValue(list[i + 1]!)) return undefined;
  }
  return list;
}

function fail(head: Http2Head, fault: NonNullable<RequestHead["fault"]>, detail: string): Http2Head {
  head.fail(fault, detail);
  return head;
}

function malformed(head: Http2Head, fault: NonNullable<RequestHead["fault"]>, detail: string): false {
  head.failAsMalformed(fault, detail);
  return false;
}

function refuse(head: Http2Head, fault: NonNullable<RequestHead["fault"]>, detail: string): false {
  head.fail(fault, detail);
  return false;
}

function takePseudo(head: Http2Head, name: string, value: string): boolean {
  switch (name) {
    case ":method":
      if (head.method !== "") return malformed(head, "bad-request", "two of :method");
      head.method = value;
      return METHOD.test(value) || malformed(head, "bad-request", "method");
    case ":path":
      if (head.hasPath) return malformed(head, "bad-target", "two of :path");
      head.hasPath = true;
      head.target = value;
      return true;
    case ":authority":
      if (head.hasAuthority) return malformed(head, "bad-host", "two of :authority");
      head.hasAuthority = true;
      head.host = value;
      return true;
    case ":scheme":
      if (head.scheme !== "") return malformed(head, "bad-target", "two of :scheme");
      head.scheme = value;
      return value === "https" || value === "http" || malformed(head, "bad-target", "scheme");
    case ":protocol":
      if (head.protocol !== undefined) return malformed(head, "bad-request", "two of :protocol");
      head.protocol = value.toLowerCase();
      return true;
    default:
      return malformed(head, "bad-header", "unknown pseudo-header");
  }
}

function takeHeader(head: Http2Head, name: string, value: string, underscores: UnderscoreStrategy): boolean {
  if (!PLAIN_NAME.test(name)) {
    if (!NAME.test(name)) return malformed(head, "bad-header", "header name");
    if (underscores === "reject") return refuse(head, "bad-header", "header name with _ or .");
    if (underscores === "delete") return true;
  }
  switch (name.length) {
    case 2:
      if (name === "te") return value === "trailers" || malformed(head, "bad-header", "te");
      break;
    case 3:
      if (name === "via") head.via = true;
      break;
    case 4:
      if (name !== "host") break;
      if (head.host !== undefined && head.host.toLowerCase() !== value.toLowerCase())
        return refuse(head, "bad-host", "Host differs from :authority");
      head.host ??= value;
      return true;
    case 6:
      if (name === "cookie") return takeCookie(head, value);
      if (name !== "expect") break;
      if (head.expectsContinue || !sameName(value, "100-continue"))
        return refuse(head, "bad-expectation", "Expect");
      head.expectsContinue = true;
      return true;
    case 7:
      if (name === "trailer") return true;
      if (name === "upgrade") return malformed(head, "bad-header", "connection header in HTTP/2");
      break;
    case 10:
    case 16:
    case 17:
      if (isConnectionHeader(name)) return malformed(head, "bad-header", "connection header in HTTP/2");
      break;
    case 14:
      if (name === "http2-settings") return true;
      if (name === "content-length" && !takeLength(head, value)) return false;
      break;
    case 18:
    case 19:
      if (name === "proxy-authenticate" || name === "proxy-authorization") return true;
      break;
  }
  const first = name.charCodeAt(0);
  if (first === 0x78 || first === 0x66) head.mayBeForwarded = true;
  head.headers.push(name, value);
  return true;
}

function isConnectionHeader(name: string): boolean {
  return (
    name === "connection" ||
    name === "keep-alive" ||
    name === "proxy-connection" ||
    name === "transfer-encoding"
  );
}

// RFC 9113 §8.2.3: crumbs are one header again before HTTP/1.1 sees them.
function takeCookie(head: Http2Head, value: string): true {
  head.cookie = head.cookie === undefined ? value : `${head.cookie}; ${value}`;
  return true;
}

function takeLength(head: Http2Head, value: string): boolean {
  if (head.contentLength >= 0) return malformed(head, "bad-framing", "two Content-Length headers");
  if (!/^(?:0|[1-9]\d{0,15})$/.test(value)) return malformed(head, "bad-framing", "Content-Length");
  head.contentLength = Number(value);
  return Number.isSafeInteger(head.contentLength) || malformed(head, "bad-framing", "Content-Length");
}

function checkTogether(head: Http2Head, limits: HeadLimits): Http2Head {
  if (head.cookie !== undefined) head.headers.push("cookie", head.cookie);
  if (head.method === "") {
    malformed(head, "bad-request", "no :method");
    return head;
  }
  if (head.host === undefined || head.host === "") return fail(head, "bad-host", "no :authority");
  if (head.target.length > limits.lineBytesMax) return fail(head, "uri-too-long", ":path");
  if (head.method === "CONNECT") return checkConnect(head);
  if (head.protocol !== undefined) return fail(head, "bad-request", ":protocol without CONNECT");
  if (head.scheme === "" || head.target === "") {
    malformed(head, "bad-target", "no :scheme or no :path");
    return head;
  }
  // An absolute form would bring a second authority, which HTTP/2 has no place for.
  const first = head.target.charCodeAt(0);
  const asterisk = head.target === "*" && head.method === "OPTIONS";
  return first === 0x2f || asterisk ? head : fail(head, "bad-target", ":path");
}

/** An extended CONNECT becomes the GET that HTTP/1.1 would have used, and is treated like it from here on. */
function checkConnect(head: Http2Head): Http2Head {
  if (head.protocol === undefined) return fail(head, "connect-refused", "CONNECT");
  if (head.target.charCodeAt(0) !== 0x2f) return fail(head, "bad-target", ":path");
  head.method = "GET";
  head.upgrade = head.protocol;
  return head;
}

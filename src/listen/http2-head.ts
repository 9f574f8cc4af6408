import { sameName } from "../lib/same-name.ts";
import type { HeadLimits } from "../wire/limits.ts";
import { RequestHead, type UnderscoreStrategy } from "../wire/request-head.ts";

const PLAIN_NAME = /^[!#$%&'*+^`|~0-9a-z-]+$/;
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/;

/** The head of an HTTP/2 request in the form that HTTP/1.1 heads have, so that one policy serves both. */
export class Http2Head extends RequestHead {
  /** `:scheme`, or empty. */
  scheme = "";
  /** `:protocol` of an extended CONNECT (RFC 8441). */
  protocol: string | undefined = undefined;
  cookie: string | undefined = undefined;
}

/**
 * Reads the flat list that `node:http2` gives. nghttp2 has refused what RFC 9113 §8.2 and §8.3 forbid; what is checked
 * again here is what must never reach an HTTP/1.1 server, whatever a library lets through.
 */
export function readHttp2Head(
  raw: readonly string[],
  limits: HeadLimits,
  underscores: UnderscoreStrategy,
): Http2Head {
  const head = new Http2Head();
  head.version = 20;
  head.acceptsTrailers = true;
  let bytes = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    bytes += name.length + value.length + 32;
    if (!VALUE.test(value)) return fail(head, "bad-header", "header value");
    if (name.charCodeAt(0) === 0x3a) {
      if (!takePseudo(head, name, value)) return head;
    } else if (!takeHeader(head, name, value, underscores)) return head;
  }
  if (bytes > limits.headBytesMax) return fail(head, "headers-too-large", "head");
  if (head.headers.length > limits.headersMax * 2)
    return fail(head, "headers-too-large", "number of headers");
  return checkTogether(head, limits);
}

function fail(head: Http2Head, fault: NonNullable<RequestHead["fault"]>, detail: string): Http2Head {
  head.fail(fault, detail);
  return head;
}

function refuse(head: Http2Head, fault: NonNullable<RequestHead["fault"]>, detail: string): false {
  head.fail(fault, detail);
  return false;
}

function takePseudo(head: Http2Head, name: string, value: string): boolean {
  switch (name) {
    case ":method":
      head.method = value;
      return METHOD.test(value) || refuse(head, "bad-request", "method");
    case ":path":
      head.target = value;
      return true;
    case ":authority":
      if (head.host !== undefined && head.host !== value)
        return refuse(head, "bad-host", "Host differs from :authority");
      head.host = value;
      return true;
    case ":scheme":
      head.scheme = value;
      return value === "https" || value === "http" || refuse(head, "bad-target", "scheme");
    case ":protocol":
      head.protocol = value.toLowerCase();
      return true;
    default:
      return refuse(head, "bad-header", "unknown pseudo-header");
  }
}

function takeHeader(head: Http2Head, name: string, value: string, underscores: UnderscoreStrategy): boolean {
  if (!PLAIN_NAME.test(name)) {
    if (!NAME.test(name)) return refuse(head, "bad-header", "header name");
    if (underscores === "reject") return refuse(head, "bad-header", "header name with _ or .");
    if (underscores === "delete") return true;
  }
  switch (name.length) {
    case 2:
      if (name === "te") return value === "trailers" || refuse(head, "bad-header", "te");
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
      if (name === "upgrade") return refuse(head, "bad-header", "connection header in HTTP/2");
      break;
    case 10:
    case 16:
    case 17:
      if (isConnectionHeader(name)) return refuse(head, "bad-header", "connection header in HTTP/2");
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
  if (head.contentLength >= 0) return refuse(head, "bad-framing", "two Content-Length headers");
  if (!/^(?:0|[1-9]\d{0,15})$/.test(value)) return refuse(head, "bad-framing", "Content-Length");
  head.contentLength = Number(value);
  return Number.isSafeInteger(head.contentLength) || refuse(head, "bad-framing", "Content-Length");
}

function checkTogether(head: Http2Head, limits: HeadLimits): Http2Head {
  if (head.cookie !== undefined) head.headers.push("cookie", head.cookie);
  if (head.host === undefined || head.host === "") return fail(head, "bad-host", "no :authority");
  if (head.target.length > limits.lineBytesMax) return fail(head, "uri-too-long", ":path");
  if (head.method === "CONNECT") return checkConnect(head);
  if (head.protocol !== undefined) return fail(head, "bad-request", ":protocol without CONNECT");
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

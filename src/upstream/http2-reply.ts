import type { HeadLimits, ReplyFault } from "../wire/limits.ts";

const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** The head of an HTTP/2 reply. */
export interface Http2Reply {
  status: number;
  readonly headers: string[];
  /** -1 when there is none. */
  contentLength: number;
  /** Event streams and gRPC: silence in the middle is no fault. */
  streams: boolean;
  /** Trailers follow its body. */
  hasTrailers: boolean;
  fault: ReplyFault | undefined;
  detail: string;
}

/** Reads the flat list that `node:http2` gives, as strictly as HTTP/1.1 heads are read. */
export function readHttp2Reply(raw: readonly string[], limits: HeadLimits): Http2Reply {
  const reply: Http2Reply = {
    status: 0,
    headers: [],
    contentLength: -1,
    streams: false,
    hasTrailers: false,
    fault: undefined,
    detail: "",
  };
  let bytes = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    bytes += name.length + value.length + 4;
    if (name === ":status") reply.status = Number(value);
    else if (!take(reply, name, value)) break;
  }
  if (reply.fault !== undefined) return reply;
  if (bytes > limits.headBytesMax || reply.headers.length > limits.headersMax * 2) {
    return wrong(reply, "reply-too-large", "head");
  }
  return reply.status >= 100 && reply.status <= 999 ? reply : wrong(reply, "bad-reply", "status");
}

function wrong(reply: Http2Reply, fault: ReplyFault, detail: string): Http2Reply {
  reply.fault = fault;
  reply.detail = detail;
  return reply;
}

function take(reply: Http2Reply, name: string, value: string): boolean {
  if (!NAME.test(name) || !VALUE.test(value)) {
    wrong(reply, "bad-reply", "header");
    return false;
  }
  switch (name) {
    case "trailer":
      reply.hasTrailers = true;
      return true;
    case "proxy-authenticate":
    case "proxy-authorization":
      return true;
    case "content-length":
      reply.contentLength = Number(value);
      break;
    case "content-type":
      if (value.startsWith("application/grpc")) {
        reply.streams = true;
        reply.hasTrailers = true;
      } else reply.streams = value.startsWith("text/event-stream");
      break;
  }
  reply.headers.push(name, value);
  return true;
}

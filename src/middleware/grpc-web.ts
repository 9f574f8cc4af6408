import type { BodySource } from "../model/body.ts";
import { type Exchange, reply } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import { getHeader, hasToken, putHeader, removeHeader, setHeader } from "../model/headers.ts";
import { middleware } from "../model/middleware.ts";
import { PassingBody } from "../model/passing-body.ts";
import { list } from "../schema/composites.ts";
import { text } from "../schema/kinds.ts";

const WEB = /^application\/grpc-web(-text)?(?=[+;]|$)/i;
const MAX_AGE_S = "600";

export default middleware({
  name: "grpcWeb",
  summary: "Lets browsers call gRPC services by gRPC-Web.",

  options: {
    allowOrigins: list(text)({
      doc: "Origins whose scripts may call; * for all.",
      example: "https://app.example.com",
    }),
  },

  create({ allowOrigins }) {
    const isAny = allowOrigins.includes("*");
    const originOf = (exchange: Exchange) => {
      const origin = getHeader(exchange.headers, "origin") ?? "";
      return origin !== "" && (isAny || allowOrigins.includes(origin)) ? origin : undefined;
    };
    const asked = {};

    return {
      onRequest(exchange) {
        if (isPreflight(exchange)) return preflight(exchange, originOf(exchange));
        const type = getHeader(exchange.headers, "content-type") ?? "";
        const [, isText] = WEB.exec(type) ?? [];
        if (exchange.method !== "POST" || !WEB.test(type)) return undefined;
        exchange.notes ??= new Map();
        exchange.notes.set(asked, type);
        setHeader(exchange.headers, "Content-Type", type.replace(WEB, "application/grpc"));
        removeHeader(exchange.headers, "content-length");
        exchange.acceptsTrailers = true;
        if (isText !== undefined) exchange.requestBody = new DecodedBody(exchange.requestBody);
        return undefined;
      },

      onResponse(exchange) {
        const type = exchange.notes?.get(asked) as string | undefined;
        if (type === undefined) return undefined;
        const headers = exchange.replyHeaders;
        const origin = originOf(exchange);
        if (origin !== undefined) allow(headers, origin);
        const replied = getHeader(headers, "content-type") ?? "";
        if (!/^application\/grpc(?=[+;]|$)/i.test(replied)) return undefined;
        setHeader(headers, "Content-Type", replied.replace(/^application\/grpc/i, WEB.exec(type)![0]));
        removeHeader(headers, "content-length");
        removeHeader(headers, "trailer");
        exchange.replyBody = new FramedBody(exchange.replyBody, WEB.exec(type)![1] !== undefined);
        return undefined;
      },
    };
  },
});

function isPreflight({ method, headers }: Exchange): boolean {
  if (method !== "OPTIONS" || getHeader(headers, "access-control-request-method") !== "POST") return false;
  return hasToken(getHeader(headers, "access-control-request-headers") ?? "", "x-grpc-web");
}

function preflight(exchange: Exchange, origin: string | undefined) {
  if (origin === undefined) return reply(200, "grpcWeb: CORS preflight", [], Buffer.alloc(0));
  const headers = [
    "Access-Control-Allow-Origin",
    origin,
    "Access-Control-Allow-Credentials",
    "true",
    "Access-Control-Allow-Methods",
    "POST",
    "Access-Control-Allow-Headers",
    getHeader(exchange.headers, "access-control-request-headers")!,
    "Access-Control-Max-Age",
    MAX_AGE_S,
    "Vary",
    "Origin",
  ];
  return reply(200, "grpcWeb: CORS preflight", headers, Buffer.alloc(0));
}

function allow(headers: string[], origin: string): void {
  const names = new Set(["grpc-status", "grpc-message"]);
  for (let i = 0; i < headers.length; i += 2) names.add(headers[i]!.toLowerCase());
  putHeader(headers, "Access-Control-Expose-Headers", "access-control-expose-headers", [...names].join(", "));
  putHeader(headers, "Access-Control-Allow-Origin", "access-control-allow-origin", origin);
  putHeader(headers, "Access-Control-Allow-Credentials", "access-control-allow-credentials", "true");
  headers.push("Vary", "Origin");
}

/** Base64 of gRPC-Web's text form back to bytes. Parts may each end with their own padding. */
class DecodedBody extends PassingBody {
  #left = "";

  constructor(source: BodySource) {
    super(source, -1);
  }

  override data(chunk: Buffer): boolean {
    if (this.sink === undefined) return true;
    const text = this.#left + chunk.toString("latin1").replace(/[\r\n]/g, "");
    const whole = text.length - (text.length % 4);
    this.#left = text.slice(whole);
    const groups = text.slice(0, whole);
    if (!/^(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)*$/.test(groups)) {
      this.#refuse();
      return true;
    }
    if (groups === "") return true;
    const parts = groups.match(/[^=]+=*/g)!.map((part) => Buffer.from(part, "base64"));
    return this.sink.data(Buffer.concat(parts));
  }

  override end(): void {
    if (this.#left !== "") this.#refuse();
    else super.end(undefined);
  }

  #refuse(): void {
    const { sink } = this;
    this.cancel();
    sink?.fail(FAULTS["bad-request"]);
  }
}

const TRAILER_FLAG = 0x80;

/** A reply whose trailers, which a browser cannot see, come as a last frame of the body; in base64 if asked for. */
class FramedBody extends PassingBody {
  readonly #isText: boolean;

  constructor(source: BodySource, isText: boolean) {
    super(source, -1);
    this.#isText = isText;
  }

  override data(chunk: Buffer): boolean {
    return super.data(this.#encode(chunk));
  }

  override end(trailers: string[] | undefined): void {
    if (trailers === undefined || trailers.length === 0) return super.end(undefined);
    let lines = "";
    for (let i = 0; i < trailers.length; i += 2)
      lines += `${trailers[i]!.toLowerCase()}: ${trailers[i + 1]}\r\n`;
    const frame = Buffer.alloc(5 + lines.length);
    frame[0] = TRAILER_FLAG;
    frame.writeUInt32BE(lines.length, 1);
    frame.write(lines, 5, "latin1");
    // A sink that is still busy with this chunk takes the end all the same.
    this.data(frame);
    super.end(undefined);
  }

  #encode(chunk: Buffer): Buffer {
    return this.#isText ? Buffer.from(chunk.toString("base64")) : chunk;
  }
}

import zlib from "node:zlib";
import { chooseEncoding } from "../lib/accept-encoding.ts";
import { type MediaType, parseMediaType } from "../lib/media-type.ts";
import { EncodedBody, type Encoder } from "../model/encoded-body.ts";
import type { Exchange } from "../model/exchange.ts";
import { getHeader, getHeaders, hasToken, putHeader, removeHeader } from "../model/headers.ts";
import { middleware } from "../model/middleware.ts";
import { PeekedBody } from "../model/peeked-body.ts";
import { list } from "../schema/composites.ts";
import { choice, size, text } from "../schema/kinds.ts";

const ENCODINGS = ["gzip", "br", "zstd"] as const;
type Encoding = (typeof ENCODINGS)[number];

const DEFAULT_BYTES_MIN = 1024;
// A stream that trickles is compressed without waiting for more.
const PATIENCE_MS = 5;

export default middleware({
  name: "compress",
  summary: "Compresses replies with gzip, Brotli or Zstandard.",

  options: {
    excludedContentTypes: list(text)({ doc: "Types that are not compressed.", example: "text/event-stream" }),
    includedContentTypes: list(text)({
      doc: "The only types that are compressed.",
      example: "application/json",
    }),
    minResponseBodyBytes: size({
      doc: "Smaller replies are not compressed; 0 stands for 1024.",
      default: "1024",
    }),
    encodings: list(choice(...ENCODINGS))({
      doc: "Codings, the preferred ones first.",
      default: "gzip,br,zstd",
    }),
    defaultEncoding: choice(
      "",
      ...ENCODINGS,
    )({
      doc: "Coding for clients that do not say what they accept, or accept anything.",
      default: "",
    }),
  },
  enabler: true,

  check({ excludedContentTypes, includedContentTypes, encodings, defaultEncoding }, problem) {
    if (excludedContentTypes.length > 0 && includedContentTypes.length > 0)
      problem("includedContentTypes", "cannot be used together with excludedContentTypes");
    for (const option of ["excludedContentTypes", "includedContentTypes"] as const) {
      const wrong = [...excludedContentTypes, ...includedContentTypes].find((type) => !parseMediaType(type));
      if (wrong !== undefined) problem(option, `has ${JSON.stringify(wrong)}, which is no media type`);
    }
    if (encodings.length === 0) problem("encodings", "must name at least one coding");
    if (defaultEncoding !== "" && !encodings.includes(defaultEncoding))
      problem("defaultEncoding", "must be one of the encodings");
  },

  create(options) {
    const { encodings, defaultEncoding } = options;
    const bytesMin = options.minResponseBodyBytes || DEFAULT_BYTES_MIN;
    const isIncluded = anyOf(options.includedContentTypes);
    const isExcluded = anyOf(options.excludedContentTypes);
    const takesAll = options.includedContentTypes.length === 0;

    async function onResponse(exchange: Exchange): Promise<undefined> {
      const type = typeToCompress(exchange);
      if (type === undefined || isExcluded(type) || isExcluded(typeOf(exchange.headers))) return;
      if (!takesAll && !isIncluded(type)) return;
      const headers = exchange.replyHeaders;
      addVary(headers);
      const accepted = getHeaders(exchange.headers, "accept-encoding").join(",");
      const encoding =
        accepted === ""
          ? defaultEncoding || undefined
          : chooseEncoding(accepted, encodings, defaultEncoding || encodings[0]!);
      if (encoding === undefined || exchange.method === "HEAD") return;
      const isLive = exchange.replyBody.length < 0;
      if (exchange.replyBody.length >= 0 && exchange.replyBody.length < bytesMin) return;
      if (isLive && type.type !== "text/event-stream") {
        const body = await PeekedBody.peek(exchange.replyBody, bytesMin, PATIENCE_MS);
        exchange.replyBody = body;
        if (body.isWhole && body.beginning.length < bytesMin) return;
      }
      exchange.replyBody = new EncodedBody(exchange.replyBody, ENCODERS[encoding](), isLive);
      describe(headers, encoding);
    }

    return { onResponse };
  },
});

const ENCODERS: Record<Encoding, () => Encoder> = {
  gzip: () => zlib.createGzip({ level: 6 }) as Encoder,
  // The best quality that costs about as much time as gzip; Node's own choice takes twenty times longer.
  br: () =>
    zlib.createBrotliCompress({
      params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4, [zlib.constants.BROTLI_PARAM_LGWIN]: 19 },
    }) as Encoder,
  zstd: () => zlib.createZstdCompress({ params: { [zlib.constants.ZSTD_c_compressionLevel]: 3 } }) as Encoder,
};

const NO_TYPE: MediaType = { type: "", parameters: "" };

/** The type of a reply that may be compressed at all, whatever the client accepts. */
function typeToCompress(exchange: Exchange): MediaType | undefined {
  const { status, replyHeaders: headers, replyBody } = exchange;
  if (status < 200 || status === 204 || status === 206 || status === 304) return undefined;
  if (replyBody.length === 0 && exchange.method !== "HEAD") return undefined;
  for (let i = 0; i < headers.length; i += 2) {
    switch (headers[i]!.toLowerCase()) {
      case "content-encoding":
      case "content-range":
      // Digests of the bytes as they are.
      case "content-digest":
      case "content-md5":
        return undefined;
      case "cache-control":
        if (hasToken(headers[i + 1]!, "no-transform")) return undefined;
    }
  }
  // What says nothing of its type is compressed too, as in Traefik; what says nonsense is not.
  const type = getHeader(headers, "content-type") === undefined ? NO_TYPE : typeOf(headers);
  // Calls and their replies are frames that must arrive one by one.
  return type?.type.startsWith("application/grpc") ? undefined : type;
}

function typeOf(headers: readonly string[]): MediaType | undefined {
  const written = getHeader(headers, "content-type");
  return written === undefined ? undefined : parseMediaType(written);
}

function anyOf(texts: readonly string[]): (type: MediaType | undefined) => boolean {
  const types = texts.map((text) => parseMediaType(text)!);
  return (found) =>
    types.some(
      ({ type, parameters }) =>
        type === found?.type && (parameters === "" || parameters === found.parameters),
    );
}

function addVary(headers: string[]): void {
  const vary = getHeaders(headers, "vary");
  if (!vary.some((value) => value.trim() === "*" || hasToken(value, "accept-encoding")))
    headers.push("Vary", "Accept-Encoding");
}

/** The other bytes need another name in caches, and cannot be asked for in ranges. */
function describe(headers: string[], encoding: Encoding): void {
  removeHeader(headers, "content-length");
  removeHeader(headers, "accept-ranges");
  headers.push("Content-Encoding", encoding);
  const etag = getHeader(headers, "etag");
  if (etag?.startsWith('"')) putHeader(headers, "ETag", "etag", `W/${etag}`);
}

import type { Exchange } from "../model/exchange.ts";
import { areHeadersBeside } from "../model/headers.ts";
import { allowedTrailers } from "../wire/chunked.ts";

const NOTHING: readonly string[] = [];

/**
 * The trailers of a request that its server may see, or undefined. Servers merge them into the headers, so none pass
 * where a middleware has looked at these: what it took out or vouches for would come in by the back door. H1-28: from
 * HTTP/1.1 to HTTP/1.1, where nothing depends on them, they are dropped.
 */
export function requestTrailers(exchange: Exchange, trailers: string[] | undefined): string[] | undefined {
  if (trailers === undefined || exchange.hooksRun > 0 || !areHeadersBeside(trailers, NOTHING))
    return undefined;
  return allowedTrailers(trailers);
}

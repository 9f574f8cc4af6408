import type { Exchange } from "../model/exchange.ts";
import { getHeaders, isHeaderName, isHeaderValue } from "../model/headers.ts";
import type { Hooks } from "../model/middleware.ts";
import { mayBeTrailer } from "../wire/chunked.ts";

/**
 * The trailers of a request that its server may see, or undefined. Servers merge them into the headers (RFC 9110
 * §6.5.1), so none passes that a header would not: what a middleware took out, put in or vouches for must not come
 * in by the back door, and neither must other spellings of it.
 */
export function requestTrailers(exchange: Exchange, trailers: string[] | undefined): string[] | undefined {
  if (trailers === undefined) return undefined;
  const kept: string[] = [];
  for (let i = 0; i < trailers.length; i += 2) {
    const name = trailers[i]!;
    const value = trailers[i + 1]!;
    if (!isHeaderName(name) || !isHeaderValue(value) || /[_.]/.test(name)) continue;
    if (mayBeTrailer(name) && !isSomebodys(exchange, name.toLowerCase())) kept.push(name, value);
  }
  return kept.length === 0 ? undefined : kept;
}

/** A middleware of the request has changed the header of that name, or would have. */
function isSomebodys(exchange: Exchange, lower: string): boolean {
  const { headers, receivedHeaders, route, leaf } = exchange;
  if (receivedHeaders === undefined) return false;
  if (claims(route?.hooks, lower) || claims(leaf?.hooks, lower)) return true;
  return getHeaders(headers, lower).join("\n") !== getHeaders(receivedHeaders, lower).join("\n");
}

function claims(hooks: readonly Hooks[] | undefined, lower: string): boolean {
  return hooks?.some(({ ownsHeader }) => ownsHeader?.(lower) === true) === true;
}

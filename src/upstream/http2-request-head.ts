import type { Exchange } from "../model/exchange.ts";
import type { Server } from "../model/service.ts";
import { isForbidden, pathAt } from "./request-text.ts";

/** Pseudo-headers and headers as a flat list. Length -1: not known. */
export function requestHead(exchange: Exchange, server: Server, length: number): string[] {
  const { headers, query } = exchange;
  const path = pathAt(server.spec.path, exchange.path);
  const head = [
    ":method",
    exchange.method,
    ":scheme",
    server.spec.scheme === "https" ? "https" : "http",
    ":authority",
    exchange.sentAuthority,
    ":path",
    query === undefined ? path : `${path}?${query}`,
  ];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (!isForbidden(name)) head.push(name, headers[i + 1]!);
  }
  if (exchange.acceptsTrailers) head.push("te", "trailers");
  if (length > 0) head.push("content-length", String(length));
  return head;
}

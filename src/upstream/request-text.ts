import type { Exchange } from "../model/exchange.ts";
import { sameName } from "../model/headers.ts";
import type { Server } from "../model/service.ts";
import { addLine } from "../wire/header-line.ts";

/** The head of the request as a server of HTTP/1.1 is sent it, framing included. Length -1 means chunked. */
export function requestText(exchange: Exchange, server: Server, length: number): string {
  const { method, headers, query } = exchange;
  let text = `${method} ${pathAt(server.spec.path, exchange.path)}`;
  if (query !== undefined) text += `?${query}`;
  text += ` HTTP/1.1\r\nHost: ${exchange.sentAuthority}\r\n`;
  let hadLength = false;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (isForbidden(name)) {
      hadLength ||= sameName(name, "content-length");
      continue;
    }
    text = addLine(text, name, headers[i + 1]!);
  }
  if (exchange.upgrade !== undefined) text += `Connection: Upgrade\r\nUpgrade: ${exchange.upgrade}\r\n`;
  // RFC 9110 §10.1.4: TE is for this connection only, and says so.
  else if (exchange.acceptsTrailers && exchange.httpVersion < 20)
    text += "Connection: TE\r\nTE: trailers\r\n";
  if (length < 0) return `${text}Transfer-Encoding: chunked\r\n\r\n`;
  if (length > 0 || hadLength || method === "POST" || method === "PUT" || method === "PATCH") {
    return `${text}Content-Length: ${length}\r\n\r\n`;
  }
  return `${text}\r\n`;
}

/** The request's path behind the one that the server's URL has. */
export function pathAt(prefix: string, path: string): string {
  if (prefix === "") return path;
  return prefix.endsWith("/") ? prefix + path.slice(1) : prefix + path;
}

/** Written by ourselves, from what the body is, or never: a middleware that sets one cannot break the framing. */
export function isForbidden(name: string): boolean {
  switch (name.length) {
    case 2:
      return sameName(name, "te");
    case 4:
      return sameName(name, "host");
    case 7:
      return sameName(name, "upgrade") || sameName(name, "trailer");
    case 10:
      return sameName(name, "connection") || sameName(name, "keep-alive");
    case 14:
      return sameName(name, "content-length") || sameName(name, "http2-settings");
    case 16:
      return sameName(name, "proxy-connection");
    case 17:
      return sameName(name, "transfer-encoding");
    default:
      return false;
  }
}

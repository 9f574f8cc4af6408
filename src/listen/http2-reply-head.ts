import type { Exchange } from "../model/exchange.ts";
import { sameName } from "../model/headers.ts";

/** What has a head only, whatever its headers say. */
export function hasNoBody({ method, status }: Exchange): boolean {
  return method === "HEAD" || status === 204 || status === 205 || status === 304;
}

/** Status and headers as a flat list, with the Content-Length that the body really has. */
export function replyHead(exchange: Exchange, length: number): string[] {
  const { replyHeaders, status } = exchange;
  // No client knows what to do with statuses beyond the registry's range.
  const head = [":status", status >= 200 && status <= 599 ? String(status) : "502"];
  const keepsLength = hasNoBody(exchange) && status !== 204;
  let hadLength = false;
  for (let i = 0; i < replyHeaders.length; i += 2) {
    const name = replyHeaders[i]!;
    if (name.length === 14 && sameName(name, "content-length")) {
      hadLength = true;
      if (!keepsLength) continue;
    } else if (isForbidden(name)) continue;
    head.push(name, replyHeaders[i + 1]!);
  }
  if (length > 0 || (length === 0 && !keepsLength && status !== 204)) {
    if (!(keepsLength && hadLength)) head.push("content-length", String(length));
  }
  return head;
}

/** What HTTP/2 has no place for (RFC 9113 §8.2.2), and the key of a handshake that HTTP/2 does without. */
export function isForbidden(name: string): boolean {
  switch (name.length) {
    case 2:
      return sameName(name, "te");
    case 7:
      return sameName(name, "upgrade");
    case 10:
      return sameName(name, "connection") || sameName(name, "keep-alive");
    case 14:
      return sameName(name, "http2-settings");
    case 16:
      return sameName(name, "proxy-connection");
    case 17:
      return sameName(name, "transfer-encoding");
    case 20:
      return sameName(name, "sec-websocket-accept");
    default:
      return false;
  }
}

/** The list without what HTTP/2 has no place for. */
export function sendable(headers: readonly string[]): string[] {
  const list: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (!isForbidden(headers[i]!)) list.push(headers[i]!, headers[i + 1]!);
  }
  return list;
}

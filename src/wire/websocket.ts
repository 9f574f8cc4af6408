import { sameName } from "../lib/same-name.ts";
import type { RequestHead } from "./request-head.ts";

/** Whether the handshake is one that RFC 6455 §4.1 allows; a server that trusts its proxy would take any. */
export function isWebSocketHandshake(head: RequestHead): boolean {
  if (head.method !== "GET" || head.version < 11) return false;
  let keys = 0;
  let versions = 0;
  for (let i = 0; i < head.headers.length; i += 2) {
    const name = head.headers[i]!;
    const value = head.headers[i + 1]!;
    if (sameName(name, "sec-websocket-key")) {
      if (!/^[A-Za-z0-9+/]{22}==$/.test(value)) return false;
      keys++;
    } else if (sameName(name, "sec-websocket-version")) {
      if (value !== "13") return false;
      versions++;
    }
  }
  return keys === 1 && versions === 1;
}

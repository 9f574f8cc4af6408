import { sameName } from "../lib/same-name.ts";
import { portOf } from "./authority.ts";

/** Headers by which proxies tell the next one who the client is. Lower-case. */
const MANAGED = [
  "x-forwarded-proto",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-server",
  "x-forwarded-uri",
  "x-forwarded-method",
  "x-forwarded-prefix",
  "x-forwarded-tls-client-cert",
  "x-forwarded-tls-client-cert-info",
  "x-real-ip",
] as const;

/** Whether a client's Connection header may not take that header out. `lower` is lower-case. */
export function isManaged(lower: string): boolean {
  return (MANAGED as readonly string[]).includes(lower);
}

// Applications that read `X_Forwarded_For` as `X-Forwarded-For` must not be lied to by the other spelling.
export function isForwardedInAnySpelling(name: string): boolean {
  const lower = name.toLowerCase().replace(/[_.]/g, "-");
  return isManaged(lower) || lower === "forwarded";
}

/** What the peer claims about the client is taken out: nobody said it could be believed. */
export function dropForwarded(headers: string[]): void {
  let kept = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    const first = name.charCodeAt(0) | 0x20;
    if ((first === 0x78 || first === 0x66) && isForwardedInAnySpelling(name)) continue;
    headers[kept] = name;
    headers[kept + 1] = headers[i + 1]!;
    kept += 2;
  }
  headers.length = kept;
}

/** Removes the headers that Connection nominated, but for those a client cannot have taken out. */
export function dropNominatedByClient(
  headers: string[],
  nominated: readonly string[],
  allowed: readonly string[],
): void {
  let kept = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const lower = headers[i]!.toLowerCase();
    if (nominated.includes(lower) && !isManaged(lower) && !allowed.includes(lower)) continue;
    headers[kept] = headers[i]!;
    headers[kept + 1] = headers[i + 1]!;
    kept += 2;
  }
  headers.length = kept;
}

export interface ForwardedFacts {
  readonly peerIp: string;
  readonly secure: boolean;
  readonly authority: string;
  readonly websocket: boolean;
  /** Name of this machine. */
  readonly serverName: string;
}

/** Says who the client is, where a trusted peer has not said so already. X-Forwarded-For follows when it is sent on. */
export function addForwarded(headers: string[], facts: ForwardedFacts): void {
  const proto = facts.websocket ? (facts.secure ? "wss" : "ws") : facts.secure ? "https" : "http";
  headers.push(
    "X-Real-Ip",
    facts.peerIp,
    "X-Forwarded-Proto",
    proto,
    "X-Forwarded-Port",
    portOf(facts.authority) ?? (facts.secure ? "443" : "80"),
    "X-Forwarded-Host",
    facts.authority,
    "X-Forwarded-Server",
    facts.serverName,
  );
}

/** The same for a peer that is believed: what it says stays, what it left out is added. */
export function completeForwarded(headers: string[], facts: ForwardedFacts): void {
  const claimed = value(headers, "x-forwarded-proto");
  const proto =
    claimed !== undefined && claimed !== ""
      ? claimed
      : facts.websocket
        ? facts.secure
          ? "wss"
          : "ws"
        : facts.secure
          ? "https"
          : "http";
  const secure = facts.secure || proto === "https" || proto === "wss";
  put(headers, "X-Real-Ip", facts.peerIp, false);
  put(headers, "X-Forwarded-Proto", proto, false);
  put(headers, "X-Forwarded-Port", portOf(facts.authority) ?? (secure ? "443" : "80"), false);
  put(headers, "X-Forwarded-Host", facts.authority, false);
  put(headers, "X-Forwarded-Server", facts.serverName, true);
}

function value(headers: readonly string[], lower: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) if (sameName(headers[i]!, lower)) return headers[i + 1];
  return undefined;
}

function put(headers: string[], name: string, text: string, always: boolean): void {
  const lower = name.toLowerCase();
  for (let i = 0; i < headers.length; i += 2) {
    if (!sameName(headers[i]!, lower)) continue;
    if (always || headers[i + 1] === "") headers[i + 1] = text;
    return;
  }
  headers.push(name, text);
}

/** Adds the peer at the end of X-Forwarded-For; several lines become one. */
export function appendForwardedFor(headers: string[], peerIp: string): void {
  let joined = "";
  let first = -1;
  for (let i = 0; i < headers.length; i += 2) {
    if (!sameName(headers[i]!, "x-forwarded-for")) continue;
    if (first < 0) {
      first = i;
      joined = headers[i + 1]!;
      continue;
    }
    joined += `, ${headers[i + 1]}`;
    headers.splice(i, 2);
    i -= 2;
  }
  if (first < 0) headers.push("X-Forwarded-For", peerIp);
  else headers[first + 1] = joined === "" ? peerIp : `${joined}, ${peerIp}`;
}

const VIA = "waybill";

/** How often this kind of proxy has handled the request already. */
export function viaHits(headers: readonly string[]): number {
  let hits = 0;
  for (let i = 0; i < headers.length; i += 2) {
    if (!sameName(headers[i]!, "via")) continue;
    for (const entry of headers[i + 1]!.split(",")) if (entry.trim().endsWith(` ${VIA}`)) hits++;
  }
  return hits;
}

/**
 * Marks a request that has come through a proxy before, so that a loop can be counted. Others are not marked: some
 * servers (nginx's gzip) treat requests with a Via header as second class.
 */
export function addVia(headers: string[], version: number): void {
  headers.push("Via", `${version === 20 ? "2.0" : version === 10 ? "1.0" : "1.1"} ${VIA}`);
}

/** Whether a proxy like this one has handled the request before, whoever it was. */
export function isBehindProxy(headers: readonly string[]): boolean {
  return value(headers, "x-forwarded-server") !== undefined;
}

import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { OWN_ROUTE_HEADER } from "../model/own-pages.ts";
import { canonicalHost } from "../wire/authority.ts";
import { Refusal } from "./listing.ts";

/** Names that nobody on the Internet can own, so that no page of somebody else's can bear them (AD-02). */
const LOCAL_ENDINGS = ["localhost", "local", "lan", "internal", "home.arpa"];

/**
 * Refuses what a web page of somebody else's could make a browser ask: under a name that was made to point here, or
 * from another origin. Requests that came by a router of the user's may bear any name that router takes.
 */
export function guardOrigin({ method = "GET", headers }: IncomingMessage, allowed: readonly string[]): void {
  const isOwn = headers[OWN_ROUTE_HEADER.toLowerCase()] !== undefined;
  const host = canonicalHost(headers.host ?? "") ?? "";
  if (isOwn && !mayBeAsked(host, allowed)) {
    throw new Refusal(403, `host not allowed: ${host}; api.allowedHosts names those that are`);
  }
  const isRead = method === "GET" || method === "HEAD";
  const isVisit = isRead && headers["sec-fetch-mode"] === "navigate";
  if (headers["sec-fetch-site"] === "cross-site" && !isVisit) throw CROSS_ORIGIN;
  const { origin } = headers;
  if (origin !== undefined && !isSameHost(origin, headers.host ?? "")) throw CROSS_ORIGIN;
  if (isRead) return;
  // A form of another page can send these three kinds of body without asking first, and JSON it cannot.
  if (!/^application\/json(?:;|$)/i.test(headers["content-type"] ?? "")) {
    throw new Refusal(403, "expected a request of content type application/json");
  }
}

const CROSS_ORIGIN = new Refusal(403, "requests from other origins are refused");

function mayBeAsked(host: string, allowed: readonly string[]): boolean {
  if (isIP(host) !== 0 || !host.includes(".")) return host !== "";
  if (LOCAL_ENDINGS.some((ending) => host.endsWith(`.${ending}`))) return true;
  return allowed.some((name) => name.toLowerCase() === host);
}

/** With the port: another port is another origin. */
function isSameHost(origin: string, authority: string): boolean {
  return /^https?:\/\/([^/]+)$/.exec(origin)?.[1]?.toLowerCase() === authority.toLowerCase();
}

/** Where the request came from: the address that the data plane put last. */
export function clientOf({ headers }: IncomingMessage): string {
  const told = headers["x-forwarded-for"];
  return String(told ?? "")
    .split(",")
    .at(-1)!
    .trim();
}

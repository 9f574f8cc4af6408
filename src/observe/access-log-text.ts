import type { Exchange } from "../model/exchange.ts";
import { sameName } from "../model/headers.ts";

/** What needs no look at each of its characters: printable ASCII without quotes and backslashes. */
const PLAIN = /^[ !#-[\]-~]*$/;
/** Control characters, and those that turn text around or break lines. */
const UNFIT = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** On one line whatever it holds: what is unfit becomes `\xNN` or `\uNNNN`. */
export function clean(text: string): string {
  return PLAIN.test(text) ? text : text.replace(UNFIT, escaped);
}

/** The same for what stands between quotes. */
export function quotable(text: string): string {
  return PLAIN.test(text) ? text : text.replace(UNFIT, escaped).replaceAll('"', '\\"');
}

export function quoted(kept: boolean, text: string | undefined): string {
  return !kept || text === undefined ? '"-"' : `"${quotable(text)}"`;
}

/** As JSON; what JSON lets pass and a terminal would obey is escaped as well. */
export function jsonText(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  return JSON.stringify(text).replace(UNFIT, (character) => `\\u${hex(character, 4)}`);
}

/** The same text; a string that was added together is dearer to add to another than one in a single piece. */
export const inOnePiece = (text: string): string => Buffer.from(text).toString();

const hex = (character: string, digits: number) => character.charCodeAt(0).toString(16).padStart(digits, "0");

function escaped(character: string): string {
  return character.charCodeAt(0) < 256 ? `\\x${hex(character, 2)}` : `\\u${hex(character, 4)}`;
}

// The first address of X-Forwarded-For that a trusted proxy passed on, as Traefik logs it; else the peer.
export function clientHost({ headers, connection }: Exchange): string {
  for (let i = 0; i < headers.length; i += 2) {
    if (!sameName(headers[i]!, "x-forwarded-for")) continue;
    const value = headers[i + 1]!;
    const comma = value.indexOf(",");
    return comma < 0 ? value : value.slice(0, comma);
  }
  return connection.peerIp;
}

export const protocolOf = ({ httpVersion }: Exchange) =>
  httpVersion === 11 ? "HTTP/1.1" : httpVersion === 20 ? "HTTP/2.0" : "HTTP/1.0";

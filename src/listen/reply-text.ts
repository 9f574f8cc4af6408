import { STATUS_CODES } from "node:http";
import type { Exchange, Reply } from "../model/exchange.ts";
import { sameName } from "../model/headers.ts";
import { addLine } from "../wire/header-line.ts";

/** How the end of a reply is shown to the client. */
export type Framing = "none" | "length" | "chunked" | "close";

const LINES = new Map<number, string>();
for (const [status, text] of Object.entries(STATUS_CODES)) {
  LINES.set(Number(status), `HTTP/1.1 ${status} ${text}\r\n`);
}

function statusLine(status: number): string {
  return LINES.get(status) ?? `HTTP/1.1 ${status} Unknown\r\n`;
}

/** The head of a reply as an HTTP/1.1 client is sent it. `length` is that of the body, if it is framed by one. */
export function replyText(
  exchange: Exchange,
  framing: Framing,
  length: number,
  keepAlive: boolean,
  date: string,
): string {
  const { status, replyHeaders: headers } = exchange;
  let text = statusLine(status);
  let dated = false;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    switch (name.length) {
      case 4:
        dated ||= sameName(name, "date");
        break;
      case 7:
        if (sameName(name, "upgrade") || sameName(name, "trailer")) continue;
        break;
      case 10:
        if (sameName(name, "connection") || sameName(name, "keep-alive")) continue;
        break;
      case 14:
        // Kept where there is no body to count: the length that a GET would have had.
        if (sameName(name, "content-length") && (framing !== "none" || status === 204)) continue;
        break;
      case 17:
        if (sameName(name, "transfer-encoding")) continue;
        break;
    }
    text = addLine(text, name, headers[i + 1]!);
  }
  if (!dated) text += `Date: ${date}\r\n`;
  if (framing === "length") text += `Content-Length: ${length}\r\n`;
  else if (framing === "chunked") text += "Transfer-Encoding: chunked\r\n";
  if (!keepAlive) return `${text}Connection: close\r\n\r\n`;
  if (exchange.httpVersion === 10) return `${text}Connection: keep-alive\r\n\r\n`;
  return `${text}\r\n`;
}

/** An interim reply, or the switch to another protocol. */
export function interimText(status: number, headers: readonly string[], upgrade: string | undefined): string {
  let text = statusLine(status);
  if (upgrade !== undefined) text += `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text = addLine(text, headers[i]!, headers[i + 1]!);
  return `${text}\r\n`;
}

/** A whole reply after which the connection ends. */
export function lastReplyText(reply: Reply, withBody: boolean, date: string): string {
  const head = interimText(reply.status, reply.headers, undefined).slice(0, -2);
  const text = `${head}Date: ${date}\r\nContent-Length: ${Buffer.byteLength(reply.body)}\r\nConnection: close\r\n\r\n`;
  return withBody ? text + reply.body : text;
}

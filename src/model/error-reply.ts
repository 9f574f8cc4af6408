import { STATUS_CODES } from "node:http";
import type { Reply } from "./exchange.ts";
import type { Fault } from "./fault.ts";
import { getHeader, type Headers } from "./headers.ts";

/**
 * What a client is told when the application did not answer: the status, its name and the fault's code, in the form it
 * asks for. The code leads an operator to the page of faults, and says nothing of what lies behind.
 */
export function errorReply(fault: Fault, requestHeaders: Headers): Reply {
  const accept = getHeader(requestHeaders, "accept");
  return statusReply(fault.status, fault, accept, extraHeaders(fault));
}

function statusReply(
  status: number,
  fault: Fault,
  accept: string | undefined,
  extra: readonly string[],
): Reply {
  const title = STATUS_CODES[status] ?? NAMES.get(status) ?? "Error";
  if (accept !== undefined && /(?:^|[,\s])application\/(?:problem\+)?json/i.test(accept)) {
    const body = `${JSON.stringify({ type: "about:blank", title, status, code: fault.code })}\n`;
    return form(status, fault, "application/problem+json", body, extra);
  }
  if (accept !== undefined && /(?:^|[,\s])text\/html/i.test(accept)) {
    return form(status, fault, "text/html; charset=utf-8", page(status, title, fault.code), extra);
  }
  const plain = PLAIN.get(fault.code) ?? `${title} (${fault.code})\n`;
  return form(status, fault, "text/plain; charset=utf-8", plain, extra);
}

function form(status: number, fault: Fault, type: string, body: string, extra: readonly string[]): Reply {
  const headers = ["Content-Type", type, "X-Content-Type-Options", "nosniff", ...extra];
  return { status, headers, body, fault, reason: fault.code };
}

// What Traefik says, for people who look for it.
const PLAIN = new Map([
  ["no-route", "404 page not found\n"],
  ["no-server", "no available server\n"],
]);

const NAMES = new Map([[499, "Client Closed Request"]]);

function extraHeaders(fault: Fault): readonly string[] {
  if (fault.code === "method-refused") return ["Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"];
  if (fault.status === 503 && fault.code !== "overloaded") return ["Retry-After", "5"];
  return [];
}

function page(status: number, title: string, code: string): string {
  // Whoever waits for an application that starts need not press anything.
  const again = code === "starting" ? '<meta http-equiv="refresh" content="5">\n' : "";
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
${again}<title>${status} ${title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;display:grid;place-content:center;min-height:90vh;margin:0;color:#333;background:#fafafa;text-align:center}
b{font-size:4em;font-weight:200;display:block}small{display:block;margin-top:1em;opacity:.6}@media(prefers-color-scheme:dark){body{color:#ccc;background:#181818}}</style>
</head><body><main><b>${status}</b>${title}<small>${code}</small></main></body></html>
`;
}

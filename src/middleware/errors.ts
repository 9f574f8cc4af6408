import { escapeBytes, escapePath, isNormalPath } from "../lib/escaped-path.ts";
import type { Exchange } from "../model/exchange.ts";
import { type Headers, isHeaderName, removeHeader } from "../model/headers.ts";
import { middleware, type Outcome } from "../model/middleware.ts";
import { list, mapOf } from "../schema/composites.ts";
import { int, statusRange, text } from "../schema/kinds.ts";

export default middleware({
  name: "errors",
  summary: "Replaces replies of certain statuses by pages of another service.",

  options: {
    status: list(statusRange)({
      doc: "Statuses to replace the replies of.",
      required: true,
      example: "404,500-599",
    }),
    statusRewrites: mapOf(int)({
      doc: "Status to send in place of others, by status or range; the narrowest range counts.",
      example: "404",
    }),
    service: text({ doc: "Service that has the pages.", required: true, example: "pages@docker" }),
    query: text({
      doc: "Path and query of the page; {status}, {originalStatus} and {url} stand for the reply's.",
      default: "",
      example: "/{status}.html",
    }),
    errorRequestHeaders: list(text)({
      doc: "Headers of the request that the service gets; all if none is named.",
    }),
  },

  check({ status, statusRewrites, query, errorRequestHeaders }, problem) {
    if (status.length === 0) problem("status", "must name at least one status");
    for (const [range, code] of statusRewrites) {
      if (parseRange(range) === undefined)
        problem("statusRewrites", `has ${JSON.stringify(range)}, which is no status or range`);
      if (code < 200 || code > 599)
        problem("statusRewrites", `has ${code}, which is no status from 200 to 599`);
    }
    if (query !== "" && targetOf(query) === undefined)
      problem("query", "must be a path without empty or dot segments");
    if (!errorRequestHeaders.every(isHeaderName)) problem("errorRequestHeaders", "must be header names");
  },

  create({ status, statusRewrites, service, query, errorRequestHeaders }, host) {
    const isListed = new Uint8Array(1000);
    for (const { from, to } of status) isListed.fill(1, from, to + 1);
    const rewrites = rewritesOf(statusRewrites);
    const wanted = new Set(errorRequestHeaders.map((name) => name.toLowerCase()));

    return {
      onResponse(exchange) {
        return isListed[exchange.status] === 1 ? page(exchange) : undefined;
      },
    };

    async function page(exchange: Exchange): Promise<Outcome> {
      const status = rewrites.get(exchange.status) ?? exchange.status;
      const target = targetOf(
        query
          .replaceAll("{status}", String(status))
          .replaceAll("{originalStatus}", String(exchange.status))
          .replaceAll("{url}", encodeURIComponent(urlOf(exchange))),
      );
      const answer = await host.call(
        service,
        {
          method: "GET",
          host: exchange.authority,
          path: target?.path ?? "/",
          query: target?.query,
          headers: headersFor(exchange.headers, wanted),
        },
        exchange,
      );
      const headers = [...answer.headers];
      // The page's own validators and ranges are for its URL, not for the one that failed.
      for (const name of ["content-length", "etag", "last-modified", "accept-ranges"])
        removeHeader(headers, name);
      return { status, headers, body: answer.body, reason: "errors" };
    }
  },
});

// Conditions and ranges of the client are about what it asked for; with them a page could come back empty.
const NOT_FOR_PAGES = /^(?:content-.*|range|if-.*|expect|te)$/i;

function headersFor(headers: readonly string[], wanted: ReadonlySet<string>): Headers {
  const copied: Headers = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (NOT_FOR_PAGES.test(name) || (wanted.size > 0 && !wanted.has(name.toLowerCase()))) continue;
    copied.push(name, headers[i + 1]!);
  }
  return copied;
}

function urlOf({ scheme, authority, askedPath, askedQuery }: Exchange): string {
  return `${scheme}://${authority}${askedPath}${askedQuery === undefined ? "" : `?${askedQuery}`}`;
}

function targetOf(text: string): { path: string; query: string | undefined } | undefined {
  const mark = text.indexOf("?");
  const written = mark < 0 ? text : text.slice(0, mark);
  const path = escapePath(written.startsWith("/") ? written : `/${written}`);
  if (path === undefined || !isNormalPath(path)) return undefined;
  return {
    path,
    query: mark < 0 ? undefined : text.slice(mark + 1).replace(/[^\x21-\x7e]+/g, escapeBytes),
  };
}

function parseRange(text: string): { from: number; to: number } | undefined {
  const [, from, to] = /^\s*(\d{3})(?:-(\d{3}))?\s*$/.exec(text) ?? [];
  return from === undefined ? undefined : { from: Number(from), to: Number(to ?? from) };
}

/** New status by old. Wide ranges are written first, so that narrow ones have the last word. */
function rewritesOf(rewrites: ReadonlyMap<string, number>): ReadonlyMap<number, number> {
  const ranges = [...rewrites].map(([text, code]) => ({ ...(parseRange(text) ?? { from: 1, to: 0 }), code }));
  ranges.sort((a, b) => b.to - b.from - (a.to - a.from));
  const table = new Map<number, number>();
  for (const { from, to, code } of ranges)
    for (let status = from; status <= to; status++) table.set(status, code);
  return table;
}

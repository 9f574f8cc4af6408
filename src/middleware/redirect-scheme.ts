import { type Exchange, reply } from "../model/exchange.ts";
import { getHeader } from "../model/headers.ts";
import { middleware } from "../model/middleware.ts";
import { bool, text } from "../schema/kinds.ts";

const NO_HOST = reply(400, "redirectScheme: request without a host");

export default middleware({
  name: "redirectScheme",
  summary: "Redirects requests of one scheme to another, such as http to https.",

  options: {
    scheme: text({ doc: "Scheme to redirect to.", required: true, example: "https" }),
    port: text({ doc: "Port to redirect to; the scheme's own if empty.", default: "" }),
    permanent: bool({ doc: "301 or 308 instead of 302 or 307.", default: "false" }),
  },

  check({ scheme, port }, problem) {
    if (!/^[a-z][a-z0-9+.-]*$/i.test(scheme)) problem("scheme", "must be a scheme such as https");
    if (!/^\d{0,5}$/.test(port) || Number(port) > 65535) problem("port", "must be a port number");
  },

  create({ scheme, port, permanent }) {
    const suffix = port === "" || DEFAULT_PORT[scheme] === port ? "" : `:${port}`;
    return {
      onRequest(exchange) {
        const current = schemeOf(exchange);
        const [host, currentPort] = splitAuthority(exchange.authority);
        if (host === "") return NO_HOST;
        if (current === scheme) {
          const currentSuffix =
            currentPort === "" || DEFAULT_PORT[current] === currentPort ? "" : `:${currentPort}`;
          if (suffix === currentSuffix) return undefined;
        }
        const query = exchange.query === undefined ? "" : `?${exchange.query}`;
        const location = `${scheme}://${host}${suffix}${exchange.path}${query}`;
        const isGet = exchange.method === "GET";
        const status = permanent ? (isGet ? 301 : 308) : isGet ? 302 : 307;
        return reply(status, "redirectScheme", ["Location", location]);
      },
    };
  },
});

const DEFAULT_PORT: Record<string, string> = { http: "80", ws: "80", https: "443", wss: "443" };

// A proxy in front of us ends TLS: what it says counts, and the entry point has taken it away if it may not say so.
function schemeOf(exchange: Exchange): string {
  const told = getHeader(exchange.headers, "x-forwarded-proto")?.toLowerCase();
  if (told === "https" || told === "wss") return "https";
  if (told === "http" || told === "ws") return "http";
  return exchange.scheme;
}

/** Host with its brackets, and port, of an authority that was checked when it arrived. */
function splitAuthority(authority: string): [host: string, port: string] {
  const colon = authority.lastIndexOf(":");
  if (colon < 0 || authority.endsWith("]")) return [authority, ""];
  return [authority.slice(0, colon), authority.slice(colon + 1)];
}

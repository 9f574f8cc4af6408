import { compileGoRegexp, parseGoReplacement } from "../lib/go-regexp.ts";
import { reply } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import { middleware } from "../model/middleware.ts";
import { bool, text } from "../schema/kinds.ts";

const UNSAFE = reply(400, "redirectRegex: the target would be another host");
const UNREADABLE = { ...reply(502, "redirectRegex: the target is no URL"), fault: FAULTS.internal };

export default middleware({
  name: "redirectRegex",
  summary: "Redirects requests whose URL fits a regular expression.",

  options: {
    regex: text({
      doc: "Regular expression in Go's syntax, matched against the whole URL: scheme://host:port/path?query.",
      required: true,
      example: "^https?://www\\.(.+)",
    }),
    replacement: text({
      doc: "Where to send the client; $1 stands for a group. In a compose file write every $ as $$.",
      required: true,
      example: "https://$1",
    }),
    permanent: bool({ doc: "301 or 308 instead of 302 or 307.", default: "false" }),
  },

  check({ regex }, problem) {
    const compiled = compileGoRegexp(regex.trim());
    if ("problem" in compiled) problem("regex", compiled.problem);
  },

  create({ regex, replacement, permanent }) {
    const compiled = compileGoRegexp(regex.trim());
    if ("problem" in compiled) throw new Error(`redirectRegex: ${compiled.problem}`);
    const { regexp } = compiled;
    const put = parseGoReplacement(replacement.trim());
    const literal = typeof put.parts[0] === "string" ? put.parts[0] : "";
    const promisedHost = hostPromisedBy(literal);
    return {
      onRequest(exchange) {
        const query = exchange.query === undefined ? "" : `?${exchange.query}`;
        // The entry point's own scheme: what a header says about it is for redirectScheme.
        const scheme = exchange.connection.tls === undefined ? "http" : "https";
        const url = `${scheme}://${exchange.authority}${exchange.path}${query}`;
        const target = regexp.replaceAll(url, put);
        if (target === url) return undefined;
        const host = hostOf(target);
        if (host === undefined) return UNREADABLE;
        if (promisedHost !== undefined && target.startsWith(literal) && host !== promisedHost) return UNSAFE;
        const isGet = exchange.method === "GET";
        const status = permanent ? (isGet ? 301 : 308) : isGet ? 302 : 307;
        return reply(status, "redirectRegex", ["Location", asLocation(target)]);
      },
    };
  },
});

/**
 * The host that a replacement names in plain text: no request may turn `https://a.example$1` into another host or
 * `/$1` into one at all. Undefined when the host itself is made of what was matched.
 */
function hostPromisedBy(literal: string): string | undefined {
  if (/^\/(?!\/)/.test(literal)) return "";
  return /^[a-z][a-z0-9+.-]*:\/\/[^/?#@]+/i.test(literal) ? hostOf(literal) : undefined;
}

/** Host of a target as a browser takes it; empty for a path on the same host, undefined for no URL. */
function hostOf(target: string): string | undefined {
  const url = URL.parse(target, "http://same.invalid/");
  if (url === null) return undefined;
  return url.hostname === "same.invalid" ? "" : url.hostname;
}

/** Every byte that may not stand in a header or a URL, escaped. */
function asLocation(target: string): string {
  return target.replace(/[^\x21-\x7e]+|["<>\\^`{|}]/gu, (found) => {
    const hex = Buffer.from(found).toString("hex").toUpperCase();
    return hex.replace(/../g, "%$&");
  });
}

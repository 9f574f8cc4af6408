import { coveredByDecoded, decodePath, isNormalPath } from "../lib/escaped-path.ts";
import { compileGoRegexp, type GoRegexp } from "../lib/go-regexp.ts";
import { reply } from "../model/exchange.ts";
import { middleware } from "../model/middleware.ts";
import { list } from "../schema/composites.ts";
import { text } from "../schema/kinds.ts";

const UNCLEAN = reply(400, "stripPrefixRegex: unclean path");

export default middleware({
  name: "stripPrefixRegex",
  summary: "Takes a prefix that fits a regular expression off the path of the request.",

  options: {
    regex: list(text)({
      doc: "Regular expressions in Go's syntax; the first that matches at the start of the path counts.",
      example: "/api/v[0-9]+",
    }),
  },

  check({ regex }, problem) {
    for (const pattern of regex) {
      const compiled = compileGoRegexp(pattern.trim());
      if ("problem" in compiled) problem("regex", compiled.problem);
    }
  },

  create({ regex }) {
    const patterns: GoRegexp[] = [];
    for (const pattern of regex) {
      const compiled = compileGoRegexp(pattern.trim());
      if ("regexp" in compiled) patterns.push(compiled.regexp);
    }
    return {
      onRequest(exchange) {
        const decoded = decodePath(exchange.path);
        for (const pattern of patterns) {
          const found = pattern.find(decoded);
          if (found === undefined || found.from !== 0 || found.to === 0) continue;
          const length = coveredByDecoded(exchange.path, found.to);
          if (length < 0) return UNCLEAN;
          const rest = exchange.path.slice(length);
          const path = rest.startsWith("/") ? rest : `/${rest}`;
          if (!isNormalPath(path)) return UNCLEAN;
          exchange.headers.push("X-Forwarded-Prefix", exchange.path.slice(0, length));
          exchange.path = path;
          return undefined;
        }
        return undefined;
      },
    };
  },
});

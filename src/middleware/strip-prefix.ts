import { coveredBy, decodedPrefix, isNormalPath } from "../lib/escaped-path.ts";
import { reply } from "../model/exchange.ts";
import { middleware } from "../model/middleware.ts";
import { list } from "../schema/composites.ts";
import { bool, text } from "../schema/kinds.ts";

const UNCLEAN = reply(400, "stripPrefix: unclean path");

export default middleware({
  name: "stripPrefix",
  summary: "Takes a prefix off the path of the request.",

  options: {
    prefixes: list(text)({ doc: "Prefixes; the first that fits is taken off.", example: "/api,/v1" }),
    forceSlash: bool({
      doc: "Leave a path that begins with exactly one slash.",
      default: "false",
      obsolete: "what is left always begins with a slash",
    }),
  },

  create({ prefixes }) {
    // An empty prefix fits every path and takes nothing off.
    const compiled = prefixes.map((prefix) => decodedPrefix(prefix.trim()));
    return {
      onRequest(exchange) {
        for (const prefix of compiled) {
          const length = coveredBy(prefix, exchange.path);
          if (length < 0) continue;
          const taken = exchange.path.slice(0, length);
          const rest = exchange.path.slice(length);
          const path = rest.charCodeAt(0) === 0x2f ? rest : `/${rest}`;
          if (!isNormalPath(path)) return UNCLEAN;
          exchange.path = path;
          exchange.headers.push("X-Forwarded-Prefix", taken);
          return undefined;
        }
        return undefined;
      },
    };
  },
});

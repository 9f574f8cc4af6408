import { escapePath, isNormalPath } from "../lib/escaped-path.ts";
import { reply } from "../model/exchange.ts";
import { middleware } from "../model/middleware.ts";
import { text } from "../schema/kinds.ts";

const UNCLEAN = reply(400, "addPrefix: unclean path");

export default middleware({
  name: "addPrefix",
  summary: "Puts a prefix before the path of the request.",

  options: {
    prefix: text({ doc: "What to put before the path.", required: true, example: "/api" }),
  },

  check({ prefix }, problem) {
    if (prefix === "") problem("prefix", "must not be empty");
    else if (prefixOf(prefix) === undefined)
      problem("prefix", `must be a path without empty or dot segments, found ${JSON.stringify(prefix)}`);
  },

  create({ prefix }) {
    const put = prefixOf(prefix) ?? "";
    return {
      onRequest(exchange) {
        const path = put + exchange.path;
        // Escapes of two normal halves stay normal, dots and slashes meet only at the seam, which is "/".
        if (path.charCodeAt(0) !== 0x2f) return UNCLEAN;
        exchange.path = path;
        return undefined;
      },
    };
  },
});

// Without its last slash: the path brings its own, and an empty segment between the two would not be a normal path.
function prefixOf(written: string): string | undefined {
  const escaped = escapePath(written.startsWith("/") ? written : `/${written}`);
  if (escaped === undefined || !isNormalPath(escaped)) return undefined;
  return escaped.endsWith("/") ? escaped.slice(0, -1) : escaped;
}

import { escapePath, isNormalPath } from "../lib/escaped-path.ts";
import { middleware } from "../model/middleware.ts";
import { text } from "../schema/kinds.ts";

export default middleware({
  name: "replacePath",
  summary: "Replaces the path of the request.",

  options: {
    path: text({ doc: "The new path. The query stays.", required: true, example: "/foo" }),
  },

  check({ path }, problem) {
    if (normalPath(path) === undefined)
      problem("path", `must be a path without empty or dot segments, found ${JSON.stringify(path)}`);
  },

  create({ path }) {
    const put = normalPath(path) ?? "/";
    return {
      onRequest(exchange) {
        exchange.headers.push("X-Replaced-Path", exchange.path);
        exchange.path = put;
        return undefined;
      },
    };
  },
});

function normalPath(written: string): string | undefined {
  const escaped = escapePath(written);
  return escaped !== undefined && isNormalPath(escaped) ? escaped : undefined;
}

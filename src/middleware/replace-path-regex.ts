import { escapePath, isNormalPath } from "../lib/escaped-path.ts";
import { compileGoRegexp, parseGoReplacement } from "../lib/go-regexp.ts";
import { reply } from "../model/exchange.ts";
import { middleware } from "../model/middleware.ts";
import { text } from "../schema/kinds.ts";

const UNCLEAN = reply(400, "replacePathRegex: unclean path");

export default middleware({
  name: "replacePathRegex",
  summary: "Rewrites the path of the request with a regular expression.",

  options: {
    regex: text({
      doc: "Regular expression in Go's syntax, matched against the path as it is sent, escapes included.",
      required: true,
      example: "^/foo/(.*)",
    }),
    replacement: text({
      doc: "New path; $1 stands for a group. In a compose file write every $ as $$.",
      default: "",
      example: "/bar/$1",
    }),
  },

  check({ regex }, problem) {
    const compiled = compileGoRegexp(regex.trim());
    if ("problem" in compiled) problem("regex", compiled.problem);
  },

  create({ regex, replacement }) {
    const compiled = compileGoRegexp(regex.trim());
    if ("problem" in compiled) throw new Error(`replacePathRegex: ${compiled.problem}`);
    const { regexp } = compiled;
    const put = parseGoReplacement(replacement.trim());
    return {
      onRequest(exchange) {
        if (!regexp.test(exchange.path)) return undefined;
        const path = escapePath(regexp.replaceAll(exchange.path, put));
        if (path === undefined || !isNormalPath(path)) return UNCLEAN;
        exchange.headers.push("X-Replaced-Path", exchange.path);
        exchange.path = path;
        return undefined;
      },
    };
  },
});

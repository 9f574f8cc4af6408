import { sniffContentType } from "../lib/sniff-content-type.ts";
import { getHeader } from "../model/headers.ts";
import { middleware } from "../model/middleware.ts";
import { PeekedBody } from "../model/peeked-body.ts";
import { bool } from "../schema/kinds.ts";

const LOOK_BYTES = 512;
const PATIENCE_MS = 50;

export default middleware({
  name: "contentType",
  summary: "Gives replies without a Content-Type one that is guessed from their first bytes.",

  options: {
    autoDetect: bool({ doc: "", obsolete: "the middleware itself switches guessing on" }),
  },
  enabler: true,

  create: () => ({
    async onResponse(exchange) {
      const headers = exchange.replyHeaders;
      if (exchange.replyBody.length === 0 || exchange.method === "HEAD") return undefined;
      if (getHeader(headers, "content-type") !== undefined) return undefined;
      if (getHeader(headers, "content-encoding") !== undefined) return undefined;
      const body = await PeekedBody.peek(exchange.replyBody, LOOK_BYTES, PATIENCE_MS);
      exchange.replyBody = body;
      const beginning = body.beginning;
      if (beginning.length > 0) headers.push("Content-Type", sniffContentType(beginning));
      return undefined;
    },
  }),
});

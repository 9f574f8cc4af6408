import { CidrSet } from "../lib/cidr.ts";
import { reply } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import { middleware } from "../model/middleware.ts";
import { compileIpStrategy, ipStrategy, whyNoStrategy } from "../model/source-criterion.ts";
import { list } from "../schema/composites.ts";
import { cidr, statusCode } from "../schema/kinds.ts";

export default middleware({
  name: "ipAllowList",
  summary: "Lets only clients with certain addresses through.",

  options: {
    sourceRange: list(cidr)({
      doc: "Addresses and ranges that may pass.",
      required: true,
      example: "127.0.0.1/32,192.168.1.0/24",
    }),
    ipStrategy: ipStrategy({ doc: "Which address counts as the client's; the peer's if not set." }),
    rejectStatusCode: statusCode({ doc: "Status for all others.", default: "403" }),
  },

  check({ sourceRange, ipStrategy }, problem) {
    if (sourceRange.length === 0) problem("sourceRange", "must name at least one address or range");
    const why = whyNoStrategy(ipStrategy);
    if (why !== undefined) problem("ipStrategy", why);
  },

  create({ sourceRange, ipStrategy, rejectStatusCode }) {
    const allowed = new CidrSet(sourceRange);
    const addressOf = compileIpStrategy(ipStrategy);
    const refusal = {
      ...reply(rejectStatusCode, "ipAllowList"),
      fault: { ...FAULTS["refused-by-middleware"], status: rejectStatusCode },
    };
    return {
      // What is no address is in no range, so junk in X-Forwarded-For is refused.
      onRequest: (exchange) => (allowed.has(addressOf(exchange)) ? undefined : refusal),
    };
  },
});

import { CidrSet } from "../lib/cidr.ts";
import { reply } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import { middleware } from "../model/middleware.ts";
import { compileIpStrategy, ipStrategy, whyNoStrategy } from "../model/source-criterion.ts";
import { list } from "../schema/composites.ts";
import { cidr } from "../schema/kinds.ts";

const REFUSAL = { ...reply(403, "ipWhiteList"), fault: FAULTS["refused-by-middleware"] };

export default middleware({
  name: "ipWhiteList",
  summary: "Lets only clients with certain addresses through: the old name of ipAllowList.",

  options: {
    sourceRange: list(cidr)({
      doc: "Addresses and ranges that may pass.",
      required: true,
      example: "127.0.0.1/32,192.168.1.0/24",
    }),
    ipStrategy: ipStrategy({ doc: "Which address counts as the client's; the peer's if not set." }),
  },

  check({ sourceRange, ipStrategy }, problem) {
    if (sourceRange.length === 0) problem("sourceRange", "must name at least one address or range");
    const why = whyNoStrategy(ipStrategy);
    if (why !== undefined) problem("ipStrategy", why);
  },

  create({ sourceRange, ipStrategy }) {
    const allowed = new CidrSet(sourceRange);
    const addressOf = compileIpStrategy(ipStrategy);
    return {
      onRequest: (exchange) => (allowed.has(addressOf(exchange)) ? undefined : REFUSAL),
    };
  },
});

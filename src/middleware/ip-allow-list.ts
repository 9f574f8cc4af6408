import { admitOnly, checkIpList, ipListOptions } from "../model/ip-list.ts";
import { middleware } from "../model/middleware.ts";
import { statusCode } from "../schema/kinds.ts";

export default middleware({
  name: "ipAllowList",
  summary: "Lets only clients with certain addresses through.",

  options: {
    ...ipListOptions,
    rejectStatusCode: statusCode({ doc: "Status for all others.", default: "403" }),
  },

  check: checkIpList,

  create: (options) => admitOnly(options, options.rejectStatusCode, "ipAllowList"),
});

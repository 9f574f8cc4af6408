import { admitOnly, checkIpList, ipListOptions } from "../model/ip-list.ts";
import { middleware } from "../model/middleware.ts";

export default middleware({
  name: "ipWhiteList",
  summary: "Lets only clients with certain addresses through: the old name of ipAllowList.",

  options: { ...ipListOptions },

  check: checkIpList,

  create: (options) => admitOnly(options, 403, "ipWhiteList"),
});

import { CidrSet } from "../lib/cidr.ts";
import { list } from "../schema/composites.ts";
import { cidr } from "../schema/kinds.ts";
import type { Values } from "../schema/option.ts";
import { type Reply, reply } from "./exchange.ts";
import { FAULTS } from "./fault.ts";
import type { Hooks, Middleware } from "./middleware.ts";
import { compileIpStrategy, ipStrategy, whyNoStrategy } from "./source-criterion.ts";

/** What `ipAllowList` and its old name `ipWhiteList`, which can say less, have in common. */
export const ipListOptions = {
  sourceRange: list(cidr)({
    doc: "Addresses and ranges that may pass.",
    required: true,
    example: "127.0.0.1/32,192.168.1.0/24",
  }),
  ipStrategy: ipStrategy({ doc: "Which address counts as the client's; the peer's if not set." }),
};

export type IpList = Values<typeof ipListOptions>;

export const checkIpList: NonNullable<Middleware<typeof ipListOptions>["check"]> = (
  { sourceRange, ipStrategy },
  problem,
) => {
  if (sourceRange.length === 0) problem("sourceRange", "must name at least one address or range");
  const why = whyNoStrategy(ipStrategy);
  if (why !== undefined) problem("ipStrategy", why);
};

/** Lets the list's clients through. What is no address is in no range, so junk in X-Forwarded-For is refused. */
export function admitOnly({ sourceRange, ipStrategy }: IpList, status: number, author: string): Hooks {
  const allowed = new CidrSet(sourceRange);
  const addressOf = compileIpStrategy(ipStrategy);
  const refusal: Reply = {
    ...reply(status, author),
    fault: { ...FAULTS["refused-by-middleware"], status },
  };
  return { onRequest: (exchange) => (allowed.has(addressOf(exchange)) ? undefined : refusal) };
}

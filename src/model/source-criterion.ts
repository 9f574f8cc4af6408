import { CidrSet, canonicalIp } from "../lib/cidr.ts";
import { ipv6Subnet } from "../lib/ipv6-subnet.ts";
import { group, list } from "../schema/composites.ts";
import { bool, cidr, count, text } from "../schema/kinds.ts";
import type { Values } from "../schema/option.ts";
import type { Exchange } from "./exchange.ts";
import { getHeader, getHeaders, isHeaderName } from "./headers.ts";

/** What tells clients apart, for middlewares that treat each of them by itself. */
const strategyOptions = {
  depth: count({
    doc: "Which address of X-Forwarded-For counts, from the right; the peer is not among them. 0 for the peer.",
    default: "0",
  }),
  excludedIPs: list(cidr)({
    doc: "Take the address of X-Forwarded-For furthest to the right that is none of these.",
    example: "10.0.0.0/8",
  }),
  ipv6Subnet: count({ doc: "How many bits of an IPv6 address count, 1 to 128; 0 for all.", default: "0" }),
};

export type IpStrategy = Values<typeof strategyOptions>;
export const ipStrategy = group(strategyOptions, { enabler: true });

const sourceOptions = {
  ipStrategy: ipStrategy({ doc: "Clients are told apart by their address." }),
  requestHeaderName: text({ doc: "Clients are told apart by a header.", default: "", example: "X-Api-Key" }),
  requestHost: bool({ doc: "All requests for one host count together.", default: "false" }),
};

export type SourceCriterion = Values<typeof sourceOptions>;
export const sourceCriterion = group(sourceOptions);

/** Why the options cannot stand together, if they cannot. */
export function whyNoStrategy(strategy: IpStrategy | undefined): string | undefined {
  return strategy !== undefined && strategy.ipv6Subnet > 128
    ? "must have an ipv6Subnet from 1 to 128"
    : undefined;
}

export function whyNoCriterion(criterion: SourceCriterion | undefined): string | undefined {
  if (criterion === undefined) return undefined;
  const { ipStrategy, requestHeaderName, requestHost } = criterion;
  const chosen = [ipStrategy !== undefined, requestHeaderName !== "", requestHost];
  if (chosen.filter(Boolean).length > 1)
    return "must have only one of ipStrategy, requestHeaderName and requestHost";
  if (requestHeaderName !== "" && !isHeaderName(requestHeaderName))
    return "must have a header name as requestHeaderName";
  return whyNoStrategy(ipStrategy);
}

/** The name of the client that a request counts for. Requests that have none share the empty name. */
export type SourceOf = (exchange: Exchange) => string;

export function compileSource(criterion: SourceCriterion | undefined, otherwise: SourceOf): SourceOf {
  if (criterion?.ipStrategy !== undefined) return compileIpStrategy(criterion.ipStrategy);
  if (criterion?.requestHost) return byHost;
  const header = criterion?.requestHeaderName.toLowerCase() ?? "";
  return header === "" ? otherwise : (exchange) => getHeader(exchange.headers, header) ?? "";
}

export const byHost: SourceOf = (exchange) => exchange.host;
export const byPeer: SourceOf = (exchange) => exchange.connection.peerIp;

export function compileIpStrategy(strategy: IpStrategy | undefined): SourceOf {
  if (strategy === undefined) return byPeer;
  const { depth, excludedIPs, ipv6Subnet: bits } = strategy;
  const excluded = new CidrSet(excludedIPs);
  const address = (exchange: Exchange) => {
    if (depth > 0) return hopsOf(exchange).at(-depth) ?? "";
    if (excludedIPs.length > 0)
      return hopsOf(exchange).findLast((hop) => hop !== "" && !excluded.has(hop)) ?? "";
    return exchange.connection.peerIp;
  };
  return bits === 0 ? address : (exchange) => ipv6Subnet(address(exchange), bits);
}

function hopsOf(exchange: Exchange): string[] {
  const told = getHeaders(exchange.headers, "x-forwarded-for").join(",");
  return told.split(",").map((hop) => canonicalIp(hop.trim()) ?? hop.trim());
}

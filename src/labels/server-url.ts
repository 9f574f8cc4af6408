import { isIP } from "node:net";
import { isOwnAddress } from "../lib/own-addresses.ts";
import type { ServerSpec } from "../model/snapshot.ts";
import type { Workload } from "../model/workload.ts";

const OUR_NAMES = /(?:^|\.)(?:localhost|metadata\.google\.internal|metadata|instance-data)\.?$/i;

export type UrlServer = Pick<ServerSpec, "scheme" | "host" | "port" | "path" | "url" | "foreign">;

export interface UrlPolicy {
  /** The labels are our own container's. */
  readonly trusted: boolean;
  readonly allowExternalUrls: boolean;
  readonly workload: Workload;
  readonly addresses: ReadonlyMap<string, Workload>;
}

/** Reads `loadBalancer.server.url` of a label. A string says why it is refused. */
export function readServerUrl(text: string, preservePath: boolean, policy: UrlPolicy): UrlServer | string {
  const url = URL.parse(text);
  const scheme = url?.protocol.slice(0, -1);
  if (scheme === "unix") return "labels cannot aim at a Unix socket";
  if (url === null || (scheme !== "http" && scheme !== "https" && scheme !== "h2c") || url.hostname === "") {
    return "expected an address such as http://10.0.0.5:8080";
  }
  // For schemes it does not know, such as h2c, the parser leaves hosts as they are (`2130706433`): read it as http.
  const { hostname } = scheme === "h2c" ? (URL.parse(text.replace(/^h2c:/i, "http:")) ?? url) : url;
  const host = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const refusal = refusalFor(host, policy);
  if (refusal !== undefined) return refusal;
  const port = url.port === "" ? (scheme === "https" ? 443 : 80) : Number(url.port);
  const path = preservePath ? url.pathname.replace(/\/+$/, "") : "";
  return { scheme, host, port, path, url: text, ...(!policy.trusted && { foreign: true as const }) };
}

function refusalFor(
  host: string,
  { trusted, allowExternalUrls, workload, addresses }: UrlPolicy,
): string | undefined {
  if (trusted) return undefined;
  const family = isIP(host);
  if (family === 0 ? OUR_NAMES.test(host) : isOwnAddress(host)) {
    return "labels cannot aim at Waybill's own host, link-local or metadata addresses";
  }
  const owner = addresses.get(host);
  if (owner !== undefined && owner.id !== workload.id) {
    return `that is the address of the container ${owner.name}, which has labels of its own to be routed by`;
  }
  if (!allowExternalUrls && owner === undefined) {
    return "addresses that are not the container's own are switched off by allowExternalUrls=false";
  }
  return undefined;
}

import { createHash } from "node:crypto";
import { type ApiCall, callApi, findZone, listOf, type ProviderKind, TTL_S } from "./provider.ts";

const ENDPOINTS = new Map([
  ["ovh-eu", "https://eu.api.ovh.com/1.0"],
  ["ovh-ca", "https://ca.api.ovh.com/1.0"],
  ["ovh-us", "https://api.us.ovhcloud.com/1.0"],
]);

export const ovh: ProviderKind = {
  code: "ovh",
  summary: "OVH, with an application key, its secret and a consumer key.",
  propagationMs: 120_000,
  create(variables, { clock }) {
    const endpoint = variables.need("OVH_ENDPOINT");
    const base = ENDPOINTS.get(endpoint) ?? endpoint;
    if (!URL.canParse(base))
      throw new Error(`OVH_ENDPOINT must be one of ${[...ENDPOINTS.keys()].join(", ")}`);
    const application = variables.need("OVH_APPLICATION_KEY");
    const secret = variables.need("OVH_APPLICATION_SECRET");
    const consumer = variables.need("OVH_CONSUMER_KEY");

    const call = (method: ApiCall["method"], path: string, body?: unknown, also: readonly number[] = []) => {
      const url = base + path;
      const text = body === undefined ? "" : JSON.stringify(body);
      const timestamp = String(Math.floor(clock.nowMs() / 1000));
      const signed = [secret, consumer, method, url, text, timestamp].join("+");
      const headers = {
        "content-type": "application/json",
        "x-ovh-application": application,
        "x-ovh-consumer": consumer,
        "x-ovh-timestamp": timestamp,
        "x-ovh-signature": `$1$${createHash("sha1").update(signed).digest("hex")}`,
      };
      return callApi({ method, url, headers, also, ...(text !== "" && { body: text }) });
    };

    const zoneOf = (name: string) =>
      findZone(name, async (zone) => {
        const { status } = await call("GET", `/domain/zone/${zone}`, undefined, [403, 404]);
        return status === 200 ? zone : undefined;
      });

    return {
      async present({ name, value }) {
        const { zone, relative } = await zoneOf(name);
        const record = { fieldType: "TXT", subDomain: relative, target: `"${value}"`, ttl: TTL_S };
        await call("POST", `/domain/zone/${zone}/record`, record);
        await call("POST", `/domain/zone/${zone}/refresh`);
      },
      async cleanUp({ name, value }) {
        const { zone, relative } = await zoneOf(name);
        const query = `?fieldType=TXT&subDomain=${encodeURIComponent(relative)}`;
        const { data } = await call("GET", `/domain/zone/${zone}/record${query}`);
        for (const id of listOf(data)) {
          const record = await call("GET", `/domain/zone/${zone}/record/${String(id)}`);
          if (record.text.includes(value)) await call("DELETE", `/domain/zone/${zone}/record/${String(id)}`);
        }
        await call("POST", `/domain/zone/${zone}/refresh`);
      },
    };
  },
};

import { AcmeProblem } from "../problem.ts";
import { callApi, type ProviderKind } from "./provider.ts";

export const duckdns: ProviderKind = {
  code: "duckdns",
  summary:
    "DuckDNS, which keeps one record a name: a wildcard and its domain are proved one after the other.",
  propagationMs: 300_000,
  create(variables) {
    const base = variables.get("DUCKDNS_API_URL") ?? "https://www.duckdns.org";
    const token = variables.need("DUCKDNS_TOKEN");

    const update = async (name: string, change: string) => {
      const domain = /([^.]+)\.duckdns\.org$/.exec(name)?.[1];
      if (domain === undefined) throw new AcmeProblem("dnsProvider", `${name} is not a name of DuckDNS`);
      const query = `domains=${domain}&token=${encodeURIComponent(token)}&${change}`;
      const { text } = await callApi({ method: "GET", url: `${base}/update?${query}` });
      if (text.trim() !== "OK")
        throw new AcmeProblem("dnsProvider", `DuckDNS answered ${text.trim().slice(0, 40)}`);
    };

    return {
      present: ({ name, value }) => update(name, `txt=${value}`),
      cleanUp: ({ name }) => update(name, "txt=&clear=true"),
    };
  },
};

import { type ApiCall, callApi, field, findZone, listOf, type ProviderKind, TTL_S } from "./provider.ts";

export const cloudflare: ProviderKind = {
  code: "cloudflare",
  summary: "Cloudflare, with an API token that may edit DNS.",
  propagationMs: 120_000,
  create(variables) {
    const base =
      variables.get("CLOUDFLARE_BASE_URL", "CF_BASE_URL") ?? "https://api.cloudflare.com/client/v4";
    const token = variables.get("CF_DNS_API_TOKEN", "CLOUDFLARE_DNS_API_TOKEN");
    const edit = token ? bearer(token) : globalKey();
    const zoneToken = variables.get("CF_ZONE_API_TOKEN", "CLOUDFLARE_ZONE_API_TOKEN");
    const read = zoneToken ? bearer(zoneToken) : edit;

    function globalKey(): Record<string, string> {
      const key = variables.get("CF_API_KEY", "CLOUDFLARE_API_KEY");
      if (key === undefined) return bearer(variables.need("CF_DNS_API_TOKEN", "CLOUDFLARE_DNS_API_TOKEN"));
      return { "x-auth-email": variables.need("CF_API_EMAIL", "CLOUDFLARE_EMAIL"), "x-auth-key": key };
    }

    const call = async (
      method: ApiCall["method"],
      path: string,
      headers: Record<string, string>,
      body?: unknown,
    ) => {
      const { data } = await callApi({
        method,
        url: base + path,
        headers,
        ...(body !== undefined && { body }),
      });
      return field(data, "result");
    };

    const records = async (name: string) => {
      const { found } = await findZone(name, async (zone) => {
        const zones = listOf(await call("GET", `/zones?name=${encodeURIComponent(zone)}`, read));
        return zones.length > 0 ? String(field(zones[0], "id")) : undefined;
      });
      return `/zones/${found}/dns_records`;
    };

    const idsOf = async (path: string, name: string, value: string) => {
      const found = listOf(await call("GET", `${path}?type=TXT&name=${encodeURIComponent(name)}`, edit));
      const same = found.filter((one) => String(field(one, "content")).replaceAll('"', "") === value);
      return same.map((one) => String(field(one, "id")));
    };

    return {
      async present({ name, value }) {
        const path = await records(name);
        // The record of an order that is resumed after a crash is there already, and an identical one is refused.
        if ((await idsOf(path, name, value)).length > 0) return;
        await call("POST", path, edit, { type: "TXT", name, content: `"${value}"`, ttl: TTL_S });
      },
      async cleanUp({ name, value }) {
        const path = await records(name);
        for (const id of await idsOf(path, name, value)) await call("DELETE", `${path}/${id}`, edit);
      },
    };
  },
};

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

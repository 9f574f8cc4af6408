import { callApi, field, findZone, listOf, type ProviderKind, TTL_S } from "./provider.ts";

export const digitalocean: ProviderKind = {
  code: "digitalocean",
  summary: "DigitalOcean, with an access token.",
  propagationMs: 120_000,
  create(variables) {
    const base = variables.get("DO_API_URL") ?? "https://api.digitalocean.com";
    const headers = { authorization: `Bearer ${variables.need("DO_AUTH_TOKEN")}` };
    const zoneOf = (name: string) =>
      findZone(name, async (zone) => {
        const { status } = await callApi({
          method: "GET",
          url: `${base}/v2/domains/${zone}`,
          headers,
          also: [404],
        });
        return status === 404 ? undefined : zone;
      });

    return {
      async present({ name, value }) {
        const { zone, relative } = await zoneOf(name);
        const body = { type: "TXT", name: relative || "@", data: value, ttl: TTL_S };
        await callApi({ method: "POST", url: `${base}/v2/domains/${zone}/records`, headers, body });
      },
      async cleanUp({ name, value }) {
        const { zone } = await zoneOf(name);
        const url = `${base}/v2/domains/${zone}/records`;
        const query = `?type=TXT&per_page=200&name=${encodeURIComponent(name)}`;
        const { data } = await callApi({ method: "GET", url: url + query, headers });
        for (const record of listOf(field(data, "domain_records"))) {
          if (field(record, "data") !== value) continue;
          await callApi({
            method: "DELETE",
            url: `${url}/${String(field(record, "id"))}`,
            headers,
            also: [404],
          });
        }
      },
    };
  },
};

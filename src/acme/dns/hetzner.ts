import { callApi, findZone, type ProviderKind, TTL_S } from "./provider.ts";

export const hetzner: ProviderKind = {
  code: "hetzner",
  summary: "Hetzner, with a token of the Cloud console.",
  propagationMs: 120_000,
  create(variables) {
    const base = variables.get("HETZNER_API_URL") ?? "https://api.hetzner.cloud/v1";
    const headers = { authorization: `Bearer ${variables.need("HETZNER_API_TOKEN")}` };
    const setOf = async (name: string) => {
      const { zone, relative } = await findZone(name, async (candidate) => {
        const { status } = await callApi({
          method: "GET",
          url: `${base}/zones/${candidate}`,
          headers,
          also: [404],
        });
        return status === 404 ? undefined : candidate;
      });
      return `${base}/zones/${zone}/rrsets/${relative || "@"}/TXT/actions`;
    };

    return {
      async present({ name, value }) {
        const body = { ttl: TTL_S, records: [{ value: `"${value}"` }] };
        await callApi({ method: "POST", url: `${await setOf(name)}/add_records`, headers, body });
      },
      async cleanUp({ name, value }) {
        const body = { records: [{ value: `"${value}"` }] };
        await callApi({
          method: "POST",
          url: `${await setOf(name)}/remove_records`,
          headers,
          body,
          also: [404],
        });
      },
    };
  },
};

import { callApi, field, findZone, listOf, type ProviderKind } from "./provider.ts";

const TTL_MIN_S = 300;

export const gandi: ProviderKind = {
  code: "gandiv5",
  summary: "Gandi LiveDNS, with a personal access token.",
  propagationMs: 1_200_000,
  create(variables) {
    const base = variables.get("GANDIV5_API_URL") ?? "https://api.gandi.net/v5/livedns";
    const token = variables.get("GANDIV5_PERSONAL_ACCESS_TOKEN");
    const authorization = token
      ? `Bearer ${token}`
      : `Apikey ${variables.need("GANDIV5_PERSONAL_ACCESS_TOKEN", "GANDIV5_API_KEY")}`;
    const headers = { authorization };

    const change = async (name: string, edit: (values: readonly string[]) => readonly string[]) => {
      const { zone, relative } = await findZone(name, async (candidate) => {
        const url = `${base}/domains/${candidate}`;
        const { status } = await callApi({ method: "GET", url, headers, also: [403, 404] });
        return status === 200 ? candidate : undefined;
      });
      const url = `${base}/domains/${zone}/records/${relative || "@"}/TXT`;
      const { data, status } = await callApi({ method: "GET", url, headers, also: [404] });
      const before =
        status === 404
          ? []
          : listOf(field(data, "rrset_values")).map((one) => String(one).replaceAll('"', ""));
      const values = edit(before);
      if (values.length === 0) await callApi({ method: "DELETE", url, headers, also: [404] });
      else
        await callApi({ method: "PUT", url, headers, body: { rrset_ttl: TTL_MIN_S, rrset_values: values } });
    };

    return {
      present: ({ name, value }) => change(name, (values) => [...new Set([...values, value])]),
      cleanUp: ({ name, value }) => change(name, (values) => values.filter((one) => one !== value)),
    };
  },
};

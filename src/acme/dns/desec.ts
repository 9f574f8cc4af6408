import { callApi, field, findZone, listOf, type ProviderKind } from "./provider.ts";

// deSEC refuses shorter ones.
const TTL_MIN_S = 3600;

export const desec: ProviderKind = {
  code: "desec",
  summary: "deSEC, with a token.",
  propagationMs: 180_000,
  create(variables) {
    const base = variables.get("DESEC_API_URL") ?? "https://desec.io/api/v1";
    const headers = { authorization: `Token ${variables.need("DESEC_TOKEN")}` };

    /** Writes the whole set; one without records is removed. */
    const change = async (name: string, edit: (values: readonly string[]) => readonly string[]) => {
      const { zone, relative } = await findZone(name, async (candidate) => {
        const { status } = await callApi({
          method: "GET",
          url: `${base}/domains/${candidate}/`,
          headers,
          also: [404],
        });
        return status === 404 ? undefined : candidate;
      });
      const sets = `${base}/domains/${zone}/rrsets/`;
      const one = `${sets}${relative || "@"}/TXT/`;
      const { data, status } = await callApi({ method: "GET", url: one, headers, also: [404] });
      const before = status === 404 ? [] : listOf(field(data, "records")).map(String);
      const set = { subname: relative, type: "TXT", ttl: TTL_MIN_S, records: edit(before) };
      await callApi({ method: "PUT", url: sets, headers, body: [set] });
    };

    return {
      present: ({ name, value }) => change(name, (values) => [...new Set([...values, `"${value}"`])]),
      cleanUp: ({ name, value }) => change(name, (values) => values.filter((one) => one !== `"${value}"`)),
    };
  },
};

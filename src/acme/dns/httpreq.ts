import { callApi, type DnsRecord, type ProviderKind } from "./provider.ts";

export const httpreq: ProviderKind = {
  code: "httpreq",
  summary: "A service of your own that takes lego's two requests, /present and /cleanup.",
  propagationMs: 60_000,
  create(variables) {
    const endpoint = variables.need("HTTPREQ_ENDPOINT").replace(/\/$/, "");
    const isRaw = variables.get("HTTPREQ_MODE") === "RAW";
    const user = variables.get("HTTPREQ_USERNAME");
    const password = variables.get("HTTPREQ_PASSWORD") ?? "";
    const headers = user
      ? { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` }
      : {};
    const send = async (path: string, { name, value, domain, token, keyAuthorization }: DnsRecord) => {
      const body = isRaw ? { domain, token, keyAuth: keyAuthorization } : { fqdn: `${name}.`, value };
      await callApi({ method: "POST", url: `${endpoint}/${path}`, headers, body });
    };
    return { present: (record) => send("present", record), cleanUp: (record) => send("cleanup", record) };
  },
};

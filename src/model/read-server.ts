import type { ServerSpec } from "./snapshot.ts";

/** A server by its address, as files and other sources without containers name it. A string says what is wrong. */
export function readServer(text: string, preservePath: boolean, weight: number): ServerSpec | string {
  const scheme = /^(https?|h2c):\/\//i.exec(text)?.[1]?.toLowerCase() as ServerSpec["scheme"] | undefined;
  // Schemes that the parser does not know leave hosts as they are: it reads h2c as http.
  const url = URL.parse(text.replace(/^h2c:/i, "http:"));
  if (scheme === undefined || url === null || url.hostname === "") {
    return "expected an address such as http://10.0.0.5:8080";
  }
  if (url.username !== "" || url.password !== "") return "expected an address without a user and password";
  const port = url.port === "" ? (scheme === "https" ? 443 : 80) : Number(url.port);
  return {
    id: text,
    scheme,
    host: url.hostname.replace(/^\[|\]$/g, "").toLowerCase(),
    port,
    path: preservePath ? url.pathname.replace(/\/+$/, "") : "",
    weight,
    url: text,
    workload: undefined,
  };
}

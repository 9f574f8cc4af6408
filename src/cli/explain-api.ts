import type { Explanation } from "../admin/shapes.ts";
import { getFromApi } from "./api-client.ts";
import type { Shell } from "./command.ts";
import type { Asked } from "./explain.ts";

/** Asks a running Waybill. A text says why there is no answer. */
export async function askApi(asked: Asked, shell: Shell): Promise<Explanation | string> {
  const { url, method, headers, from, entryPoint } = asked;
  const query = new URLSearchParams({ url, method, from, ...(entryPoint !== "" && { entryPoint }) });
  for (let i = 0; i < headers.length; i += 2) query.append("header", `${headers[i]}: ${headers[i + 1]}`);
  const reply = await getFromApi(asked.api, "explain", query, shell);
  if (typeof reply === "string") return reply;
  const { considered } = (reply.body ?? {}) as { considered?: unknown };
  return Array.isArray(considered)
    ? (reply.body as Explanation)
    : `What answers at ${asked.api} is not the API of Waybill.`;
}

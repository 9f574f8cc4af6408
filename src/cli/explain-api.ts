import type { Explanation } from "../admin/shapes.ts";
import type { Shell } from "./command.ts";
import type { Asked } from "./explain.ts";

const TIMEOUT_MS = 10_000;

/** Asks a running Waybill. A text says why there is no answer. */
export async function askApi(asked: Asked, shell: Shell): Promise<Explanation | string> {
  const address = questionOf(asked);
  if (address === undefined)
    return `expected the address of an API such as http://127.0.0.1:8080, found ${JSON.stringify(asked.api)}`;
  const token = shell.env.get("WAYBILL_API_TOKEN");
  let reply: Response;
  try {
    reply = await fetch(address, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      redirect: "manual",
    });
  } catch (error) {
    const { cause, message } = error as Error & { cause?: { code?: string; message?: string } };
    const reason = cause?.code ?? cause?.message ?? message;
    return `No Waybill answers at ${address.origin} (${reason}). It shows its API there with --api.insecure=true; --api names another address, and --compose asks a file instead.`;
  }
  return readReply(await reply.text(), reply.status, address);
}

function questionOf({ api, url, method, headers, from, entryPoint }: Asked): URL | undefined {
  const base = /^https?:\/\//i.test(api) ? api : `http://${api}`;
  if (!URL.canParse(base)) return undefined;
  const address = new URL(base);
  address.pathname = `${address.pathname.replace(/\/(?:api\/?)?$/, "")}/api/explain`;
  address.search = new URLSearchParams({
    url,
    method,
    from,
    ...(entryPoint !== "" && { entryPoint }),
  }).toString();
  for (let i = 0; i < headers.length; i += 2)
    address.searchParams.append("header", `${headers[i]}: ${headers[i + 1]}`);
  return address;
}

function readReply(text: string, status: number, address: URL): Explanation | string {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return `What answers at ${address.origin} is not the API of Waybill (status ${status}).`;
  }
  const { message, considered } = (body ?? {}) as { message?: string; considered?: unknown };
  if (status === 401 || status === 403)
    return `The API at ${address.origin} asks for a login: put its token into WAYBILL_API_TOKEN.`;
  if (status !== 200) return message ?? `The API answered ${status}.`;
  if (!Array.isArray(considered)) return `What answers at ${address.origin} is not the API of Waybill.`;
  return body as Explanation;
}

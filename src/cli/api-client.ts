import type { Shell } from "./command.ts";

const TIMEOUT_MS = 10_000;
const BYTES_MAX = 64 * 1024 * 1024;

/** What the API of a running Waybill answers, as JSON. A text says why there is no answer. */
export async function getFromApi(
  api: string,
  path: string,
  query: URLSearchParams,
  shell: Shell,
): Promise<{ readonly body: unknown } | string> {
  const base = /^https?:\/\//i.test(api) ? api : `http://${api}`;
  if (!URL.canParse(base)) {
    return `expected the address of an API such as http://127.0.0.1:8080, found ${JSON.stringify(api)}`;
  }
  const address = new URL(base);
  address.pathname = `${address.pathname.replace(/\/(?:api\/?)?$/, "")}/api/${path}`;
  address.search = query.toString();
  const token = shell.env.get("WAYBILL_API_TOKEN");
  try {
    const reply = await fetch(address, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      redirect: "manual",
    });
    return readReply(await reply.text(), reply.status, address);
  } catch (error) {
    const { cause, message } = error as Error & { cause?: { code?: string; message?: string } };
    const reason = cause?.code ?? cause?.message ?? message;
    return `No Waybill answers at ${address.origin} (${reason}). It shows its API there with --api.insecure=true; --api names another address.`;
  }
}

function readReply(text: string, status: number, { origin }: URL): { readonly body: unknown } | string {
  if (status === 401 || status === 403) {
    return `The API at ${origin} asks for a login: put its token into WAYBILL_API_TOKEN.`;
  }
  let body: unknown;
  try {
    body = text.length > BYTES_MAX ? undefined : JSON.parse(text);
  } catch {
    body = undefined;
  }
  if (body === undefined) return `What answers at ${origin} is not the API of Waybill (status ${status}).`;
  if (status === 200) return { body };
  return (body as { message?: string } | null)?.message ?? `The API answered ${status}.`;
}

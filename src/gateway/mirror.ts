import { BytesBody, NO_BODY } from "../model/body.ts";
import type { Exchange, Mirror } from "../model/exchange.ts";
import { InnerClient, innerExchange } from "./call.ts";
import type { HttpGateway } from "./gateway.ts";
import { toService } from "./handle.ts";

/** Sends copies of the request, one after the other, once the client has its reply. What comes of them is not waited for. */
export function mirror(exchange: Exchange, mirrors: readonly Mirror[], gateway: HttpGateway): void {
  const one = mirrors[0];
  if (one === undefined) return;
  const next = (): void => mirror(exchange, mirrors.slice(1), gateway);
  const { requestBody: body, method, authority, path, query, headers } = exchange;
  const bytes = body instanceof BytesBody ? body.length : body === NO_BODY ? 0 : -1;
  // A body that was too large to keep has gone by.
  if (one.body && (bytes < 0 || (one.bodyBytesMax >= 0 && bytes > one.bodyBytesMax))) return next();
  const copied = one.body ? body : NO_BODY;
  const client = new InnerClient(gateway, -1, next);
  const copy = innerExchange(client, exchange, method, authority, path, query, [...headers], copied);
  try {
    toService(copy, one.service, gateway);
  } catch (error) {
    gateway.observer.failed(copy, error);
  }
}

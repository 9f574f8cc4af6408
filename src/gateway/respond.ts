import { STATUS_CODES } from "node:http";
import { type BodySource, BytesBody, NO_BODY } from "../model/body.ts";
import { errorReply } from "../model/error-reply.ts";
import type { Exchange, Reply } from "../model/exchange.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import { areHeadersBeside, type Headers, setHeader } from "../model/headers.ts";
import type { Outcome } from "../model/middleware.ts";
import type { HttpGateway } from "./gateway.ts";
import { BodyFailure } from "./gather.ts";
import { hooksAt } from "./hooks.ts";

const NO_ORIGIN: Headers = [];

/** Answers the exchange with a fault of the catalogue. */
export function refuse(
  exchange: Exchange,
  fault: Fault,
  detail: string,
  gateway: HttpGateway,
  retryAfterS = 0,
): void {
  exchange.detail = detail;
  if (fault.status === 0) {
    exchange.fault = fault;
    exchange.client.abort(exchange);
    return;
  }
  const reply = errorReply(fault, exchange.headers);
  if (retryAfterS === 0) return answer(exchange, reply, gateway);
  const headers = reply.headers.slice();
  setHeader(headers, "Retry-After", String(retryAfterS));
  answer(exchange, { ...reply, headers }, gateway);
}

/** An error of ours, or of a plug-in: only this exchange suffers. */
export function fail(exchange: Exchange, error: unknown, gateway: HttpGateway): void {
  if (error instanceof BodyFailure) return refuse(exchange, error.fault, "body", gateway);
  gateway.observer.failed(exchange, error);
  if (exchange.clientLeft) return;
  exchange.call?.cancel();
  // The hooks may be what failed, so the reply does not pass them again.
  put(exchange, errorReply(FAULTS.internal, exchange.headers));
  exchange.detail = String(error);
  deliver(exchange);
}

/** Answers with a reply that is wholly there. */
export function answer(exchange: Exchange, reply: Reply, gateway: HttpGateway): void {
  if (exchange.clientLeft) return;
  put(exchange, reply);
  respond(exchange, gateway);
}

function put(exchange: Exchange, reply: Reply): void {
  exchange.status = reply.status;
  exchange.replyHeaders = reply.headers.slice();
  exchange.replyTransforms = undefined;
  exchange.fault = reply.fault ?? exchange.fault;
  exchange.detail ??= reply.reason;
  exchange.replyBody = bodyOf(reply, exchange.replyHeaders);
}

function bodyOf({ status, body }: Reply, headers: string[]): BodySource {
  if (typeof body !== "string") return body.length === 0 ? NO_BODY : new BytesBody(body);
  if (body !== "") return new BytesBody(Buffer.from(body));
  if (status < 200 || status === 204 || status === 304) return NO_BODY;
  headers.push("Content-Type", "text/plain; charset=utf-8", "X-Content-Type-Options", "nosniff");
  return new BytesBody(Buffer.from(`${STATUS_CODES[status] ?? status}\n`));
}

/** Shows the reply to the hooks that have seen the request, last one first, and sends it. */
export function respond(exchange: Exchange, gateway: HttpGateway): void {
  if (exchange.hooksRun === 0) return deliver(exchange);
  try {
    const wait = runResponseHooks(exchange, exchange.hooksRun - 1);
    if (wait === undefined) return deliver(exchange);
    wait.then(() => deliver(exchange)).catch((error) => fail(exchange, error, gateway));
  } catch (error) {
    fail(exchange, error, gateway);
  }
}

function runResponseHooks(exchange: Exchange, last: number): Promise<void> | undefined {
  for (let i = last; i >= 0; i--) {
    const onResponse = hooksAt(exchange, i).onResponse;
    if (onResponse === undefined) continue;
    const outcome = onResponse(exchange);
    if (outcome instanceof Promise) return waitForResponseHook(outcome, exchange, i - 1);
    if (outcome !== undefined) replace(exchange, outcome);
  }
  return undefined;
}

async function waitForResponseHook(wait: Promise<Outcome>, exchange: Exchange, next: number): Promise<void> {
  const outcome = await wait;
  if (exchange.clientLeft) return;
  if (outcome !== undefined) replace(exchange, outcome);
  await runResponseHooks(exchange, next);
}

/** Another reply takes the place of the one under way. */
function replace(exchange: Exchange, reply: Reply): void {
  exchange.replyBody.cancel();
  put(exchange, reply);
}

function deliver(exchange: Exchange): void {
  if (exchange.clientLeft) return;
  // HD-10: what came over the wire was looked at there, what a hook has set was not.
  if (
    exchange.hooksRun > 0 &&
    !areHeadersBeside(exchange.replyHeaders, exchange.originHeaders ?? NO_ORIGIN)
  ) {
    exchange.replyBody.cancel();
    put(exchange, errorReply(FAULTS.internal, exchange.headers));
    exchange.detail = "a middleware has set a header that cannot be sent";
  }
  exchange.client.send(exchange);
}

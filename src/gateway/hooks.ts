import type { Exchange } from "../model/exchange.ts";
import type { Hooks, Outcome } from "../model/middleware.ts";

/** The hooks of an exchange in the order of the request: its route's, then its leaf's. */
export function hooksAt(exchange: Exchange, index: number): Hooks {
  const hooks = exchange.route?.hooks;
  const count = hooks === undefined ? 0 : hooks.length;
  return index < count ? hooks![index]! : exchange.leaf!.hooks[index - count]!;
}

/** Runs `onRequest` of each until one answers. `exchange.hooksRun` says how far it came. */
export function runRequestHooks(
  exchange: Exchange,
  hooks: readonly Hooks[],
  first: number,
): Outcome | Promise<Outcome> {
  if (exchange.hooksRun === 0 && hooks.length > 0) exchange.receivedHeaders = exchange.headers.slice();
  for (let i = first; i < hooks.length; i++) {
    exchange.hooksRun++;
    const onRequest = hooks[i]!.onRequest;
    if (onRequest === undefined) continue;
    const outcome = onRequest(exchange);
    if (outcome instanceof Promise) return waitForRequestHook(outcome, exchange, hooks, i + 1);
    if (outcome !== undefined) return outcome;
  }
  return undefined;
}

async function waitForRequestHook(
  wait: Promise<Outcome>,
  exchange: Exchange,
  hooks: readonly Hooks[],
  next: number,
): Promise<Outcome> {
  const outcome = await wait;
  if (outcome !== undefined || exchange.clientLeft) return outcome;
  return runRequestHooks(exchange, hooks, next);
}

import type { BodySource } from "../model/body.ts";
import type { Exchange } from "../model/exchange.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import { areHeadersBeside, type Headers } from "../model/headers.ts";
import type { RetryPolicy } from "../model/middleware.ts";
import type { Leaf, Server } from "../model/service.ts";
import type { TunnelEnd, UpstreamCall, UpstreamEvents } from "../model/upstream.ts";
import { appendForwardedFor } from "../wire/forwarded.ts";
import { limitBody } from "./body-limit.ts";
import { InnerClient } from "./call.ts";
import type { HttpGateway } from "./gateway.ts";
import { gatherRequest } from "./gather.ts";
import { mirror } from "./mirror.ts";
import { isGrpc, watchOrigin } from "./origin.ts";
import { fail, refuse, respond } from "./respond.ts";
import { isIdempotent, isReplayable, retryDelayMs, retryPolicyOf } from "./retry.ts";
import { tunnel } from "./upgrade.ts";

const ATTEMPTS_MAX = 3;
const NOTHING_RECEIVED: Headers = [];

/** Sends the exchange's request to a server of the leaf. */
export function forward(exchange: Exchange, leaf: Leaf, gateway: HttpGateway): void {
  const { connection, plan, requestBody } = exchange;
  const isInner = exchange.client instanceof InnerClient;
  const received = isInner ? NOTHING_RECEIVED : exchange.receivedHeaders;
  // HD-10: what came over the wire was looked at there, what a middleware has set was not.
  if (received !== undefined && !areHeadersBeside(exchange.headers, received)) {
    return fail(exchange, new Error("a middleware has set a header that cannot be sent"), gateway);
  }
  // Copies of a request that was sent on before have the peer in it already.
  const hidesPeer = exchange.hidesPeer || connection.notAppendForwardedFor === true;
  if (!hidesPeer && !isInner) appendForwardedFor(exchange.headers, connection.peerIp);
  if (
    leaf.limits !== undefined &&
    leaf.limits.bodyBytesMax > 0 &&
    !limitBody(exchange, leaf.limits.bodyBytesMax)
  ) {
    return refuse(exchange, FAULTS["body-too-large"], "service limit", gateway);
  }
  const policy = exchange.hooksRun === 0 ? undefined : retryPolicyOf(exchange);
  const forwarding = new Forwarding(exchange, leaf, policy, gateway);
  exchange.call = forwarding;
  if (requestBody.length === 0 || (policy === undefined && plan === undefined)) return forwarding.start();
  if (isReplayable(exchange) && plan === undefined) return forwarding.start();
  const bytesMax = keptBytes(policy, exchange);
  if (bytesMax === 0) return forwarding.start();
  gatherRequest(exchange, bytesMax)
    .then((body) => {
      if (exchange.clientLeft) return;
      const fallbackMax = plan?.fallback?.bodyBytesMax ?? -1;
      if (body === undefined && fallbackMax >= 0) {
        return refuse(exchange, FAULTS["body-too-large"], "failover limit", gateway);
      }
      forwarding.start();
    })
    .catch((error) => fail(exchange, error, gateway));
}

/** How much of the body must be kept so that it can be sent more than once. -1 in an option means any amount. */
function keptBytes(policy: RetryPolicy | undefined, exchange: Exchange): number {
  let most = policy === undefined ? 0 : anyAmount(policy.bodyBytesMax);
  const plan = exchange.plan;
  if (plan === undefined) return most;
  if (plan.fallback !== undefined) most = Math.max(most, anyAmount(plan.fallback.bodyBytesMax));
  for (const one of plan.mirrors) if (one.body) most = Math.max(most, anyAmount(one.bodyBytesMax));
  return most;
}

const anyAmount = (bytesMax: number) => (bytesMax < 0 ? Number.MAX_SAFE_INTEGER : bytesMax);

/** One request on its way to a server, and to another one if that fails. */
class Forwarding implements UpstreamEvents, UpstreamCall {
  readonly #exchange: Exchange;
  readonly #gateway: HttpGateway;
  readonly #policy: RetryPolicy | undefined;
  #leaf: Leaf;
  #server: Server | undefined;
  #tried: Server[] | undefined;
  #call: UpstreamCall | undefined;
  #settled: boolean;
  #retry: NodeJS.Timeout | undefined;
  #limit: NodeJS.Timeout | undefined;

  constructor(exchange: Exchange, leaf: Leaf, policy: RetryPolicy | undefined, gateway: HttpGateway) {
    this.#exchange = exchange;
    this.#gateway = gateway;
    this.#policy = policy;
    this.#leaf = leaf;
    this.#server = undefined;
    this.#tried = undefined;
    this.#call = undefined;
    this.#settled = false;
    this.#retry = undefined;
    this.#limit = undefined;
  }

  start(): void {
    const requestMs = this.#leaf.limits?.requestMs ?? 0;
    if (requestMs > 0) {
      const leftMs = requestMs - (performance.now() - this.#exchange.startedAtMs);
      this.#limit = setTimeout(() => this.#tooLong(), Math.max(0, leftMs));
    }
    this.#try(undefined);
  }

  /** The last fault is what the client is told if there is no other server to try. */
  #try(last: Fault | undefined): void {
    const exchange = this.#exchange;
    const leaf = this.#leaf;
    let picked = leaf.pick(exchange, this.#tried);
    if (!("spec" in picked) && this.#policy !== undefined && this.#tried !== undefined) {
      // Whoever asks for tries wants them all, with a server that is starting again too.
      this.#tried = undefined;
      picked = leaf.pick(exchange, undefined);
    }
    if (!("spec" in picked)) {
      if (last === undefined) refuse(exchange, picked, leaf.name, this.#gateway, leaf.retryAfterS);
      else refuse(exchange, last, exchange.detail ?? leaf.name, this.#gateway);
      return;
    }
    this.#server = picked;
    picked.inFlight++;
    exchange.attempts++;
    exchange.server = picked.spec.url;
    exchange.sentAuthority = leaf.passHostHeader ? exchange.authority : authorityOf(picked);
    this.#settled = false;
    const attempt = exchange.attempts;
    const call = leaf.upstream!.send(exchange, picked, this);
    // It may have failed already, and the next one may be under way.
    if (!this.#settled && exchange.attempts === attempt) this.#call = call;
  }

  // --- What the upstream says.

  informed(status: number, headers: Headers): void {
    this.#exchange.client.inform(this.#exchange, status, headers);
  }

  replied(status: number, headers: Headers, body: BodySource): void {
    const exchange = this.#exchange;
    exchange.repliedAtMs = performance.now();
    this.#leaf.done?.(exchange, this.#server!, exchange.repliedAtMs - exchange.sentAtMs, status, undefined);
    if (this.#policy !== undefined && this.#mayRepeat(status)) {
      body.cancel();
      this.#settle();
      return this.#repeat(undefined);
    }
    const fallback = exchange.plan?.fallback;
    if (fallback?.when(status) === true && isReplayable(exchange)) {
      body.cancel();
      this.#settle();
      return this.#fallBack(fallback.service.choose(exchange));
    }
    exchange.status = status;
    exchange.originStatus = status;
    const isKept = exchange.hooksRun > 0 || this.#gateway.observer.wantsOriginHeaders === true;
    if (isKept) exchange.originHeaders = headers.slice();
    exchange.replyHeaders = headers;
    const { observer } = this.#gateway;
    // Without a hook the client gets what the server sends.
    const isCounted = exchange.hooksRun > 0 && observer.wantsOriginSize === true;
    const isWatched = isCounted || (observer.wantsTrailers === true && isGrpc(exchange));
    exchange.replyBody = isWatched ? watchOrigin(exchange, body) : body;
    respond(exchange, this.#gateway);
  }

  switched(headers: Headers, end: TunnelEnd, early: Buffer): void {
    const exchange = this.#exchange;
    exchange.repliedAtMs = performance.now();
    this.#leaf.done?.(exchange, this.#server!, exchange.repliedAtMs - exchange.sentAtMs, 101, undefined);
    this.#call = undefined;
    exchange.status = 101;
    exchange.originStatus = 101;
    exchange.replyHeaders = headers;
    tunnel(exchange, end, early, this.#gateway);
  }

  failed(fault: Fault, detail: string, reused: boolean, requestSent: boolean): void {
    const exchange = this.#exchange;
    const server = this.#server!;
    exchange.detail = `${server.spec.url}: ${detail}`;
    if (fault.source === "upstream") this.#leaf.done?.(exchange, server, 0, 0, fault);
    this.#settle();
    if (exchange.clientLeft) return;
    if (!this.#mayTryAgain(fault, reused, requestSent))
      return refuse(exchange, fault, exchange.detail, this.#gateway);
    // A connection that had gone stale says nothing about its server.
    if (!reused) {
      this.#tried ??= [];
      this.#tried.push(server);
    }
    this.#repeat(fault);
  }

  // --- Once more?

  #mayTryAgain(fault: Fault, reused: boolean, requestSent: boolean): boolean {
    const exchange = this.#exchange;
    if (this.#policy !== undefined && fault.source === "upstream") {
      if (requestSent && !(isReplayable(exchange) && this.#mayBeDoneTwice())) return false;
      if (exchange.attempts >= this.#policy.attemptsMax) return false;
      return this.#policyAllows(fault.status) && (!requestSent || this.#gateway.retries.spend());
    }
    if (exchange.attempts >= ATTEMPTS_MAX || fault.retry === "never") return false;
    if (!requestSent) return true;
    if (!isReplayable(exchange) || !isIdempotent(exchange.method)) return false;
    return reused || (exchange.attempts === 1 && this.#gateway.retries.spend());
  }

  /** A server that failed without a reply may have done what it was asked to. An expression says so itself. */
  #mayBeDoneTwice(): boolean {
    const { again, nonIdempotent } = this.#policy!;
    return again !== undefined || nonIdempotent || isIdempotent(this.#exchange.method);
  }

  #mayRepeat(status: number): boolean {
    const exchange = this.#exchange;
    if (exchange.attempts >= this.#policy!.attemptsMax || !isReplayable(exchange)) return false;
    return this.#policyAllows(status) && this.#gateway.retries.spend();
  }

  #policyAllows(status: number): boolean {
    const exchange = this.#exchange;
    const policy = this.#policy!;
    if (policy.timeoutMs > 0 && performance.now() - exchange.startedAtMs > policy.timeoutMs) return false;
    if (policy.again !== undefined) return policy.again(exchange, status, exchange.attempts);
    // Without a reply there is a fault, and the connection failed.
    if (exchange.detail !== undefined && exchange.repliedAtMs === 0 && policy.onNetworkError) return true;
    if (!policy.nonIdempotent && !isIdempotent(exchange.method)) return false;
    return policy.retryStatus(status);
  }

  #repeat(last: Fault | undefined): void {
    const policy = this.#policy;
    const delayMs = policy === undefined ? 0 : retryDelayMs(policy, this.#exchange.attempts);
    if (delayMs === 0) return this.#try(last);
    this.#retry = setTimeout(() => {
      if (!this.#exchange.clientLeft) this.#try(last);
    }, delayMs);
  }

  #fallBack(leaf: Leaf): void {
    const exchange = this.#exchange;
    exchange.plan = undefined;
    exchange.leaf = leaf;
    exchange.service = leaf.name;
    this.#leaf = leaf;
    this.#tried = undefined;
    this.#try(undefined);
  }

  // --- The end.

  #tooLong(): void {
    const exchange = this.#exchange;
    if (exchange.status !== 0) return exchange.client.abort(exchange);
    this.cancel();
    refuse(exchange, FAULTS["upstream-timeout"], "the service's request timeout", this.#gateway);
  }

  #settle(): void {
    this.#settled = true;
    this.#call = undefined;
    if (this.#server !== undefined) this.#server.inFlight--;
    this.#server = undefined;
  }

  cancel(): void {
    clearTimeout(this.#retry);
    const call = this.#call;
    this.#call = undefined;
    call?.cancel();
  }

  over(): void {
    clearTimeout(this.#retry);
    clearTimeout(this.#limit);
    this.#settle();
    const { plan, clientLeft } = this.#exchange;
    if (plan !== undefined && plan.mirrors.length > 0 && !clientLeft)
      mirror(this.#exchange, plan.mirrors, this.#gateway);
  }
}

/** As a Host header: without the port that the scheme has anyway. */
function authorityOf({ spec }: Server): string {
  if (spec.host.startsWith("/")) return "localhost";
  const host = spec.host.includes(":") ? `[${spec.host}]` : spec.host;
  return spec.port === (spec.scheme === "https" ? 443 : 80) ? host : `${host}:${spec.port}`;
}

import { hash32 } from "../lib/hash.ts";
import { TokenBuckets } from "../lib/token-buckets.ts";
import { type Exchange, reply } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import { putHeader } from "../model/headers.ts";
import type { Host } from "../model/host.ts";
import { middleware, type Outcome } from "../model/middleware.ts";
import { type SharedLimitOptions, sharedLimitOptions, whyNoSharedLimit } from "../model/shared-limit.ts";
import { byPeer, compileSource, sourceCriterion, whyNoCriterion } from "../model/source-criterion.ts";
import { group } from "../schema/composites.ts";
import { bool, count, duration, formatDuration, int } from "../schema/kinds.ts";

export default middleware({
  name: "rateLimit",
  summary: "Limits how many requests each client may send in a time.",

  options: {
    average: count({ doc: "Requests that a client may send in a period; 0 for no limit.", default: "0" }),
    period: duration({ doc: "The period that average is for; 0 for a second.", default: "1s" }),
    burst: int({ doc: "Requests that a client may send at once.", default: "1" }),
    sourceCriterion: sourceCriterion({ doc: "What tells clients apart; the peer's address if not set." }),
    responseHeaders: bool({
      doc: "Tell clients in RateLimit headers how much they have left.",
      default: "true",
      added: true,
    }),
    redis: group(sharedLimitOptions)({
      doc: "Count in Redis, together with other machines. While it does not answer, each machine counts by itself.",
    }),
  },

  check({ period, sourceCriterion, redis }, problem) {
    if (period < 0) problem("period", "must not be negative");
    const why = whyNoCriterion(sourceCriterion);
    if (why !== undefined) problem("sourceCriterion", why);
    const whyNot = redis && whyNoSharedLimit(redis);
    if (whyNot !== undefined) problem("redis", whyNot);
  },

  sharedBytes: ({ average }) => (average === 0 ? 0 : TokenBuckets.bytes),

  create({ average, period: asked, burst: written, sourceCriterion, responseHeaders, redis }, host) {
    if (average === 0) return {};
    const period = asked || 1000;
    const burst = Math.max(1, written);
    const perSecond = (average / period) * 1000;
    // Half of the time between two tokens: who is that early is held back instead of being refused.
    const delayMsMax = perSecond < 1 ? 500 : 500 / Math.floor(perSecond);
    const buckets = new TokenBuckets(host.shared ?? new SharedArrayBuffer(TokenBuckets.bytes), {
      perSecond,
      burst,
      delayMsMax,
      tickMs: host.tickMs,
    });
    // Redis knows a client by the middleware's name, whichever router it came through; who stands in for it too.
    const owner = hash32(redis === undefined ? host.owner : host.name);
    const sourceOf = compileSource(sourceCriterion, byPeer);
    const refused = host.counter(
      "rate_limit_refused_total",
      "Requests refused because their client sent too many.",
    );
    const fault = { ...FAULTS["refused-by-middleware"], status: 429 };
    const standing = new Standing(average, period, burst);

    function onRequest(exchange: Exchange): Outcome | Promise<Outcome> {
      const waitMs = buckets.take(sourceOf(exchange), owner);
      return decide(exchange, waitMs, buckets.remaining, buckets.fullMs);
    }

    function decide(exchange: Exchange, waitMs: number, remaining: number, fullMs: number) {
      if (waitMs > delayMsMax) {
        refused.add(1);
        const headers = [
          "Retry-After",
          String(Math.ceil(waitMs / 1000)),
          "X-Retry-In",
          formatDuration(waitMs),
        ];
        if (responseHeaders) standing.tell(headers, remaining, fullMs);
        return { ...reply(429, "rateLimit", headers), fault };
      }
      if (responseHeaders) standing.note(exchange, remaining, fullMs);
      if (waitMs === 0) return undefined;
      return new Promise<undefined>((resolve) => setTimeout(resolve, waitMs, undefined));
    }

    const tellNoted = responseHeaders && {
      onResponse: (exchange: Exchange) => standing.tellNoted(exchange),
    };
    if (redis === undefined) return { onRequest, ...tellNoted };

    const options = withPem(redis, host);
    const limit = host.sharedLimit({ options, perSecond, burst, delayMsMax });
    const local = host.counter(
      "rate_limit_local_total",
      "Decisions made by this machine's own limit because Redis gave none in time.",
    );
    const alone = (exchange: Exchange) => {
      local.add(1);
      return onRequest(exchange);
    };
    return {
      onRequest(exchange) {
        const asked = limit.take(sourceOf(exchange));
        if (asked === undefined) return alone(exchange);
        return asked.then((taken) => {
          if (taken === undefined) return alone(exchange);
          const { waitMs, fullMs } = taken;
          const remaining = Math.max(0, Math.floor(burst - (fullMs * perSecond) / 1000 + 1e-6));
          return decide(exchange, waitMs, remaining, fullMs);
        });
      },
      ...tellNoted,
      state: () => ({ redis: limit.state }),
      close: () => limit.close(),
    };
  },
});

/** Paths of certificates replaced by what is in them. */
function withPem(options: SharedLimitOptions, host: Host): SharedLimitOptions {
  const { tls } = options;
  if (tls === undefined) return options;
  const content = (value: string) =>
    value === "" || value.includes("-----BEGIN ") ? value : host.readFile(value);
  return { ...options, tls: { ...tls, ca: content(tls.ca), cert: content(tls.cert), key: content(tls.key) } };
}

/** How much a client has left, kept from request to reply and told in headers (draft-ietf-httpapi-ratelimit-headers). */
class Standing {
  readonly #limit: string;
  readonly #policy: string;

  constructor(average: number, periodMs: number, burst: number) {
    this.#limit = String(burst);
    this.#policy = `${average};w=${Math.max(1, Math.round(periodMs / 1000))};burst=${burst}`;
  }

  note(exchange: Exchange, remaining: number, fullMs: number): void {
    exchange.notes ??= new Map();
    exchange.notes.set(this, { remaining, fullMs });
  }

  tellNoted(exchange: Exchange): undefined {
    const noted = exchange.notes?.get(this) as { remaining: number; fullMs: number } | undefined;
    if (noted !== undefined) this.tell(exchange.replyHeaders, noted.remaining, noted.fullMs);
  }

  tell(headers: string[], remaining: number, fullMs: number): void {
    const reset = String(Math.ceil(fullMs / 1000));
    putHeader(headers, "RateLimit-Limit", "ratelimit-limit", this.#limit);
    putHeader(headers, "RateLimit-Remaining", "ratelimit-remaining", String(remaining));
    putHeader(headers, "RateLimit-Reset", "ratelimit-reset", reset);
    putHeader(headers, "RateLimit-Policy", "ratelimit-policy", this.#policy);
  }
}

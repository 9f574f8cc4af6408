import { NO_BODY } from "../model/body.ts";
import type { Exchange } from "../model/exchange.ts";
import type { RetryPolicy } from "../model/middleware.ts";
import { hooksAt } from "./hooks.ts";

const SAVED_MAX = 100;
const SAVED_AT_FIRST = 10;

/**
 * Retries may be a share of the requests, so that a failing application is not buried under repetitions. Tries that
 * reached no application (refused connections, stale ones) are not counted.
 */
export class RetryBudget {
  readonly #share: number;
  #saved: number;

  constructor(percent: number) {
    this.#share = percent / 100;
    this.#saved = percent === 0 ? 0 : SAVED_AT_FIRST;
  }

  earn(): void {
    if (this.#saved < SAVED_MAX) this.#saved += this.#share;
  }

  spend(): boolean {
    if (this.#saved < 1) return false;
    this.#saved -= 1;
    return true;
  }
}

/** The innermost policy among the hooks that have run. */
export function retryPolicyOf(exchange: Exchange): RetryPolicy | undefined {
  for (let i = exchange.hooksRun - 1; i >= 0; i--) {
    const policy = hooksAt(exchange, i).retry;
    if (policy !== undefined) return policy;
  }
  return undefined;
}

/** RFC 9110 §9.2.2. */
export function isIdempotent(method: string): boolean {
  switch (method) {
    case "GET":
    case "HEAD":
    case "OPTIONS":
    case "PUT":
    case "DELETE":
      return true;
    default:
      return false;
  }
}

/** Whether the request can be sent once more as it was. */
export function isReplayable(exchange: Exchange): boolean {
  const body = exchange.requestBody;
  return body === NO_BODY || body.replayable === true;
}

/** Milliseconds before the next try: growing so that the last wait is twice the first at most, and spread by half. */
export function retryDelayMs(policy: RetryPolicy, attempts: number): number {
  if (policy.initialIntervalMs === 0) return 0;
  const factor = 2 ** (1 / Math.max(1, policy.attemptsMax - 1));
  return policy.initialIntervalMs * factor ** (attempts - 1) * (0.5 + Math.random());
}

import { middleware } from "../model/middleware.ts";
import { list } from "../schema/composites.ts";
import { bool, count, duration, size, statusRange } from "../schema/kinds.ts";

export default middleware({
  name: "retry",
  summary: "Tries again, perhaps with another server, when there was no good answer.",

  options: {
    attempts: count({ doc: "Tries in all, the first one included.", required: true, example: "3" }),
    initialInterval: duration({
      doc: "How long to wait before the second try; later waits double at most. 0 does not wait.",
      default: "0",
    }),
    timeout: duration({ doc: "No new try begins after this long; 0 for no limit.", default: "0" }),
    maxRequestBodyBytes: size({
      doc: "Requests with larger bodies are tried once.",
      default: "2MiB",
    }),
    status: list(statusRange)({
      doc: "Statuses of the application that are worth another try.",
      example: "502,503-504",
    }),
    disableRetryOnNetworkError: bool({
      doc: "Do not try again when the server could not be reached.",
      default: "false",
    }),
    retryNonIdempotentMethod: bool({
      doc: "Try POST, PATCH and LOCK again too when the status is one of those.",
      default: "false",
    }),
  },

  check({ attempts, status, disableRetryOnNetworkError, initialInterval, timeout }, problem) {
    if (attempts === 0) problem("attempts", "must be more than 0");
    if (initialInterval < 0) problem("initialInterval", "must not be negative");
    if (timeout < 0) problem("timeout", "must not be negative");
    if (disableRetryOnNetworkError && status.length === 0)
      problem(
        "status",
        "must name a status: with disableRetryOnNetworkError nothing else is ever tried again",
      );
  },

  create(options) {
    if (options.attempts < 2) return {};
    const isListed = new Uint8Array(1000);
    for (const { from, to } of options.status) isListed.fill(1, from, to + 1);
    return {
      retry: {
        attemptsMax: options.attempts,
        initialIntervalMs: options.initialInterval,
        timeoutMs: options.timeout,
        bodyBytesMax: Math.max(0, options.maxRequestBodyBytes),
        onNetworkError: !options.disableRetryOnNetworkError,
        nonIdempotent: options.retryNonIdempotentMethod,
        retryStatus: (status) => isListed[status] === 1,
      },
    };
  },
});

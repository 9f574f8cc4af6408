import { compilePredicate, type PredicateFunction } from "../lib/predicate.ts";
import type { BodySource } from "../model/body.ts";
import { type Exchange, type Reply, reply } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import { getHeader, removeHeader } from "../model/headers.ts";
import { middleware, type Outcome, type RetryPolicy } from "../model/middleware.ts";
import { PassingBody } from "../model/passing-body.ts";
import { size, text } from "../schema/kinds.ts";

const TRIES_MAX = 10;

const REQUEST_TOO_LARGE: Reply = {
  ...reply(413, "buffering: request body larger than maxRequestBodyBytes"),
  fault: FAULTS["body-too-large"],
};
const REPLY_TOO_LARGE: Reply = {
  ...reply(500, "buffering: reply body larger than maxResponseBodyBytes"),
  fault: { ...FAULTS["reply-too-large"], status: 500 },
};

export default middleware({
  name: "buffering",
  summary: "Reads whole requests before they are sent on and whole replies before they are given back.",

  options: {
    maxRequestBodyBytes: size({
      doc: "Larger request bodies are refused with 413; 0 for any size.",
      default: "0",
    }),
    memRequestBodyBytes: size({ doc: "Request bodies beyond this are kept on disk.", default: "1MiB" }),
    maxResponseBodyBytes: size({
      doc: "Larger replies become a 500; 0 for any size. Event streams and gRPC are not held back, and cut there.",
      default: "0",
    }),
    memResponseBodyBytes: size({ doc: "Replies beyond this are kept on disk.", default: "1MiB" }),
    retryExpression: text({
      doc: "When to send the request again: IsNetworkError(), Attempts(), ResponseCode() and RequestMethod() with comparisons, && and ||.",
      default: "",
      example: "IsNetworkError() && Attempts() < 2",
    }),
  },

  check({ retryExpression }, problem) {
    if (retryExpression === "") return;
    const compiled = compilePredicate(retryExpression, FUNCTIONS);
    if ("problem" in compiled) problem("retryExpression", compiled.problem);
  },

  create(options, host) {
    const retry = retryOf(options.retryExpression);
    const ends = new Map<Exchange, AbortController>();
    const { maxRequestBodyBytes: requestMax, maxResponseBodyBytes: replyMax } = options;
    return {
      onRequest(exchange) {
        const { length } = exchange.requestBody;
        // After an upgrade both sides stream for ever.
        if (length === 0 || exchange.upgrade !== undefined) return undefined;
        if (requestMax > 0 && length > requestMax) return REQUEST_TOO_LARGE;
        return readRequest(exchange);
      },
      onResponse(exchange) {
        if (exchange.replyBody.length === 0 || exchange.upgrade !== undefined || exchange.method === "HEAD")
          return undefined;
        if (!isStream(exchange)) return readReply(exchange);
        if (replyMax > 0) exchange.replyBody = new BoundedBody(exchange.replyBody, replyMax);
        return undefined;
      },
      onDone(exchange) {
        ends.get(exchange)?.abort();
        ends.delete(exchange);
      },
      ...(retry && { retry }),
    };

    async function readRequest(exchange: Exchange): Promise<Outcome> {
      const body = await host.spool(
        exchange.requestBody,
        options.memRequestBodyBytes,
        limitOf(requestMax),
        endOf(exchange),
      );
      if (body === undefined) return REQUEST_TOO_LARGE;
      exchange.requestBody = body;
      return undefined;
    }

    async function readReply(exchange: Exchange): Promise<Outcome> {
      const body = await host.spool(
        exchange.replyBody,
        options.memResponseBodyBytes,
        limitOf(replyMax),
        endOf(exchange),
      );
      if (body === undefined) return REPLY_TOO_LARGE;
      exchange.replyBody = body;
      removeHeader(exchange.replyHeaders, "content-length");
      return undefined;
    }

    function endOf(exchange: Exchange): AbortSignal {
      let end = ends.get(exchange);
      if (end === undefined) {
        end = new AbortController();
        ends.set(exchange, end);
      }
      return end.signal;
    }
  },
});

/** What comes part by part and may never end: waited with until it is whole, it would never be seen. */
function isStream({ replyHeaders }: Exchange): boolean {
  const type = getHeader(replyHeaders, "content-type") ?? "";
  return /^(?:text\/event-stream|application\/grpc)/i.test(type);
}

/** A reply that is cut when it has more bytes than it may. */
class BoundedBody extends PassingBody {
  #left: number;

  constructor(source: BodySource, bytesMax: number) {
    super(source, source.length);
    this.#left = bytesMax;
  }

  override data(chunk: Buffer): boolean {
    this.#left -= chunk.length;
    if (this.#left >= 0) return super.data(chunk);
    const { sink } = this;
    this.cancel();
    sink?.fail(REPLY_TOO_LARGE.fault!);
    return true;
  }
}

const limitOf = (bytesMax: number) => (bytesMax > 0 ? bytesMax : Number.MAX_SAFE_INTEGER);

interface Attempt {
  readonly exchange: Exchange;
  readonly status: number;
  readonly attempts: number;
}

const FUNCTIONS: ReadonlyMap<string, PredicateFunction<Attempt>> = new Map([
  [
    "IsNetworkError",
    {
      args: 0,
      gives: "truth",
      make:
        () =>
        ({ status }) =>
          status === 502 || status === 504,
    },
  ],
  [
    "Attempts",
    {
      args: 0,
      gives: "number",
      make:
        () =>
        ({ attempts }) =>
          attempts,
    },
  ],
  [
    "ResponseCode",
    {
      args: 0,
      gives: "number",
      make:
        () =>
        ({ status }) =>
          status,
    },
  ],
  [
    "RequestMethod",
    {
      args: 0,
      gives: "text",
      make:
        () =>
        ({ exchange }) =>
          exchange.method,
    },
  ],
]);

function retryOf(expression: string): RetryPolicy | undefined {
  if (expression === "") return undefined;
  const compiled = compilePredicate(expression, FUNCTIONS);
  if ("problem" in compiled) throw new Error(`buffering: ${compiled.problem}`);
  return {
    attemptsMax: TRIES_MAX,
    initialIntervalMs: 0,
    timeoutMs: 0,
    bodyBytesMax: Number.MAX_SAFE_INTEGER,
    onNetworkError: true,
    nonIdempotent: true,
    retryStatus: () => false,
    // Traefik never asks for requests without a body, and some expressions count on it.
    again: (exchange, status, attempts) =>
      exchange.requestBody.length !== 0 && compiled.predicate({ exchange, status, attempts }),
  };
}

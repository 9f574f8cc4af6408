import assert from "node:assert/strict";
import { test } from "node:test";
import retry from "../../src/middleware/retry.ts";
import { make, problemsOf } from "./harness.ts";

test("retry hands its options to the forwarding", () => {
  const { retry: policy } = make(retry, {
    attempts: "4",
    initialInterval: "100ms",
    timeout: "2s",
    maxRequestBodyBytes: "1000",
    status: "500,502-504",
    disableRetryOnNetworkError: "true",
    retryNonIdempotentMethod: "true",
  });
  assert.deepEqual(
    {
      ...policy,
      retryStatus: [499, 500, 501, 502, 503, 504, 505].filter((status) => policy!.retryStatus(status)),
    },
    {
      attemptsMax: 4,
      initialIntervalMs: 100,
      timeoutMs: 2000,
      bodyBytesMax: 1000,
      onNetworkError: false,
      nonIdempotent: true,
      retryStatus: [500, 502, 503, 504],
    },
  );
});

test("BE-22 retry repeats nothing but failed connections if nothing is said", () => {
  const { retry: policy } = make(retry, { attempts: "3" });
  assert.equal(policy?.onNetworkError, true);
  assert.equal(policy?.nonIdempotent, false);
  assert.equal(policy?.bodyBytesMax, 2 * 1024 * 1024);
  assert.equal(policy?.initialIntervalMs, 0);
  assert.equal(policy?.timeoutMs, 0);
  assert.ok(![500, 502, 503, 504].some((status) => policy!.retryStatus(status)));
});

test("one attempt is no retry", () => {
  assert.deepEqual(make(retry, { attempts: "1" }), {});
});

test("retry says what is wrong with its options", () => {
  assert.match(problemsOf(retry, {}).join(), /attempts is required/);
  assert.match(problemsOf(retry, { attempts: "0" }).join(), /more than 0/);
  assert.match(
    problemsOf(retry, { attempts: "2", disableRetryOnNetworkError: "true" }).join(),
    /nothing else is ever tried/,
  );
  assert.match(problemsOf(retry, { attempts: "2", initialInterval: "-1s" }).join(), /initialInterval/);
  assert.match(problemsOf(retry, { attempts: "2", timeout: "-1s" }).join(), /timeout/);
  assert.match(problemsOf(retry, { attempts: "2", status: "5xx" }).join(), /status/);
});

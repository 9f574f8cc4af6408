import assert from "node:assert/strict";
import { test } from "node:test";
import circuitBreaker from "../../src/middleware/circuit-breaker.ts";
import type { Host } from "../../src/model/host.ts";
import type { Hooks } from "../../src/model/middleware.ts";
import { answer, fakeHost, make, problemsOf, request } from "./harness.ts";

/** One request; the status that the client gets. */
function send(hooks: Hooks, status: number, latencyMs = 1): number {
  const exchange = request();
  const outcome = hooks.onRequest!(exchange);
  assert.ok(!(outcome instanceof Promise));
  if (outcome === undefined) {
    answer(exchange, status);
    exchange.sentAtMs = 1000;
    exchange.repliedAtMs = 1000 + latencyMs;
  } else {
    answer(exchange, outcome.status, [...outcome.headers]);
    exchange.fault = outcome.fault;
  }
  hooks.onDone!(exchange);
  return exchange.status;
}

const stateOf = (hooks: Hooks) => hooks.state!()["state"];

function tripped(options: Record<string, string> = {}, host = fakeHost()) {
  const hooks = make(circuitBreaker, { expression: "NetworkErrorRatio() > 0.5", ...options }, host);
  for (let i = 0; i < 10; i++) send(hooks, 502);
  host.advance(200);
  send(hooks, 502);
  return { hooks, host };
}

test("BE-22 the breaker opens when its expression holds, and says when to come back", () => {
  const { hooks, host } = tripped();
  assert.equal(stateOf(hooks), "tripped");
  assert.equal(send(hooks, 200), 503);
  const outcome = hooks.onRequest!(request());
  assert.ok(outcome !== undefined && !(outcome instanceof Promise));
  assert.deepEqual(outcome.headers, ["Retry-After", "10"]);
  assert.equal(outcome.fault?.code, "circuit-open");
  assert.ok(host.logged.includes("circuit breaker is open"));
});

test("fallbackDuration is how long it stays open, recoveryDuration how long it lets more and more through", () => {
  const { hooks, host } = tripped({ fallbackDuration: "20s", recoveryDuration: "4s" });
  host.advance(19_700);
  assert.equal(send(hooks, 200), 503);
  host.advance(400);
  send(hooks, 200);
  assert.equal(stateOf(hooks), "recovering");
  host.advance(2000);
  const passed = Array.from({ length: 400 }, () => send(hooks, 200)).filter(
    (status) => status === 200,
  ).length;
  assert.ok(passed > 80 && passed < 120, `a quarter after half of the time, not ${passed} of 400`);
  host.advance(2000);
  assert.equal(send(hooks, 200), 200);
  assert.equal(stateOf(hooks), "standby");
});

test("it opens again if the service still fails while it recovers", () => {
  const { hooks, host } = tripped({ fallbackDuration: "1s", recoveryDuration: "10s" });
  host.advance(1100);
  send(hooks, 200);
  host.advance(9000);
  for (let i = 0; i < 20; i++) send(hooks, 502);
  host.advance(150);
  for (let i = 0; i < 20; i++) send(hooks, 502);
  assert.equal(stateOf(hooks), "tripped");
});

test("responseCode is the status of refusals", () => {
  assert.equal(send(tripped({ responseCode: "429" }).hooks, 200), 429);
});

test("checkPeriod is how often the expression is looked at", () => {
  const host = fakeHost();
  const hooks = make(circuitBreaker, { expression: "NetworkErrorRatio() > 0.5", checkPeriod: "5s" }, host);
  send(hooks, 200);
  for (let i = 0; i < 100; i++) send(hooks, 502);
  assert.equal(stateOf(hooks), "standby");
  host.advance(5000);
  send(hooks, 502);
  assert.equal(stateOf(hooks), "tripped");
});

test("ResponseCodeRatio divides two half-open ranges of statuses", () => {
  const open = (expression: string, statuses: number[]) => {
    const host = fakeHost();
    const hooks = make(circuitBreaker, { expression }, host);
    for (const status of statuses) send(hooks, status);
    host.advance(200);
    send(hooks, statuses[0]!);
    return stateOf(hooks) === "tripped";
  };
  assert.equal(open("ResponseCodeRatio(500, 600, 0, 600) > 0.25", [200, 200, 500, 503]), true);
  assert.equal(open("ResponseCodeRatio(500, 600, 0, 600) > 0.25", [200, 200, 200, 200, 200, 503]), false);
  assert.equal(
    open("ResponseCodeRatio(500, 503, 0, 600) > 0.1", [503, 503, 503]),
    false,
    "the end is not part of it",
  );
  assert.equal(
    open("ResponseCodeRatio(500, 600, 500, 600) == 1 && NetworkErrorRatio() < 0.1", [500, 200]),
    true,
  );
});

test("LatencyAtQuantileMS is what so many percent of replies stay below", () => {
  const open = (expression: string, latencies: number[]) => {
    const host = fakeHost();
    const hooks = make(circuitBreaker, { expression }, host);
    for (const latency of latencies) send(hooks, 200, latency);
    host.advance(200);
    send(hooks, 200, latencies[0]);
    return stateOf(hooks) === "tripped";
  };
  const slow = [...Array<number>(60).fill(200), ...Array<number>(40).fill(10)];
  assert.equal(open("LatencyAtQuantileMS(50.0) > 100", slow), true);
  assert.equal(open("LatencyAtQuantileMS(30.0) > 100", slow), false);
  assert.equal(open("LatencyAtQuantileMS(99) > 300", slow), false);
});

test("what happened more than ten seconds ago does not count", () => {
  const host = fakeHost();
  const hooks = make(circuitBreaker, { expression: "NetworkErrorRatio() > 0.5", checkPeriod: "1h" }, host);
  send(hooks, 200);
  for (let i = 0; i < 10; i++) send(hooks, 502);
  assert.ok(Number(hooks.state!()["networkErrorRatio"]) > 0.9);
  host.advance(11_000);
  assert.equal(hooks.state!()["networkErrorRatio"], 0);
});

test("one breaker of one router has one state in all threads, and keeps it when configuration changes", () => {
  const shared = new SharedArrayBuffer(circuitBreaker.sharedBytes!({} as never));
  const host: Host & { advance(ms: number): void } = { ...fakeHost({ shared }) };
  const thread = (owner: string) =>
    make(circuitBreaker, { expression: "NetworkErrorRatio() > 0.5" }, { ...host, owner });
  const [one, two, other] = [thread("app@test"), thread("app@test"), thread("other@test")];
  for (let i = 0; i < 20; i++) send(one!, 502);
  host.advance(200);
  send(one!, 502);
  assert.equal(send(two!, 200), 503);
  assert.equal(send(thread("app@test"), 200), 503);
  assert.equal(send(other!, 200), 200);
  for (let i = 0; i < 100; i++)
    assert.equal(send(thread(`r${i}@test`), 200), 200, "more routers than there is room for");
});

test("a time of 0 stands for the default", () => {
  const { hooks, host } = tripped({ checkPeriod: "0", fallbackDuration: "0", recoveryDuration: "0" });
  host.advance(9_700);
  assert.equal(send(hooks, 200), 503);
  host.advance(400);
  send(hooks, 200);
  assert.equal(stateOf(hooks), "recovering");
  host.advance(10_000);
  send(hooks, 200);
  assert.equal(stateOf(hooks), "standby");
});

test("an expression that makes no sense is shown with the place", () => {
  const wrong = (expression: string) => problemsOf(circuitBreaker, { expression }).join();
  assert.match(problemsOf(circuitBreaker, {}).join(), /expression is required/);
  assert.match(wrong("NetworkErrorRatio()"), /must be compared with a number/);
  assert.match(wrong("NetworkErrorRate() > 1"), /there is no NetworkErrorRate\(\)/);
  assert.match(wrong("ResponseCodeRatio(500, 600) > 1"), /takes 4 numbers, found 2/);
  assert.match(wrong(Array(9).fill("ResponseCodeRatio(1,2,3,4) > 1").join(" || ")), /at most 8 ratios/);
  const ok = { expression: "NetworkErrorRatio() > 0.1" };
  for (const option of ["checkPeriod", "fallbackDuration", "recoveryDuration"])
    assert.match(
      problemsOf(circuitBreaker, { ...ok, [option]: "-1s" }).join(),
      new RegExp(`^${option} must not be negative`),
    );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import rateLimit from "../../src/middleware/rate-limit.ts";
import { getHeader } from "../../src/model/headers.ts";
import type { Hooks, Outcome } from "../../src/model/middleware.ts";
import type { SharedLimit, SharedLimitSpec, Taken } from "../../src/model/shared-limit.ts";
import { answer, fakeHost, make, problemsOf, type RequestExtras, request, run } from "./harness.ts";

/** `ok`, `held` back for a moment, or the status it was refused with. */
function send(hooks: Hooks, extras: RequestExtras = {}): "ok" | "held" | number {
  const outcome = hooks.onRequest!(request(extras));
  if (outcome instanceof Promise) return "held";
  return outcome === undefined ? "ok" : outcome.status;
}

test("rateLimit lets a burst through and then one request an interval", () => {
  const host = fakeHost();
  const hooks = make(rateLimit, { average: "1", burst: "3", period: "10s" }, host);
  assert.deepEqual(
    [1, 2, 3, 4].map(() => send(hooks)),
    ["ok", "ok", "ok", 429],
  );
  host.advance(10_000);
  assert.deepEqual(
    [1, 2].map(() => send(hooks)),
    ["ok", 429],
  );
  host.advance(100_000);
  assert.deepEqual(
    [1, 2, 3, 4].map(() => send(hooks)),
    ["ok", "ok", "ok", 429],
    "never more than the burst",
  );
});

test("rateLimit's rate is average by period", () => {
  const host = fakeHost();
  const hooks = make(rateLimit, { average: "60", period: "1m", burst: "1" }, host);
  assert.equal(send(hooks), "ok");
  assert.equal(send(hooks), 429);
  host.advance(1000);
  assert.equal(send(hooks), "ok");
});

test("a period of 0 is a second, and none is negative", () => {
  const host = fakeHost();
  const hooks = make(rateLimit, { average: "1", period: "0" }, host);
  assert.deepEqual([send(hooks), send(hooks)], ["ok", 429]);
  host.advance(1000);
  assert.equal(send(hooks), "ok");
  assert.match(problemsOf(rateLimit, { average: "1", period: "-1s" }).join(), /period must not be negative/);
});

test("rateLimit without average does nothing, and a burst below 1 is 1", () => {
  assert.deepEqual(make(rateLimit, {}), {});
  const hooks = make(rateLimit, { average: "1", burst: "0" });
  assert.deepEqual([send(hooks), send(hooks)], ["ok", 429]);
});

test("rateLimit holds a request back that is early by half an interval at most", async () => {
  const host = fakeHost();
  const hooks = make(rateLimit, { average: "100", burst: "1" }, host);
  assert.equal(send(hooks), "ok");
  assert.equal(send(hooks), 429, "10 ms early");
  host.advance(6);
  const outcome = hooks.onRequest!(request());
  assert.ok(outcome instanceof Promise, "4 ms early");
  assert.equal(await outcome, undefined);
  const slow = make(rateLimit, { average: "1", period: "2s" }, host);
  send(slow);
  host.advance(1499);
  assert.equal(send(slow), 429);
  host.advance(1);
  assert.equal(send(slow), "held", "half a second, for slow rates");
});

test("a refusal says when to come back", async () => {
  const host = fakeHost();
  const hooks = make(rateLimit, { average: "1", period: "90s" }, host);
  send(hooks);
  host.advance(500);
  const { status, header } = await run(hooks, request());
  assert.equal(status, 429);
  assert.equal(header("retry-after"), "90");
  assert.equal(header("x-retry-in"), "1m29.5s");
  assert.equal(host.counts.get("rate_limit_refused_total"), 1);
});

test("every reply says how much is left, unless that is switched off", async () => {
  const hooks = make(rateLimit, { average: "10", period: "1m", burst: "2" });
  const { header } = await run(hooks, request());
  assert.equal(header("ratelimit-limit"), "2");
  assert.equal(header("ratelimit-remaining"), "1");
  assert.equal(header("ratelimit-reset"), "6");
  assert.equal(header("ratelimit-policy"), "10;w=60;burst=2");
  await run(hooks, request());
  const refused = await run(hooks, request());
  assert.equal(refused.status, 429);
  assert.equal(refused.header("ratelimit-remaining"), "0");
  const silent = make(rateLimit, { average: "10", responseHeaders: "false" });
  assert.equal((await run(silent, request())).header("ratelimit-limit"), undefined);
});

test("rateLimit tells clients apart by address, header or host", () => {
  const by = (sourceCriterion: object | undefined, first: RequestExtras, second: RequestExtras) => {
    const hooks = make(rateLimit, { average: "1", ...(sourceCriterion && { sourceCriterion }) });
    send(hooks, first);
    return send(hooks, second);
  };
  assert.equal(by(undefined, {}, { peerIp: "10.0.0.1" }), "ok");
  assert.equal(by(undefined, {}, { url: "http://other.test/" }), 429);
  assert.equal(by({ requestHost: "true" }, {}, { url: "http://other.test/" }), "ok");
  assert.equal(by({ requestHost: "true" }, {}, { peerIp: "10.0.0.1" }), 429);
  assert.equal(
    by({ requestHeaderName: "X-Key" }, { headers: ["x-key", "1"] }, { headers: ["X-KEY", "2"] }),
    "ok",
  );
  const forwarded = (value: string) => ({ headers: ["X-Forwarded-For", value] });
  assert.equal(by({ ipStrategy: { depth: "1" } }, forwarded("1.1.1.1"), forwarded("1.1.1.2")), "ok");
  const known = { ipStrategy: { excludedIPs: "9.9.9.9" } };
  assert.equal(by(known, forwarded("1.1.1.1, 9.9.9.9"), forwarded("1.1.1.2, 9.9.9.9")), "ok");
  const subnet = { ipStrategy: { ipv6Subnet: "64" } };
  assert.equal(by(subnet, { peerIp: "2001:db8::1" }, { peerIp: "2001:db8::2" }), 429);
  assert.match(
    problemsOf(rateLimit, { sourceCriterion: { requestHost: "true", requestHeaderName: "X" } }).join(),
    /only one/,
  );
});

test("rateLimit counts exactly across threads and configuration changes, and every router by itself", () => {
  const shared = new SharedArrayBuffer(rateLimit.sharedBytes!({ average: 1 } as never));
  const thread = (owner = "app@test") =>
    make(rateLimit, { average: "1", period: "1h", burst: "10" }, { ...fakeHost({ owner }), shared });
  const threads = [thread(), thread(), thread()];
  let passed = 0;
  for (let i = 0; i < 30; i++) if (send(threads[i % 3]!) === "ok") passed++;
  assert.equal(passed, 10);
  assert.equal(send(thread()), 429, "made anew, it still knows");
  assert.equal(send(thread("other@test")), "ok");
});

test("rateLimit keeps to its rate over a long time, to the request", () => {
  const host = fakeHost();
  const hooks = make(rateLimit, { average: "7", burst: "1" }, host);
  let passed = 0;
  for (let ms = 0; ms < 60_000; ms += 10) {
    const outcome: Outcome | Promise<Outcome> = hooks.onRequest!(request());
    if (outcome === undefined || outcome instanceof Promise) passed++;
    host.advance(10);
  }
  assert.ok(passed >= 420 && passed <= 421, String(passed));
});

test("a hundred thousand sources do not grow memory, and old ones may be forgotten", () => {
  const hooks = make(rateLimit, { average: "1", sourceCriterion: { requestHeaderName: "X-Key" } });
  for (let i = 0; i < 100_000; i++) {
    const exchange = request({ headers: ["X-Key", String(i)] });
    assert.equal(hooks.onRequest!(exchange), undefined, "no new source pays for another");
    answer(exchange, 200);
    if (i === 0) assert.equal(getHeader(exchange.replyHeaders, "x"), undefined);
  }
});

test("rateLimit refuses a period that is none", () => {
  assert.match(problemsOf(rateLimit, { average: "1", period: "-1s" }).join(), /period/);
});

test("rateLimit with Redis lets it decide, and decides by itself while it says nothing", async () => {
  const answers: (Taken | undefined)[] = [];
  const asked: string[] = [];
  let spec: SharedLimitSpec | undefined;
  let closed = false;
  const sharedLimit = (given: SharedLimitSpec): SharedLimit => {
    spec = given;
    return {
      take(name) {
        asked.push(name);
        return answers.length === 0 ? undefined : Promise.resolve(answers.shift());
      },
      state: "up",
      close() {
        closed = true;
      },
    };
  };
  const host = fakeHost({ sharedLimit, files: { "/ca.pem": "AUTHORITY" } });
  const redis = { endpoints: "redis", tls: { ca: "/ca.pem" } };
  const hooks = make(rateLimit, { average: "1", period: "10s", burst: "5", redis }, host);
  assert.equal(spec?.options.tls?.ca, "AUTHORITY");
  assert.deepEqual([spec?.perSecond, spec?.burst, spec?.delayMsMax], [0.1, 5, 500]);

  answers.push({ waitMs: 0, fullMs: 20_000 });
  const passed = await run(hooks, request());
  assert.deepEqual([passed.status, passed.header("ratelimit-remaining")], [200, "3"]);
  answers.push({ waitMs: 9000, fullMs: 50_000 });
  const refused = await run(hooks, request());
  assert.deepEqual([refused.status, refused.header("retry-after")], [429, "9"]);
  assert.equal(host.counts.get("rate_limit_local_total"), undefined);

  answers.push(undefined);
  assert.equal((await run(hooks, request())).header("ratelimit-remaining"), "4", "its own count begins");
  assert.equal(send(hooks), "ok");
  assert.equal(host.counts.get("rate_limit_local_total"), 2);
  assert.deepEqual(asked, Array(4).fill("203.0.113.7"));
  assert.deepEqual(hooks.state?.(), { redis: "up" });
  hooks.close?.();
  assert.ok(closed);
});

test("rateLimit names what is wrong with its Redis", () => {
  const wrong = (redis: object) => problemsOf(rateLimit, { average: "1", redis }).join();
  assert.equal(wrong({ endpoints: "a:6379" }), "");
  assert.equal(wrong({ endpoints: "[::1]:6379" }), "");
  assert.match(wrong({ endpoints: "redis://:pw@a:6379" }), /expected host:port, found "\*\*\*@a:6379"/);
  assert.match(wrong({ endpoints: "a:1,b:1", db: "2" }), /cluster/);
  assert.match(wrong({ readTimeout: "-1s" }), /more than 0/);
  assert.match(wrong({ poolSize: "1000" }), /at most 64/);
  assert.match(wrong({ tls: { cert: "x" } }), /belong together/);
});

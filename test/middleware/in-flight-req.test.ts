import assert from "node:assert/strict";
import { test } from "node:test";
import inFlightReq from "../../src/middleware/in-flight-req.ts";
import type { Hooks } from "../../src/model/middleware.ts";
import { fakeHost, make, problemsOf, type RequestExtras, request } from "./harness.ts";

const BYTES = inFlightReq.sharedBytes!({} as never);

const begin = (hooks: Hooks, extras: RequestExtras = {}) => {
  const exchange = request(extras);
  const outcome = hooks.onRequest!(exchange);
  assert.ok(!(outcome instanceof Promise));
  return { exchange, status: outcome?.status, outcome };
};

test("inFlightReq lets so many requests be under way at once", () => {
  const hooks = make(inFlightReq, { amount: "2" });
  const [one] = [begin(hooks), begin(hooks)];
  const refused = begin(hooks);
  assert.equal(refused.status, 429);
  assert.equal(refused.outcome?.body, "max connections reached: 2");
  hooks.onDone!(refused.exchange);
  assert.equal(begin(hooks).status, 429, "a refused one gives nothing back");
  hooks.onDone!(one!.exchange);
  assert.equal(begin(hooks).status, undefined);
});

test("inFlightReq with amount 0 lets none through", () => {
  assert.equal(begin(make(inFlightReq, { amount: "0" })).status, 429);
  assert.equal(begin(make(inFlightReq, {})).status, 429);
});

test("inFlightReq counts by host if nothing else is said, and by what is said", () => {
  const by = (sourceCriterion: object | undefined, first: RequestExtras, second: RequestExtras) => {
    const hooks = make(inFlightReq, { amount: "1", ...(sourceCriterion && { sourceCriterion }) });
    begin(hooks, first);
    return begin(hooks, second).status;
  };
  const [a, b] = [{ url: "http://a.test/" }, { url: "http://b.test/" }];
  assert.equal(by(undefined, a, b), undefined);
  assert.equal(by(undefined, a, { ...a, peerIp: "10.0.0.9" }), 429);
  assert.equal(by({ requestHost: "true" }, a, b), undefined);
  assert.equal(by({ ipStrategy: {} }, a, b), 429);
  assert.equal(by({ ipStrategy: {} }, a, { ...a, peerIp: "10.0.0.9" }), undefined);
  const key = (value: string) => ({ headers: ["X-Key", value] });
  assert.equal(by({ requestHeaderName: "X-Key" }, key("1"), key("2")), undefined);
  assert.equal(by({ requestHeaderName: "X-Key" }, {}, {}), 429, "without the header all count together");
  const from = (...hops: string[]) => ({ headers: ["X-Forwarded-For", hops.join(", ")] });
  const second = { ipStrategy: { depth: "2" } };
  assert.equal(by(second, from("1.1.1.1", "9.9.9.9"), from("1.1.1.2", "9.9.9.9")), undefined);
  assert.equal(by(second, from("1.1.1.1", "9.9.9.8"), from("1.1.1.1", "9.9.9.9")), 429);
  const known = { ipStrategy: { excludedIPs: "9.9.9.9" } };
  assert.equal(by(known, from("1.1.1.1", "9.9.9.9"), from("1.1.1.2", "9.9.9.9")), undefined);
  assert.match(
    problemsOf(inFlightReq, { sourceCriterion: { requestHost: "true", ipStrategy: {} } }).join(),
    /only one/,
  );
});

test("ipv6Subnet takes all addresses of one network together", () => {
  const hooks = make(inFlightReq, { amount: "1", sourceCriterion: { ipStrategy: { ipv6Subnet: "64" } } });
  begin(hooks, { peerIp: "2001:db8:0:1::1" });
  assert.equal(begin(hooks, { peerIp: "2001:db8:0:1:ffff::2" }).status, 429);
  assert.equal(begin(hooks, { peerIp: "2001:db8:0:2::1" }).status, undefined);
  begin(hooks, { peerIp: "192.0.2.1" });
  assert.equal(begin(hooks, { peerIp: "192.0.2.2" }).status, undefined);
});

test("inFlightReq counts exactly across threads, and every router by itself", () => {
  const shared = new SharedArrayBuffer(BYTES);
  const thread = (index: number, owner = "app@test") =>
    make(inFlightReq, { amount: "2" }, fakeHost({ shared, owner, thread: { index, generation: 1 } }));
  const [one, two] = [thread(0), thread(1)];
  begin(one);
  const held = begin(two);
  assert.equal(begin(one).status, 429);
  assert.equal(begin(thread(0, "other@test")).status, undefined);
  two.onDone!(held.exchange);
  assert.equal(begin(one).status, undefined);
});

test("a new thread in a dead one's place gives back what that one held, a new configuration does not", () => {
  const shared = new SharedArrayBuffer(BYTES);
  const thread = (index: number, generation: number) =>
    make(inFlightReq, { amount: "1" }, fakeHost({ shared, thread: { index, generation } }));
  begin(thread(1, 1));
  assert.equal(begin(thread(1, 1)).status, 429, "the same thread, configured again");
  assert.equal(begin(thread(0, 1)).status, 429, "another thread");
  assert.equal(begin(thread(1, 2)).status, undefined, "the one that replaces it");
});

test("more sources than there is room for are refused as overload", () => {
  const hooks = make(inFlightReq, { amount: "1", sourceCriterion: { requestHeaderName: "X-Key" } });
  const statuses = new Set<number | undefined>();
  for (let i = 0; i < 3000; i++) statuses.add(begin(hooks, { headers: ["X-Key", String(i)] }).status);
  assert.deepEqual([...statuses].toSorted(), [503, undefined]);
});

test("inFlightReq shows how many are under way", () => {
  const hooks = make(inFlightReq, { amount: "5" });
  begin(hooks);
  assert.deepEqual(hooks.state!(), { inFlightHere: 1 });
});

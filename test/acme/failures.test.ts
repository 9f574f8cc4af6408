import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { readRetryAfter } from "../../src/acme/retry-after.ts";
import type { Want } from "../../src/acme/tickets.ts";
import type { AcmeOptions } from "../../src/model/resolver-settings.ts";
import { FakeCa, FakeClock } from "./fake-ca.ts";
import { openNetwork, resolverOptions, scratch, startAcme } from "./helpers.ts";
import { until } from "./pebble.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const want = (...names: string[]): Want => ({ resolver: "le", names, owner: "app@docker" });

async function begin(t: TestContext, changes: Partial<AcmeOptions> = {}, storage = scratch(t)) {
  const clock = new FakeClock();
  const ca = await new FakeCa(clock).listen(t);
  const options = resolverOptions({
    caServer: ca.directory,
    storage,
    httpChallenge: { entryPoint: "web", delay: 0 },
    ...changes,
  });
  const started = await startAcme(t, { le: options }, { clock, random: () => 0.5 });
  const state = (name: string) => started.acme.status().find(({ names }) => names.includes(name))!;
  return { clock, ca, options, ...started, state };
}

test("AC-05 Retry-After is read in every form, and kept between a second and a day", () => {
  const now = Date.parse("2026-11-21T12:00:00Z");
  const forms: [string | undefined, number | undefined][] = [
    ["120", 120_000],
    ["Sat, 21 Nov 2026 12:05:00 GMT", 300_000],
    ["31536000", DAY_MS],
    ["Sat, 21 Nov 2027 12:00:00 GMT", DAY_MS],
    ["-5", 1000],
    ["Sat, 21 Nov 2020 12:00:00 GMT", 1000],
    ["0", 1000],
    ["soon", undefined],
    ["", undefined],
    ["1e9", undefined],
    [undefined, undefined],
  ];
  for (const [value, expected] of forms) assert.equal(readRetryAfter(value, now), expected, String(value));
});

test("AC-05 a 503 with Retry-After parks the name for that long, and no other name", async (t) => {
  const { clock, ca, acme, state } = await begin(t);
  ca.trick = ({ kind, path, payload }) => {
    const isBusy =
      kind === "order" && path === "/order" && JSON.stringify(payload).includes("busy.example.com");
    return isBusy ? { status: 503, headers: { "retry-after": "3600" } } : undefined;
  };
  acme.want([want("busy.example.com"), want("fine.example.com")]);
  await clock.until(
    () => state("fine.example.com").state === "valid" && state("busy.example.com").state === "parked",
  );
  ca.trick = () => undefined;
  const asked = ca.count("order");
  const passed = await clock.until(() => ca.count("order") > asked, 10_000);
  assert.ok(passed >= HOUR_MS * 0.95 && passed <= HOUR_MS * 1.3, `tried again after ${passed} ms`);
  await clock.until(() => state("busy.example.com").state === "valid");
});

test("AC-06 a rate limit parks the name until the given time, says so, and orders nothing meanwhile", async (t) => {
  const { clock, ca, acme, state } = await begin(t);
  const headers = { "retry-after": "7200" };
  ca.trick = ({ path }) =>
    path === "/order"
      ? { status: 429, problem: "rateLimited", detail: "too many certificates", headers }
      : undefined;
  acme.want([want("limited.example.com")]);
  await clock.until(() => state("limited.example.com").state === "parked");
  assert.match(state("limited.example.com").reason, /too many certificates\. Nothing needs to be done/);
  const asked = ca.count("order");
  await clock.pass(HOUR_MS);
  assert.equal(ca.count("order"), asked);
});

for (const [name, trick] of [
  ["an HTML error page", { status: 502, body: "<html>bad gateway</html>" }],
  [
    "truncated JSON",
    { status: 201, headers: { "content-type": "application/json" }, body: '{"status":"pen' },
  ],
  ["an empty 500", { status: 500, body: "" }],
  ["a page instead of an order", { status: 200, body: "<html>login</html>" }],
] as const) {
  test(`AC-07 ${name} is tried again after a minute`, async (t) => {
    const { clock, ca, acme, state } = await begin(t);
    let broken = 1;
    ca.trick = ({ path }) => (path === "/order" && broken-- > 0 ? trick : undefined);
    acme.want([want("a.example.com")]);
    await clock.until(() => state("a.example.com").state === "failed");
    assert.equal(state("a.example.com").failures, 1);
    const waitMs = state("a.example.com").nextTryAtMs! - clock.nowMs();
    assert.ok(waitMs > 0 && waitMs <= 72_000, `tried again after ${waitMs} ms`);
    await clock.until(() => state("a.example.com").state === "valid", 5000);
  });
}

test("AC-02 AC-03 a CA that hangs or is not there costs its own name only, and a time limit", async (t) => {
  const { clock, ca, acme, state, log } = await begin(t, {
    clientTimeout: 300,
    clientResponseHeaderTimeout: 300,
  });
  ca.trick = ({ path, payload }) =>
    path === "/order" && JSON.stringify(payload).includes("hang") ? "hang" : undefined;
  acme.want([want("hang.example.com"), want("fine.example.com")]);
  await clock.until(() => state("fine.example.com").state === "valid");
  await clock.until(() => state("hang.example.com").state === "failed", 1);
  assert.match(state("hang.example.com").reason, /did not answer in time/);
  assert.ok(log.lines.some(({ level, fields }) => level === "warn" && fields["type"] === "timeout"));
});

test("AC-08 failures are remembered on disk: 1, 10, 100 minutes, then daily, also across a restart", async (t) => {
  const { clock, ca, acme, state, options } = await begin(t, { preflight: false });
  ca.validate = () => "wrong page";
  acme.want([want("bad.example.com")]);
  await clock.until(() => state("bad.example.com")?.failures === 1);
  const wait = () => state("bad.example.com").nextTryAtMs! - clock.nowMs();
  assert.ok(Math.abs(wait() - MINUTE_MS) < 20_000, `first ${wait()}`);
  await clock.until(() => state("bad.example.com").failures === 2, 5000);
  assert.ok(Math.abs(wait() - 10 * MINUTE_MS) < 90_000, `second ${wait()}`);
  await clock.until(() => state("bad.example.com").failures === 3, 30_000);
  assert.ok(Math.abs(wait() - 100 * MINUTE_MS) < 10 * MINUTE_MS, `third ${wait()}`);
  await acme.close();

  const orders = ca.count("order");
  const second = await startAcme(t, { le: options }, { clock, random: () => 0.5 });
  second.acme.want([want("bad.example.com")]);
  await clock.pass(60 * MINUTE_MS);
  assert.equal(ca.count("order"), orders, "a restart does not make it impatient");
  assert.equal(second.acme.status()[0]!.failures, 3);
  assert.match(second.acme.status()[0]!.reason, /wrong page/);
  await clock.until(() => second.acme.status()[0]!.failures === 4, MINUTE_MS);
  const left = second.acme.status()[0]!.nextTryAtMs! - clock.nowMs();
  assert.ok(left > 20 * HOUR_MS, `then daily: ${left}`);
});

test("AC-08 after a failure the next challenge type is tried", async (t) => {
  const { clock, ca, acme, state } = await begin(t, { tlsChallenge: { delay: 0 }, preflight: false });
  const types: string[] = [];
  ca.validate = (_name, type) => {
    types.push(type);
    return type === "http-01" ? "port 80 is closed" : undefined;
  };
  acme.want([want("a.example.com")]);
  await clock.until(() => state("a.example.com").state === "valid", 5000);
  assert.deepEqual(types, ["http-01", "tls-alpn-01"]);
});

test("AC-08 after five failures the next CA of the list is asked, and after two the staging directory first", async (t) => {
  const clock = new FakeClock();
  const [main, staging, other] = await Promise.all([0, 1, 2].map(() => new FakeCa(clock).listen(t)));
  main!.validate = staging!.validate = () => "no";
  const options = resolverOptions({
    caServer: main!.directory,
    stagingServer: staging!.directory,
    fallbackServers: [other!.directory],
    storage: scratch(t),
    preflight: false,
  });
  const { acme } = await startAcme(t, { le: options }, { clock, random: () => 0.5 });
  acme.want([want("a.example.com")]);
  await clock.until(() => acme.status()[0]!.failures === 5, 10 * MINUTE_MS);
  assert.equal(main!.count("order") > 0 && main!.orders.length, 2, "the CA itself saw two failures");
  assert.equal(staging!.orders.length, 3);
  staging!.validate = () => undefined;
  await clock.until(() => acme.status()[0]!.state === "valid", 10 * MINUTE_MS);
  assert.equal(other!.issued, 1);
});

test("AC-12 a permanent refusal is not tried again the same day", async (t) => {
  for (const problem of [
    "rejectedIdentifier",
    "caa",
    "unsupportedIdentifier",
    "malformed",
    "invalidProfile",
  ]) {
    const { clock, ca, acme, state } = await begin(t);
    ca.trick = ({ path }) => (path === "/order" ? { status: 400, problem } : undefined);
    acme.want([want("never.example.com")]);
    await clock.until(() => state("never.example.com").state === "failed");
    const asked = ca.count("order");
    await clock.pass(18 * HOUR_MS, HOUR_MS);
    assert.equal(ca.count("order"), asked, problem);
    await acme.close();
  }
});

test("AC-12 names that no CA could issue for are refused without asking one", async (t) => {
  const { ca, acme, clock, state } = await begin(t);
  acme.want([
    want("a b.example.com"),
    want("*.*.example.com"),
    want("-x.example.com"),
    want("*.example.com"),
  ]);
  await clock.until(() => acme.status().every(({ state }) => state === "blocked" || state === "failed"));
  assert.equal(ca.calls.length, 0);
  assert.match(state("*.example.com").reason, /wildcard can only be proved by DNS/);
});

test("AC-12 an international name is asked for in its ASCII form, a long one without a common name", async (t) => {
  const { ca, acme, clock, certificates } = await begin(t);
  const long = `${"a".repeat(60)}.${"b".repeat(60)}.example.com`;
  acme.want([want("Bücher.example"), want(long)]);
  await clock.until(() => certificates().length === 2);
  assert.deepEqual(
    ca.orders.flatMap(({ names }) => names.map(({ value }) => value)).sort(),
    [long, "xn--bcher-kva.example"].sort(),
  );
});

test("AC-22 an address is asked for as an address, in the short-lived profile when the CA has it", async (t) => {
  const { ca, acme, clock, certificates } = await begin(t);
  ca.profiles = { classic: "x", shortlived: "y" };
  ca.lifeMs = 160 * HOUR_MS;
  acme.want([want("192.0.2.7"), want("2001:DB8::1")]);
  await clock.until(() => certificates().length === 2);
  assert.deepEqual(ca.orders.map(({ names, profile }) => [names[0]!.type, names[0]!.value, profile]).sort(), [
    ["ip", "192.0.2.7", "shortlived"],
    ["ip", "2001:db8::1", "shortlived"],
  ]);
});

test("AC-10 an order that is processed for a minute is waited for", async (t) => {
  const { ca, acme, clock, state } = await begin(t, { certificateTimeout: 90_000 });
  ca.processingMs = MINUTE_MS;
  acme.want([want("slow.example.com")]);
  await clock.until(() => state("slow.example.com").state === "valid");
  assert.deepEqual([ca.orders.length, ca.count("finalize")], [1, 1]);
});

test("an order that outlasts its time limit is resumed, not repeated", async (t) => {
  const { ca, acme, clock, state } = await begin(t);
  ca.processingMs = 45_000;
  acme.want([want("slow.example.com")]);
  await clock.until(() => state("slow.example.com").state === "failed");
  await clock.until(() => state("slow.example.com").state === "valid", 5000);
  assert.deepEqual([ca.orders.length, ca.count("finalize"), ca.issued], [1, 1, 1]);
});

test("50 dead names do not keep a good one from its certificate, and the CA hears of none of the dead", async (t) => {
  // Nobody knows of the dead before the good one is served.
  const { promise: isServed, resolve: served } = Promise.withResolvers<void>();
  const network = {
    ...openNetwork,
    addresses: async (name: string) => (name.startsWith("dead") ? isServed.then(() => []) : ["192.0.2.1"]),
  };
  const ca = await new FakeCa().listen(t);
  const options = resolverOptions({ caServer: ca.directory, storage: scratch(t) });
  const { acme, certificates } = await startAcme(t, { le: options }, { network });
  const dead = Array.from({ length: 50 }, (_, i) => want(`dead${i}.example.com`));
  acme.want([...dead, want("good.example.com")]);
  await until(() => certificates().length === 1);
  served();
  await until(() => acme.status().filter(({ state }) => state === "failed").length === 50);
  assert.match(acme.status()[0]!.reason, /dead0\.example\.com has no address in DNS yet/);
  assert.equal(ca.orders.length, 1);
});

test("50 names that the CA refuses do not delay a good one, and stay within the budget", async (t) => {
  const ca = await new FakeCa().listen(t);
  const { promise: isServed, resolve: served } = Promise.withResolvers<void>();
  ca.validate = async (name) => {
    if (!name.startsWith("dead")) return undefined;
    await isServed;
    return "connection refused";
  };
  const options = resolverOptions({ caServer: ca.directory, storage: scratch(t), preflight: false });
  const { acme, certificates } = await startAcme(t, { le: options });
  const dead = Array.from({ length: 50 }, (_, i) => want(`dead.shop${i}.com`));
  acme.want([...dead, want("good.example.com")]);
  await until(() => certificates().length === 1);
  served();
  await until(() => acme.status().filter(({ state }) => state === "failed").length === 50);
  assert.equal(ca.orders.length, 51);
});

test("AC-23 500 new hosts at once are ordered as fast as the limits allow, and no faster", async (t) => {
  const { ca, acme, clock, certificates } = await begin(t);
  acme.want(Array.from({ length: 320 }, (_, i) => want(`www.shop${i}.com`)));
  await clock.until(() => certificates().length === 300, 1, 5000);
  const parked = () => acme.status().filter(({ state }) => state === "parked");
  await clock.until(() => parked().length === 20, 1);
  assert.match(parked()[0]!.reason, /waits its turn/);
  await clock.until(() => certificates().length === 320, MINUTE_MS);
  assert.equal(ca.orders.length, 320);
});

test("AC-23 more than 50 names of one domain in a week wait, names of other domains do not", async (t) => {
  const { acme, clock, certificates, state } = await begin(t);
  acme.want([...Array.from({ length: 55 }, (_, i) => want(`h${i}.example.com`)), want("other.net")]);
  await clock.until(() => certificates().length === 51, 10);
  assert.equal(state("other.net").state, "valid");
  await clock.until(() => acme.status().filter(({ state }) => state === "parked").length === 5, 1);
});

test("a try that is asked for while one is under way follows it, should that fail", async (t) => {
  const ca = await new FakeCa().listen(t);
  let refusals = 0;
  ca.validate = async () => {
    await until(() => refusals > 0 || acme.retry("le", "a.example.com"));
    return refusals++ === 0 ? "unauthorized" : undefined;
  };
  const options = resolverOptions({ caServer: ca.directory, storage: scratch(t) });
  const { acme, certificates } = await startAcme(t, { le: options });
  acme.want([want("a.example.com")]);
  await until(() => certificates().length === 1);
  assert.deepEqual(acme.counts.get("le"), { orders: 2, issued: 1, failed: 1 });
  assert.equal(acme.retry("le", "nobody.example.com"), false);
});

test("every name that failed is tried at once when a person asks, and no other", async (t) => {
  const ca = await new FakeCa().listen(t);
  let isDown = true;
  ca.validate = async () => (isDown ? "unauthorized" : undefined);
  const options = resolverOptions({ caServer: ca.directory, storage: scratch(t) });
  const { acme, certificates } = await startAcme(t, { le: options });
  acme.want([want("a.example.com"), want("b.example.com")]);
  await until(() => acme.counts.get("le")?.failed === 2);
  isDown = false;
  await until(() => acme.retryFailed() === 2);
  await until(() => certificates().length === 2);
  assert.equal(acme.retryFailed(), 0);
});

test("AC-23 an order that comes to nothing gives its place in the domain's budget to one that waits", async (t) => {
  const { acme, ca, clock, state } = await begin(t);
  const { promise: decided, resolve: decide } = Promise.withResolvers<void>();
  ca.validate = async (name) => {
    await decided;
    return name.startsWith("dead") ? "unauthorized" : undefined;
  };
  const dead = Array.from({ length: 50 }, (_, i) => want(`dead${i}.example.com`));
  const good = ["good.example.com", "next.example.com"];
  acme.want(dead);
  await until(() => ca.orders.length === dead.length);
  acme.want([...dead, ...good.map((name) => want(name))]);
  await until(() => good.every((name) => state(name).state === "parked"));
  decide();
  await clock.until(() => good.every((name) => state(name).state === "valid"), 10);
  assert.equal(ca.orders.length, 52, "before anything is tried again");
});

test("a CA that wants other names proved, or thousands, gets no proof of them", async (t) => {
  const { acme, ca, clock, state, responder } = await begin(t, { preflight: false });
  const other = { status: "pending", identifier: { type: "dns", value: "else.example.com" } };
  const challenges = [{ type: "http-01", url: `${ca.directory}/../chall/0/0/http-01`, token: "token" }];
  let shown = 0;
  ca.trick = ({ kind }) => {
    shown = Math.max(shown, responder.live.tokens.size);
    if (kind === "authz") return { status: 200, body: JSON.stringify({ ...other, challenges }) };
    return undefined;
  };
  acme.want([want("a.example.com")]);
  await clock.until(() => state("a.example.com").state === "failed");
  assert.match(state("a.example.com").reason, /wants a name proved that was not asked for/);
  const many = Array.from({ length: 5000 }, (_, i) => `${ca.directory}/${i}`);
  const order = { status: "pending", finalize: ca.directory, authorizations: many };
  ca.trick = ({ kind }) =>
    kind === "order"
      ? { status: 201, headers: { location: "/order/9" }, body: JSON.stringify(order) }
      : undefined;
  acme.want([want("b.example.org")]);
  await clock.until(() => state("b.example.org").state === "failed");
  assert.match(state("b.example.org").reason, /has 5000 authorizations/);
  assert.equal(shown, 0);
  assert.equal(ca.count("authz"), 1);
});

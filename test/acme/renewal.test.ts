import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { readCertificate } from "../../src/acme/certificate.ts";
import { adviceAgainMs, alarm, lastCallsMs, pick, renewAtMs } from "../../src/acme/renewal.ts";
import type { Want } from "../../src/acme/tickets.ts";
import type { AcmeOptions } from "../../src/model/resolver-settings.ts";
import { FakeCa, FakeClock } from "./fake-ca.ts";
import { resolverOptions, scratch, startAcme } from "./helpers.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const want = (...names: string[]): Want => ({ resolver: "le", names, owner: "app@docker" });

async function begin(t: TestContext, changes: Partial<AcmeOptions> = {}) {
  const clock = new FakeClock();
  const ca = await new FakeCa(clock).listen(t);
  const options = resolverOptions({
    caServer: ca.directory,
    storage: scratch(t),
    preflight: false,
    ...changes,
  });
  const started = await startAcme(t, { le: options }, { clock, random: () => 0.5 });
  return { clock, ca, options, ...started };
}

test("AC-22 a certificate is renewed with a third of its life left, a short one with half of it", () => {
  const life = (days: number) => ({ notBeforeMs: 0, notAfterMs: days * DAY_MS });
  const days = (ms: number) => Math.round((ms / DAY_MS) * 10) / 10;
  assert.equal(days(renewAtMs(life(90), 0)), 60);
  assert.equal(days(renewAtMs(life(90), 1)), 59);
  assert.equal(days(renewAtMs(life(45), 0)), 30);
  assert.equal(days(renewAtMs(life(160 / 24), 0)), 3.3);
  assert.deepEqual(lastCallsMs(life(100)).map(days), [95, 98]);
  assert.deepEqual(
    [alarm(life(60), 40 * DAY_MS), alarm(life(60), 51 * DAY_MS), alarm(life(60), 58 * DAY_MS)],
    [undefined, "sixth", "twentieth"],
  );
});

test("AC-20 the moment is picked once for a window and anew for another; the advice is asked for within a day", () => {
  const first = pick({ startMs: 100, endMs: 200 }, undefined, () => 0.25);
  assert.equal(first.pickedMs, 125);
  assert.equal(
    pick({ startMs: 100, endMs: 200 }, first, () => 0.9),
    first,
  );
  assert.equal(pick({ startMs: 50, endMs: 60 }, first, () => 0.5).pickedMs, 55);
  assert.deepEqual([undefined, 1000, 30 * DAY_MS].map(adviceAgainMs), [6 * HOUR_MS, 60_000, DAY_MS]);
});

test("AC-20 the certificate's name in renewal information is the one of RFC 9773's example form", async (t) => {
  const { clock, ca, acme, certificates } = await begin(t);
  acme.want([want("a.example.com")]);
  await clock.until(() => certificates().length === 1);
  const { chain, key } = certificates()[0]!;
  const { ariId, serial } = readCertificate(chain, key);
  assert.match(ariId!, /^[\w-]{27}\.[\w-]+$/, "20 bytes of key identifier, then the serial number");
  assert.equal(Buffer.from(ariId!.split(".")[1]!, "base64url").toString("hex"), serial);
  assert.equal(ca.issued, 1);
});

test("AC-22 a certificate is renewed in time, with a fresh key, by one order", async (t) => {
  const { clock, ca, acme, certificates } = await begin(t);
  acme.want([want("a.example.com")]);
  await clock.until(() => certificates().length === 1);
  const first = certificates()[0]!;
  await clock.pass(58 * DAY_MS, 6 * HOUR_MS);
  assert.equal(ca.issued, 1, "not before its time");
  await clock.until(() => certificates()[0]!.id !== first.id, HOUR_MS);
  assert.notEqual(certificates()[0]!.key, first.key);
  assert.equal(ca.orders.length, 2);
});

test("AC-24 what no router wants any more is kept and served, but not renewed", async (t) => {
  const { clock, ca, acme, certificates } = await begin(t);
  acme.want([want("gone.example.com")]);
  await clock.until(() => certificates().length === 1);
  acme.want([]);
  await clock.pass(80 * DAY_MS, DAY_MS);
  assert.equal(ca.issued, 1);
  assert.equal(acme.certificates().length, 1);
});

test("AC-20 a window in the past renews now, and tells the CA which certificate is replaced", async (t) => {
  const { clock, ca, acme, certificates } = await begin(t);
  const now = clock.nowMs();
  ca.ari = { start: now + 50 * DAY_MS, end: now + 51 * DAY_MS, retryAfter: "21600" };
  acme.want([want("a.example.com")]);
  await clock.until(() => certificates().length === 1);
  const first = certificates()[0]!;
  const { ariId } = readCertificate(first.chain, first.key);
  await clock.pass(5 * DAY_MS, HOUR_MS);
  assert.equal(ca.issued, 1);

  // A mass revocation: the window moves to the past.
  ca.ari = { start: now - DAY_MS, end: now - HOUR_MS, retryAfter: "21600" };
  const passed = await clock.until(() => ca.orders.length === 2, HOUR_MS / 60);
  assert.ok(passed <= 8 * HOUR_MS, `${passed / HOUR_MS} hours`);
  await clock.until(() => certificates()[0]!.id !== first.id);
  assert.equal(ca.orders[1]!.replaces, ariId);
});

test("AC-20 a window that ends before it starts is ignored, and a CA that forgets to advise is no trouble", async (t) => {
  const { clock, ca, acme, certificates } = await begin(t);
  const now = clock.nowMs();
  ca.ari = { start: now, end: now - DAY_MS };
  acme.want([want("a.example.com")]);
  await clock.until(() => certificates().length === 1);
  await clock.pass(3 * DAY_MS, HOUR_MS);
  ca.trick = ({ kind }) => (kind === "ari" ? { status: 404 } : undefined);
  await clock.pass(DAY_MS, HOUR_MS);
  assert.equal(ca.issued, 1);
  assert.equal(acme.status()[0]!.state, "valid");
});

test("AC-20 advice cannot put a renewal off beyond the last twentieth of a life", async (t) => {
  const { clock, ca, acme, certificates } = await begin(t);
  const now = clock.nowMs();
  ca.ari = { start: now + 200 * DAY_MS, end: now + 201 * DAY_MS };
  acme.want([want("a.example.com")]);
  await clock.until(() => certificates().length === 1);
  await clock.pass(80 * DAY_MS, 12 * HOUR_MS);
  assert.equal(ca.issued, 1);
  const passed = await clock.until(() => ca.orders.length === 2, HOUR_MS / 4);
  assert.ok(passed <= 7 * DAY_MS, `${passed / DAY_MS} days`);
});

const REFUSALS = {
  "was replaced already": { status: 409, problem: "alreadyReplaced" },
  "the CA does not know": { status: 404, problem: "malformed" },
  "the CA cannot find, and calls it its own fault": { status: 500, problem: "serverInternal" },
};

for (const [certificate, refusal] of Object.entries(REFUSALS)) {
  test(`AC-21 an order for a certificate that ${certificate} is made without saying so`, async (t) => {
    const { clock, ca, acme, certificates } = await begin(t);
    const now = clock.nowMs();
    ca.ari = { start: now + 50 * DAY_MS, end: now + 51 * DAY_MS };
    ca.refusesReplaced = refusal;
    acme.want([want("a.example.com")]);
    await clock.until(() => certificates().length === 1);
    const first = certificates()[0]!;
    ca.replaced.add(readCertificate(first.chain, first.key).ariId!);
    await clock.pass(50 * DAY_MS, 6 * HOUR_MS);
    await clock.until(() => certificates()[0]!.id !== first.id, HOUR_MS);
    assert.equal(ca.orders[1]!.replaces, undefined);
    assert.equal(acme.counts.get("le")!.failed, 0);
  });
}

test("AC-19 a clock that jumps 400 days makes no storm: the CA's own clock is believed", async (t) => {
  const { clock, ca, acme, certificates } = await begin(t);
  acme.want(Array.from({ length: 30 }, (_, i) => want(`h${i}.example.com`)));
  await clock.until(() => certificates().length === 30, 10);
  const real = clock.nowMs();
  // The CA's Date does not jump with us.
  ca.now = () => real;
  clock.jump(400 * DAY_MS);
  await clock.pass(2 * HOUR_MS, 600_000);
  // Nothing is under way when the clock is set right.
  await clock.until(() => acme.status().every(({ nextTryAtMs }) => nextTryAtMs !== undefined));
  assert.equal(ca.issued, 30);
  assert.match(acme.status()[0]!.reason, /set this machine's clock/);
  clock.jump(-400 * DAY_MS);
  await clock.until(() => acme.status().every(({ state }) => state === "valid"));
  assert.equal(ca.issued, 30);
});

test("AC-19 renewals that are all due at once go out at ten a minute", async (t) => {
  const { clock, ca, acme, certificates } = await begin(t);
  acme.want(Array.from({ length: 40 }, (_, i) => want(`h${i}.example.com`)));
  await clock.until(() => certificates().length === 40, 10);
  ca.lifeMs = 90 * DAY_MS;
  clock.advance(75 * DAY_MS);
  const passed = await clock.until(() => ca.issued === 80, 1000);
  assert.ok(passed >= 170_000, `40 renewals took ${passed} ms`);
});

test("AC-19 while the new certificate is not valid yet by our clock the old one is served", async (t) => {
  const { clock, ca, acme, certificates } = await begin(t);
  acme.want([want("a.example.com")]);
  await clock.until(() => certificates().length === 1);
  const first = certificates()[0]!;
  ca.beginsInMs = 2 * HOUR_MS;
  await clock.pass(58 * DAY_MS, 12 * HOUR_MS);
  await clock.until(() => ca.issued === 2 && acme.status()[0]!.certificate!.id !== first.id, 60_000, 5000);
  assert.deepEqual(
    acme.certificates().map(({ id }) => id),
    [first.id],
  );
  clock.advance(3 * HOUR_MS);
  assert.notEqual(acme.certificates()[0]!.id, first.id);
});

test("AC-11 every renewal leaves the account as it is", async (t) => {
  const { clock, ca, acme, certificates, options } = await begin(t);
  acme.want([want("a.example.com"), want("b.example.com")]);
  await clock.until(() => certificates().length === 2);
  assert.equal(ca.count("account"), 1, "two names register one account");
  assert.equal(readdirSync(join(options.storage, "accounts")).length, 1);
});

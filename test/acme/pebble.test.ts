import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Want } from "../../src/acme/tickets.ts";
import type { AcmeOptions } from "../../src/model/resolver-settings.ts";
import { resolverOptions, scratch, startAcme } from "./helpers.ts";
import { hasPebble, type Pebble, type PebbleOptions, startPebble, until } from "./pebble.ts";

const HTTP = { httpChallenge: { entryPoint: "web", delay: 0 } };
const TLS = { tlsChallenge: { delay: 0 } };

function optionsFor(pebble: Pebble, storage: string, changes: Partial<AcmeOptions>): AcmeOptions {
  return resolverOptions({ caServer: pebble.directory, caCertificates: [pebble.roots], storage, ...changes });
}

const want = (...names: string[]): Want => ({ resolver: "le", names, owner: "app@docker" });

/** A Pebble with a resolver in front of it, and the data plane that answers its challenges. */
async function begin(t: TestContext, changes: Partial<AcmeOptions>, pebbleOptions: PebbleOptions = {}) {
  const pebble = await startPebble(t, pebbleOptions);
  const options = optionsFor(pebble, scratch(t), changes);
  const started = await startAcme(t, { le: options });
  await started.responder.listen(t, pebble.httpPort, pebble.tlsPort);
  const state = (name: string) => started.acme.status().find(({ names }) => names.includes(name));
  return { pebble, options, ...started, state };
}

test("AC-01 a certificate is got by HTTP-01, kept, and served after a restart while the CA is away", async (t) => {
  if (!hasPebble(t)) return;
  const { pebble, options, acme, responder, certificates, state } = await begin(t, HTTP);
  acme.want([want("App.Example.com.")]);
  await until(() => certificates().length === 1);
  const [spec] = certificates();
  assert.deepEqual(spec!.names, ["app.example.com"]);
  assert.equal(state("app.example.com")!.state, "valid");
  await acme.close();
  assert.equal(responder.live.tokens.size, 0, "the token is taken away afterwards");

  pebble.kill();
  const second = await startAcme(t, { le: options });
  second.acme.want([want("app.example.com")]);
  await until(() => second.certificates().length === 1);
  assert.equal(second.certificates()[0]!.id, spec!.id);
  assert.equal(second.acme.counts.get("le")?.orders ?? 0, 0);
});

test("a certificate is got by TLS-ALPN-01", async (t) => {
  if (!hasPebble(t)) return;
  const { acme, certificates, responder } = await begin(t, TLS);
  acme.want([want("alpn.example.com", "other.example.com")]);
  await until(() => certificates().length === 1);
  assert.deepEqual(certificates()[0]!.names, ["alpn.example.com", "other.example.com"]);
  assert.equal(responder.asked, 0, "nothing was asked on port 80");
});

for (const rejected of ["5", "60"]) {
  test(`AC-04 20 of 20 certificates are got while ${rejected} % of the nonces are refused`, async (t) => {
    if (!hasPebble(t)) return;
    const environment = { PEBBLE_WFE_NONCEREJECT: rejected };
    const { acme, certificates } = await begin(t, HTTP, { environment });
    acme.want(Array.from({ length: 20 }, (_, i) => want(`nonce${i}.example.com`)));
    await until(() => certificates().length === 20, 60_000);
    assert.deepEqual(acme.counts.get("le"), { orders: 20, issued: 20, failed: 0 });
  });
}

for (const reuse of ["0", "100"]) {
  test(`AC-10 an order works while the CA reuses ${reuse} % of its authorizations`, async (t) => {
    if (!hasPebble(t)) return;
    const { acme, certificates } = await begin(t, HTTP, { environment: { PEBBLE_AUTHZREUSE: reuse } });
    acme.want([want("a.example.com")]);
    await until(() => certificates().length === 1);
    acme.want([want("a.example.com"), want("a.example.com", "b.example.com")]);
    await until(() => certificates().length === 2);
  });
}

test("AC-09 a token is answered until the CA has decided, however late it comes", async (t) => {
  if (!hasPebble(t)) return;
  const environment = { PEBBLE_VA_NOSLEEP: "0", PEBBLE_VA_SLEEPTIME: "3" };
  const { acme, certificates, responder } = await begin(t, HTTP, { environment });
  acme.want([want("late.example.com")]);
  await until(() => certificates().length === 1, 30_000);
  assert.ok(responder.asked >= 1);
});

test("a certificate is got with an external account, and its absence is explained", async (t) => {
  if (!hasPebble(t)) return;
  const hmacEncoded = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
  const { acme, certificates, pebble } = await begin(
    t,
    { ...HTTP, eab: { kid: "kid-1", hmacEncoded } },
    { eab: { "kid-1": hmacEncoded } },
  );
  acme.want([want("eab.example.com")]);
  await until(() => certificates().length === 1);

  const without = await startAcme(t, { le: optionsFor(pebble, scratch(t), HTTP) });
  without.acme.want([want("eab.example.com")]);
  await until(() => without.acme.status()[0]!.state === "failed");
  assert.match(without.acme.status()[0]!.reason, /set eab\.kid and eab\.hmacEncoded/);
});

test("the preferred one of several chains is taken", async (t) => {
  if (!hasPebble(t)) return;
  const first = await begin(t, HTTP, { environment: { PEBBLE_ALTERNATE_ROOTS: "2" } });
  const { pebble, responder, options } = first;
  for (const n of [0, 1, 2]) {
    const root = new X509Certificate(await pebble.root(n));
    const preferredChain = root.subject.replace(/^CN=/, "");
    const { acme, certificates } = await startAcme(
      t,
      { le: { ...options, preferredChain, storage: scratch(t) } },
      { onChallenges: responder.show },
    );
    acme.want([want("chain.example.com")]);
    await until(() => certificates().length === 1);
    const blocks = certificates()[0]!.chain.match(/-----BEGIN[\s\S]+?-----END CERTIFICATE-----/g)!;
    assert.ok(new X509Certificate(blocks.at(-1)!).checkIssued(root), `chain ${n} ends in its own root`);
  }
});

test("AC-11 an account that the CA has forgotten is registered again, with the same key", async (t) => {
  if (!hasPebble(t)) return;
  const { options, acme, certificates, responder } = await begin(t, HTTP);
  acme.want([want("one.example.com")]);
  await until(() => certificates().length === 1);
  await acme.close();
  const folder = join(options.storage, "accounts", new URL(options.caServer).host.replace(":", "-"));
  const account = JSON.parse(readFileSync(join(folder, "account.json"), "utf8"));
  const key = readFileSync(join(folder, "account.key"), "utf8");
  const forgotten = { ...account, url: account.url.replace(/[^/]+$/, "forgotten") };
  writeFileSync(join(folder, "account.json"), JSON.stringify(forgotten));

  const second = await startAcme(t, { le: options }, { onChallenges: responder.show });
  second.acme.want([want("two.example.com")]);
  await until(() => second.certificates().length === 2);
  assert.equal(readFileSync(join(folder, "account.key"), "utf8"), key);
  assert.equal(JSON.parse(readFileSync(join(folder, "account.json"), "utf8")).url, account.url);
});

test("AC-20 AC-22 a recent Pebble issues for addresses, advises when to renew, and is told what is replaced", async (t) => {
  if (!hasPebble(t)) return;
  const { pebble, acme, certificates, state } = await begin(t, HTTP);
  if (!pebble.isRecent) return t.skip("this Pebble knows no renewal information; the fake CA plays it");
  acme.want([want("127.0.0.1"), want("advised.example.com")]);
  await until(() => certificates().length === 2);
  assert.ok(certificates().some(({ names }) => names[0] === "127.0.0.1"));
  const first = state("advised.example.com")!.certificate!.id;
  await until(() => state("advised.example.com")!.state === "valid");
  assert.ok(acme.retry("le", "advised.example.com"));
  await until(() => state("advised.example.com")!.certificate!.id !== first);
  assert.equal(acme.counts.get("le")!.failed, 0, "the renewal failed");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Place } from "../../src/schema/node.ts";
import { readCertificate } from "../../src/tls/certificate.ts";
import { makeDefaultCertificate } from "../../src/tls/self-signed.ts";
import { makeCertificate, type TestCertificate } from "./certificates.ts";

const place: Place = { source: "file", key: "tls.certificates[0]", file: "tls.yml" };
const read = ({ chain, key }: Pick<TestCertificate, "chain" | "key">) =>
  readCertificate(chain, key, place, Date.now());
const said = (one: Pick<TestCertificate, "chain" | "key">) =>
  read(one).problems.map(({ severity, message }) => `${severity}: ${message}`);

const authority = await makeCertificate({ commonName: "authority", authority: true });
const good = await makeCertificate({
  names: ["App.example.com", "*.example.com"],
  ips: ["10.0.0.1", "fd00::1"],
  issuer: authority,
});

test("TL-13 a good chain and key are read without a word", () => {
  const { certificate, problems } = read({ chain: good.chain + authority.chain, key: good.key });
  assert.deepEqual(problems, []);
  assert.deepEqual(certificate?.names, [
    "app.example.com",
    "*.example.com",
    "10.0.0.1",
    "fd00:0:0:0:0:0:0:1",
  ]);
  assert.match(certificate?.id ?? "", /^[0-9a-f]{64}$/);
  assert.equal(certificate?.chain.match(/BEGIN CERTIFICATE/g)?.length, 2);
});

test("TL-13 a key of another certificate is refused", () => {
  assert.deepEqual(said({ chain: good.chain, key: authority.key }), [
    "error: the private key does not belong to the first certificate of the chain",
  ]);
});

test("TL-13 garbage is refused, whichever half it is", () => {
  assert.deepEqual(said({ chain: "garbage", key: good.key }), [
    "error: expected a certificate in PEM, found none",
  ]);
  const broken = good.chain.replace(/\n[A-Za-z0-9+/]{20}/, "\nAAAAAAAAAAAAAAAAAAAA");
  assert.deepEqual(said({ chain: broken, key: good.key }), [
    "error: certificate 1 of the chain cannot be read",
  ]);
  assert.match(said({ chain: good.chain, key: "garbage" })[0]!, /^error: expected a private key/);
  assert.match(
    said({ chain: good.chain, key: "-----BEGIN ENCRYPTED PRIVATE KEY-----" })[0]!,
    /^error: the private key is protected by a password/,
  );
});

test("TL-13 an RSA key of 1024 bits is refused, one of 2048 is not", async () => {
  const weak = await makeCertificate({ names: ["a.test"], rsaBits: 1024 });
  assert.deepEqual(said(weak), ["error: the RSA key has 1024 bits; expected at least 2048"]);
  assert.notEqual(read(await makeCertificate({ names: ["a.test"], rsaBits: 2048 })).certificate, undefined);
});

test("TL-13 what is expired or not valid yet is taken with a warning", async () => {
  const old = await makeCertificate({ names: ["a.test"], from: -10, to: -1 });
  assert.match(said(old)[0]!, /^warning: the certificate expired on 20/);
  assert.notEqual(read(old).certificate, undefined);
  const early = await makeCertificate({ names: ["a.test"], from: 1, to: 2 });
  assert.match(said(early)[0]!, /^warning: the certificate is not valid before 20/);
});

test("TL-13 a chain with a gap is taken with a warning", () => {
  assert.match(said(good)[0]!, /^warning: the chain has no intermediate/);
  assert.match(
    said({ chain: good.chain + good.chain, key: good.key })[0]!,
    /^warning: certificate 2 of the chain did not issue/,
  );
});

test("a certificate without alternative names is for its common name", async () => {
  const plain = await makeCertificate({ commonName: "plain.test" });
  assert.deepEqual(read(plain).certificate?.names, ["plain.test"]);
  assert.match(said(await makeCertificate({ commonName: "not a host" }))[0]!, /names no host/);
});

test("the generated default certificate can be served", async () => {
  const certificate = await makeDefaultCertificate(Date.now());
  assert.equal(certificate.names.length, 1);
  assert.ok(certificate.notAfterMs > Date.now() + 300 * 86_400_000);
});

import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { test } from "node:test";
import { rootCertificates } from "node:tls";
import { newKey } from "../../src/acme/certificate.ts";
import { planResolver } from "../../src/acme/resolver.ts";
import { makeRequest, x509 } from "../../src/acme/x509.ts";
import { acmeOptions } from "../../src/model/resolver-settings.ts";
import { written } from "../gateway/plane.ts";
import { makeCertificate } from "../tls/certificates.ts";

/** What resolvers can be told, where the tests with a CA do not show it. */

test("caCertificates, caSystemCertPool and caServerName: how the CA itself is known", async () => {
  const chain = (await makeCertificate({ commonName: "own", authority: true })).chain.trim();
  const plan = (texts: Record<string, string>) => planResolver("le", written(acmeOptions, texts)).cas[0]!;
  assert.equal(plan({}).roots, undefined);
  assert.equal(plan({ caCertificates: chain }).roots, chain);
  const both = plan({ caCertificates: chain, caSystemCertPool: "true" }).roots;
  assert.ok(both?.startsWith(chain) && both.includes(rootCertificates[0]!));
  assert.equal(plan({}).serverName, undefined);
  assert.equal(plan({ caServerName: "ca.internal" }).serverName, "ca.internal");
});

test("keyType: the kind of the certificates' keys", async () => {
  const made = async (keyType: string) => {
    const options = written(acmeOptions, keyType === "" ? {} : { keyType });
    return createPrivateKey(await newKey(options.keyType)).asymmetricKeyDetails;
  };
  assert.equal((await made(""))?.namedCurve, "prime256v1");
  assert.equal((await made("EC384"))?.namedCurve, "secp384r1");
  assert.equal((await made("RSA2048"))?.modulusLength, 2048);
});

test("emailAddresses: they are put into the request", async () => {
  const { emailAddresses } = written(acmeOptions, { emailAddresses: "ann@a.test" });
  const request = await makeRequest(["a.test"], await newKey("EC256"), emailAddresses);
  const { extensions } = new x509.Pkcs10CertificateRequest(request);
  const names = extensions.find((one) => one instanceof x509.SubjectAlternativeNameExtension);
  assert.deepEqual(
    names?.names.items.map(({ value }) => value),
    ["a.test", "ann@a.test"],
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { CertificateViews } from "../../src/control/certificate-views.ts";
import { makeDefaultCertificate } from "../../src/tls/self-signed.ts";

test("a certificate is shown without its key, and a proof for a challenge not at all", async () => {
  const certificate = await makeDefaultCertificate(Date.now());
  const views = new CertificateViews().of(
    [certificate, { ...certificate, id: "x", challenge: true }],
    () => "file",
  );
  assert.equal(views.length, 1);
  const [view] = views;
  assert.equal(view!.id, certificate.id);
  assert.match(view!.serialNumber, /^\d+$/);
  assert.match(view!.publicKeyFingerprint, /^[0-9a-f]{64}$/);
  assert.equal(view!.keyType, "ECDSA");
  assert.equal(view!.keyBits, 256);
  assert.equal(view!.signatureAlgorithm, "ECDSA-SHA256");
  assert.equal(JSON.stringify(view).includes("PRIVATE"), false);
});

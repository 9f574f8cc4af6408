import assert from "node:assert/strict";
import { test } from "node:test";
import type { Place } from "../../src/schema/node.ts";
import { checkTlsOptions, protocolsOf, serverOptions } from "../../src/tls/options.ts";
import { tlsOptions } from "./certificates.ts";

const place: Place = { source: "file", key: "tls.options.test", file: "tls.yml" };
const said = (changes: Parameters<typeof tlsOptions>[0]) =>
  checkTlsOptions(tlsOptions(changes), place).map(
    ({ severity, place: at, message, suggestion }) =>
      `${severity} ${at.key}: ${message}${suggestion === undefined ? "" : ` -> ${suggestion}`}`,
  );

const auth = (
  clientAuthType: "" | "RequireAndVerifyClientCert" | "VerifyClientCertIfGiven",
  caFiles: string[] = [],
) => ({
  clientAuth: { clientAuthType, caFiles },
});

test("the defaults are TLS 1.2 and 1.3 with forward secrecy and authenticated ciphers only", () => {
  const options = serverOptions(tlsOptions());
  assert.equal(options.minVersion, "TLSv1.2");
  assert.equal(options.maxVersion, "TLSv1.3");
  for (const cipher of options.ciphers!.split(":")) assert.match(cipher, /^TLS_|^ECDHE-.*(?:GCM|POLY1305)/);
  assert.equal(options.ecdhCurve, "X25519MLKEM768:X25519:P-256:P-384");
  assert.equal(options.honorCipherOrder, true);
  assert.deepEqual(said({}), []);
});

test("names are understood as Traefik understands them", () => {
  const options = serverOptions(
    tlsOptions({
      minVersion: "VersionTLS13",
      cipherSuites: ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"],
      curvePreferences: ["CurveP521", "secp384r1", "x25519"],
    }),
  );
  assert.equal(options.minVersion, "TLSv1.3");
  assert.match(options.ciphers!, /:ECDHE-RSA-AES256-GCM-SHA384$/);
  assert.equal(options.ecdhCurve, "P-521:P-384:X25519");
});

test("what is not known is said at its option, with the nearest thing that is", () => {
  assert.deepEqual(
    said({
      minVersion: "VersionTLS14",
      cipherSuites: ["TLS_RSA_WITH_RC4_128_SHA"],
      curvePreferences: ["x25518"],
      alpnProtocols: ["h3", "http/1.1"],
    }),
    [
      'error tls.options.test.minVersion: expected a TLS version that is known here, found "VersionTLS14" -> VersionTLS10',
      'error tls.options.test.cipherSuites: expected a cipher suite that is known here, found "TLS_RSA_WITH_RC4_128_SHA" -> TLS_RSA_WITH_AES_128_CBC_SHA',
      'error tls.options.test.curvePreferences: expected a key-exchange group that is known here, found "x25518" -> x25519',
      'error tls.options.test.alpnProtocols: expected a protocol that is known here, found "h3" -> h2',
    ],
  );
});

test("TL-04 versions before TLS 1.2 are not spoken, and that is said", () => {
  assert.deepEqual(said({ minVersion: "VersionTLS10" }), [
    "warning tls.options.test.minVersion: versions older than TLS 1.2 are not spoken; the lowest is TLS 1.2",
  ]);
  assert.deepEqual(said({ maxVersion: "VersionTLS11" }), [
    "error tls.options.test.maxVersion: versions older than TLS 1.2 are not spoken",
  ]);
  assert.deepEqual(said({ minVersion: "VersionTLS13", maxVersion: "VersionTLS12" }), [
    "error tls.options.test.maxVersion: is below the lowest version",
  ]);
});

test("TL-08 client certificates cannot be verified without authorities, and authorities alone mean that they are", () => {
  assert.deepEqual(said(auth("RequireAndVerifyClientCert")), [
    "error tls.options.test.clientAuth.caFiles: RequireAndVerifyClientCert needs authorities to verify with",
  ]);
  const options = serverOptions(tlsOptions(auth("", ["pem"])));
  assert.deepEqual([options.requestCert, options.rejectUnauthorized, options.ca], [true, true, ["pem"]]);
});

test("acme-tls/1 in a list of protocols is no offer to ordinary clients", () => {
  assert.deepEqual(protocolsOf(tlsOptions({ alpnProtocols: ["http/1.1", "acme-tls/1"] })), ["http/1.1"]);
  assert.deepEqual(said({ alpnProtocols: ["acme-tls/1"] }), [
    "error tls.options.test.alpnProtocols: expected h2, http/1.1 or both, found neither",
  ]);
});

import { randomBytes, webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { CertificateSpec } from "../model/snapshot.ts";
import { readCertificate } from "./certificate.ts";

const EC = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const LIFE_MS = 365 * 86_400_000;
const CLOCK_SKEW_MS = 3_600_000;

/** The certificate that is shown when there is no other: names nobody, convinces nobody, but lets TLS begin. */
export async function makeDefaultCertificate(nowMs: number): Promise<CertificateSpec> {
  const keys = await webcrypto.subtle.generateKey(EC, true, ["sign", "verify"]);
  const name = `${randomBytes(16).toString("hex")}.waybill.default`;
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      name: "CN=WAYBILL DEFAULT CERT",
      serialNumber: `01${randomBytes(15).toString("hex")}`,
      notBefore: new Date(nowMs - CLOCK_SKEW_MS),
      notAfter: new Date(nowMs + LIFE_MS),
      keys,
      signingAlgorithm: EC,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension([{ type: "dns", value: name }]),
      ],
    },
    webcrypto,
  );
  const key = PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY");
  const place = { source: "default", key: "tls.stores.default.defaultCertificate" } as const;
  const { certificate: spec, problems } = readCertificate(certificate.toString("pem"), key, place, nowMs);
  if (spec === undefined) throw new Error(`the default certificate is bad: ${problems[0]?.message}`);
  return spec;
}

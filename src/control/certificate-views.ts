import { createHash, X509Certificate } from "node:crypto";
import type { CertificateView } from "../model/certificate-view.ts";
import type { CertificateSpec } from "../model/snapshot.ts";

/** As Go names them, because boards and scripts made for Traefik look for these words. */
const SIGNATURES = new Map([
  ["sha256WithRSAEncryption", "SHA256-RSA"],
  ["sha384WithRSAEncryption", "SHA384-RSA"],
  ["sha512WithRSAEncryption", "SHA512-RSA"],
  ["ecdsa-with-SHA256", "ECDSA-SHA256"],
  ["ecdsa-with-SHA384", "ECDSA-SHA384"],
  ["ecdsa-with-SHA512", "ECDSA-SHA512"],
]);

/** Certificates as people see them. Each is parsed once. */
export class CertificateViews {
  #kept = new Map<string, CertificateView>();

  /** `sourceOf` says where a certificate comes from: a resolver's name, or a file. */
  of(certificates: readonly CertificateSpec[], sourceOf: (id: string) => string): readonly CertificateView[] {
    const views = new Map<string, CertificateView>();
    for (const certificate of certificates) {
      if (certificate.challenge) continue;
      views.set(
        certificate.id,
        this.#kept.get(certificate.id) ?? viewOf(certificate, sourceOf(certificate.id)),
      );
    }
    this.#kept = views;
    return [...views.values()];
  }
}

function viewOf(
  { id, names, chain, notBeforeMs, notAfterMs }: CertificateSpec,
  source: string,
): CertificateView {
  const leaf = new X509Certificate(chain);
  const subject = fieldsOf(leaf.subject);
  const issuer = fieldsOf(leaf.issuer);
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = leaf.publicKey;
  const signature =
    (leaf as X509Certificate & { readonly signatureAlgorithm?: string }).signatureAlgorithm ?? "";
  return {
    id,
    names: names.toSorted(),
    commonName: subject.get("CN") ?? "",
    issuerCommonName: issuer.get("CN") ?? "",
    issuerOrganization: issuer.get("O") ?? "",
    issuerCountry: issuer.get("C") ?? "",
    organization: subject.get("O") ?? "",
    country: subject.get("C") ?? "",
    serialNumber: BigInt(`0x${leaf.serialNumber}`).toString(),
    notBeforeMs,
    notAfterMs,
    version: "3",
    keyType: type === "rsa" ? "RSA" : type === "ec" ? "ECDSA" : "Unknown",
    keyBits: details?.modulusLength ?? CURVE_BITS.get(details?.namedCurve ?? "") ?? 0,
    signatureAlgorithm: SIGNATURES.get(signature) ?? signature,
    publicKeyFingerprint: createHash("sha256")
      .update(leaf.publicKey.export({ type: "spki", format: "der" }))
      .digest("hex"),
    source,
  };
}

const CURVE_BITS = new Map([
  ["prime256v1", 256],
  ["secp384r1", 384],
  ["secp521r1", 521],
]);

function fieldsOf(name: string | undefined): ReadonlyMap<string, string> {
  const pairs = (name ?? "").split("\n").map((line) => line.split(/=(.*)/s, 2) as [string, string]);
  return new Map(pairs);
}

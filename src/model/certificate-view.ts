/** A certificate as the API, the dashboard and `waybill certs list` show it. Never its key. */
export interface CertificateView {
  /** SHA-256 of the leaf's DER, hexadecimal. */
  readonly id: string;
  /** DNS names and addresses, sorted. */
  readonly names: readonly string[];
  readonly commonName: string;
  readonly issuerCommonName: string;
  readonly issuerOrganization: string;
  readonly issuerCountry: string;
  readonly organization: string;
  readonly country: string;
  /** Decimal. */
  readonly serialNumber: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** X.509 version, 3. */
  readonly version: string;
  readonly keyType: "RSA" | "ECDSA" | "Unknown";
  readonly keyBits: number;
  readonly signatureAlgorithm: string;
  /** SHA-256 of the public key's DER, hexadecimal. */
  readonly publicKeyFingerprint: string;
  /** Where it comes from: a resolver's name, or the file. */
  readonly source: string;
}

/** How getting and renewing one certificate goes. */
export interface IssuanceView {
  readonly resolver: string;
  readonly names: readonly string[];
  /** Routers that asked for it. */
  readonly owners: readonly string[];
  readonly state: string;
  /** A sentence for people; empty when all is well. */
  readonly reason: string;
  readonly failures: number;
  /** Milliseconds since 1970; undefined when nothing is waited for. */
  readonly nextTryAtMs: number | undefined;
  readonly renewAtMs: number | undefined;
  readonly issuer: string;
}

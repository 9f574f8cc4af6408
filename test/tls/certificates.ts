import { webcrypto, X509Certificate } from "node:crypto";
import {
  BasicConstraintsExtension,
  type Extension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { TlsOptionsOptions } from "../../src/model/dynamic.ts";
import { tlsOptionsOptions } from "../../src/model/dynamic.ts";
import type { CertificateSpec, TlsSpec } from "../../src/model/snapshot.ts";
import { Node } from "../../src/schema/node.ts";
import { readOptions } from "../../src/schema/read-options.ts";
import { namesOf } from "../../src/tls/certificate.ts";

const DAY_MS = 86_400_000;
const EC = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

export interface TestCertificate {
  readonly chain: string;
  readonly key: string;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly subject: string;
  readonly algorithm: typeof EC;
}

export interface TestCertificateOptions {
  readonly names?: readonly string[];
  readonly ips?: readonly string[];
  readonly rsaBits?: number;
  readonly commonName?: string;
  readonly issuer?: TestCertificate;
  readonly authority?: boolean;
  /** Days from now. */
  readonly from?: number;
  readonly to?: number;
}

/** A certificate for tests, signed by itself or by another. */
export async function makeCertificate(options: TestCertificateOptions = {}): Promise<TestCertificate> {
  const algorithm =
    options.rsaBits === undefined
      ? EC
      : {
          name: "RSASSA-PKCS1-v1_5",
          hash: "SHA-256",
          publicExponent: new Uint8Array([1, 0, 1]),
          modulusLength: options.rsaBits,
        };
  const keys = (await webcrypto.subtle.generateKey(algorithm as typeof EC, true, [
    "sign",
    "verify",
  ])) as webcrypto.CryptoKeyPair;
  const subject = `CN=${options.commonName ?? options.names?.[0] ?? "test"}`;
  const names = [
    ...(options.names ?? []).map((value) => ({ type: "dns" as const, value })),
    ...(options.ips ?? []).map((value) => ({ type: "ip" as const, value })),
  ];
  const extensions: Extension[] = [
    new BasicConstraintsExtension(options.authority ?? false, undefined, true),
  ];
  if (names.length > 0) extensions.push(new SubjectAlternativeNameExtension(names));
  const issuer = options.issuer;
  const certificate = await X509CertificateGenerator.create(
    {
      subject,
      issuer: issuer?.subject ?? subject,
      serialNumber: `01${webcrypto.getRandomValues(Buffer.alloc(8)).toString("hex")}`,
      notBefore: new Date(Date.now() + (options.from ?? -1) * DAY_MS),
      notAfter: new Date(Date.now() + (options.to ?? 30) * DAY_MS),
      publicKey: keys.publicKey,
      signingKey: issuer?.keys.privateKey ?? keys.privateKey,
      signingAlgorithm: issuer?.algorithm ?? (algorithm as typeof EC),
      extensions,
    },
    webcrypto,
  );
  const key = PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY");
  return { chain: `${certificate.toString("pem")}\n`, key, keys, subject, algorithm: algorithm as typeof EC };
}

export function specOf({ chain, key }: TestCertificate, challenge = false): CertificateSpec {
  const leaf = new X509Certificate(chain);
  return {
    id: leaf.fingerprint256.replaceAll(":", "").toLowerCase(),
    names: namesOf(leaf),
    notBeforeMs: leaf.validFromDate.getTime(),
    notAfterMs: leaf.validToDate.getTime(),
    chain,
    key,
    challenge,
  };
}

export function tlsOptions(changes: Partial<TlsOptionsOptions> = {}): TlsOptionsOptions {
  const place = { source: "default", key: "tls" } as const;
  return {
    ...readOptions(tlsOptionsOptions, new Node("tls", place), { report() {}, secret: (text) => text }),
    ...changes,
  };
}

export function tlsSpec(
  certificates: readonly CertificateSpec[],
  options: Record<string, Partial<TlsOptionsOptions>> = {},
  hosts: Record<string, string> = {},
): TlsSpec {
  const sets = Object.entries({ default: {}, ...options }).map(
    ([name, changes]) => [name, tlsOptions(changes)] as const,
  );
  return {
    options: new Map(sets),
    certificates,
    defaultCertificate: certificates[0]?.id ?? "",
    hosts: new Map(Object.entries(hosts)),
  };
}

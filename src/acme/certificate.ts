import { createHash, createPrivateKey, generateKeyPair, type KeyObject, X509Certificate } from "node:crypto";
import { promisify } from "node:util";
import type { CertificateSpec } from "../model/snapshot.ts";
import { canonicalIp, coversAll } from "./names.ts";
import { AcmeProblem } from "./problem.ts";

export type KeyType = "EC256" | "EC384" | "RSA2048" | "RSA4096" | "RSA8192";

const makePair = promisify(generateKeyPair);

/** A fresh private key, PEM (PKCS #8). */
export async function newKey(type: KeyType): Promise<string> {
  const { privateKey } = type.startsWith("EC")
    ? await makePair("ec", { namedCurve: type === "EC256" ? "P-256" : "P-384" })
    : await makePair("rsa", { modulusLength: Number(type.slice(3)) });
  return pkcs8(privateKey);
}

export const pkcs8 = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" }) as string;

/** What a stored or delivered certificate says about itself. */
export interface CertificateFacts {
  readonly spec: CertificateSpec;
  readonly issuer: string;
  readonly serial: string;
  /** Names the certificate in renewal information (RFC 9773 section 4.1); undefined without a key identifier. */
  readonly ariId: string | undefined;
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** Reads a PEM chain with its key. Throws `AcmeProblem` saying what does not fit. */
export function readCertificate(chain: string, key: string): CertificateFacts {
  const blocks = chain.match(PEM_CERTIFICATE) ?? [];
  if (blocks.length === 0) throw new AcmeProblem("badReply", "there is no certificate in the chain");
  const links = blocks.map((block) =>
    read(() => new X509Certificate(block), "the chain is not a certificate"),
  );
  const leaf = links[0]!;
  const secret = read(() => createPrivateKey(key), "the private key cannot be read");
  if (!leaf.checkPrivateKey(secret))
    throw new AcmeProblem("badReply", "key and certificate do not belong together");
  for (let i = 0; i + 1 < links.length; i++) {
    const issuer = links[i + 1]!;
    if (!links[i]!.checkIssued(issuer) || !links[i]!.verify(issuer.publicKey))
      throw new AcmeProblem("badReply", "the chain does not hang together");
  }
  return factsOf(leaf, `${blocks.join("\n")}\n`, pkcs8(secret));
}

/** As `readCertificate`, for what has been checked when it was kept: parsing 10,000 keys takes half a second. */
export function readChecked(chain: string, key: string): CertificateFacts {
  return factsOf(new X509Certificate(chain), chain, key);
}

function factsOf(leaf: X509Certificate, chain: string, key: string): CertificateFacts {
  return {
    spec: {
      id: createHash("sha256").update(leaf.raw).digest("hex"),
      names: namesOf(leaf),
      notBeforeMs: Date.parse(leaf.validFrom),
      notAfterMs: Date.parse(leaf.validTo),
      chain,
      key,
      challenge: false,
    },
    issuer: /^CN=(.*)$/m.exec(leaf.issuer)?.[1] ?? leaf.issuer.replaceAll("\n", ", "),
    serial: leaf.serialNumber.toLowerCase(),
    ariId: ariId(leaf),
  };
}

function read<T>(make: () => T, message: string): T {
  try {
    return make();
  } catch {
    throw new AcmeProblem("badReply", message);
  }
}

function namesOf(leaf: X509Certificate): string[] {
  const names: string[] = [];
  for (const part of (leaf.subjectAltName ?? "").split(", ")) {
    const [, kind, value] = /^(DNS|IP Address):(.+)$/.exec(part) ?? [];
    if (value !== undefined)
      names.push(kind === "DNS" ? value.toLowerCase() : canonicalIp(value.toLowerCase()));
  }
  return names;
}

/** Checks what the CA delivered before anything else trusts it. */
export function checkDelivered(facts: CertificateFacts, names: readonly string[], nowMs: number): void {
  const { spec } = facts;
  if (!coversAll(spec.names, names))
    throw new AcmeProblem(
      "badReply",
      `the CA issued for ${spec.names.join(", ")} instead of ${names.join(", ")}`,
    );
  if (spec.notAfterMs <= nowMs)
    throw new AcmeProblem("badReply", "the CA issued a certificate that has expired");
}

/** base64url(key identifier of the issuer) "." base64url(serial number), as RFC 9773 section 4.1 wants it. */
function ariId(leaf: X509Certificate): string | undefined {
  const keyId = authorityKeyId(leaf.raw);
  if (keyId === undefined) return undefined;
  const hex = leaf.serialNumber.length % 2 === 0 ? leaf.serialNumber : `0${leaf.serialNumber}`;
  // DER integers are signed: a serial number with its top bit set carries a zero in front.
  const serial = Buffer.from(Number.parseInt(hex.slice(0, 2), 16) >= 0x80 ? `00${hex}` : hex, "hex");
  return `${keyId.toString("base64url")}.${serial.toString("base64url")}`;
}

// id-ce-authorityKeyIdentifier, 2.5.29.35, as DER.
const AKI = Buffer.from("0603551d23", "hex");

/** node:crypto does not show this extension: it is OID, octet string, sequence, then [0] with the identifier. */
function authorityKeyId(der: Buffer): Buffer | undefined {
  const at = der.lastIndexOf(AKI);
  if (at < 0) return undefined;
  const octets = element(der, at + AKI.length);
  const sequence = octets?.tag === 0x04 ? element(octets.value, 0) : undefined;
  const keyId = sequence?.tag === 0x30 ? element(sequence.value, 0) : undefined;
  return keyId?.tag === 0x80 ? keyId.value : undefined;
}

function element(der: Buffer, at: number): { tag: number; value: Buffer } | undefined {
  const tag = der[at];
  const first = der[at + 1];
  if (tag === undefined || first === undefined) return undefined;
  const sizeBytes = first < 0x80 ? 0 : first & 0x7f;
  if (sizeBytes > 3 || at + 2 + sizeBytes > der.length) return undefined;
  const length = sizeBytes === 0 ? first : der.readUIntBE(at + 2, sizeBytes);
  const start = at + 2 + sizeBytes;
  return { tag, value: der.subarray(start, start + length) };
}

import { randomBytes } from "node:crypto";
import { type CertificateFacts, newKey, readCertificate } from "./certificate.ts";
import { DAY_MS } from "./patience.ts";
import type { Vault } from "./vault.ts";
import { alternativeNames, signingPair, x509 } from "./x509.ts";

const ROOT_LIFE_MS = 3650 * DAY_MS;
const LEAF_LIFE_MS = 7 * DAY_MS;
// Clocks of other machines at home are often a little late.
const EARLIER_MS = 3_600_000;
const ROOT_NAME = "Waybill Local Authority";

/** The authority of this installation for names that no public CA issues for. */
export class InternalCa {
  /** PEM: what people's machines must trust. */
  readonly root: string;
  readonly #key: string;

  private constructor(root: string, key: string) {
    this.root = root;
    this.#key = key;
  }

  /** Opens the authority of a store, and makes it at the first time. */
  static async open(vault: Vault, nowMs: number): Promise<InternalCa> {
    const [root, key] = await Promise.all([vault.get("internal/root.pem"), vault.get("internal/root.key")]);
    const spec = root && key && readRoot(root.toString(), key.toString());
    if (spec && spec.notAfterMs > nowMs + LEAF_LIFE_MS) return new InternalCa(spec.chain, spec.key);
    if (root !== undefined || key !== undefined) await vault.setAside("internal", nowMs);
    const made = await makeRoot(nowMs);
    await vault.put("internal/root.key", made.key);
    await vault.put("internal/root.pem", made.root);
    return new InternalCa(made.root, made.key);
  }

  /** A certificate for a week, renewed after half of it. */
  async issue(names: readonly string[], nowMs: number): Promise<CertificateFacts> {
    const key = await newKey("EC256");
    const [leaf, own] = await Promise.all([signingPair(key), signingPair(this.#key)]);
    const root = new x509.X509Certificate(this.root);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial(),
      issuer: root.subject,
      notBefore: new Date(nowMs - EARLIER_MS),
      notAfter: new Date(nowMs + LEAF_LIFE_MS),
      publicKey: leaf.keys.publicKey,
      signingKey: own.keys.privateKey,
      signingAlgorithm: own.algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        alternativeNames(names),
        await x509.AuthorityKeyIdentifierExtension.create(root),
        await x509.SubjectKeyIdentifierExtension.create(leaf.keys.publicKey),
      ],
    });
    return readCertificate(`${certificate.toString("pem")}\n${this.root}`, key);
  }
}

function readRoot(root: string, key: string): CertificateFacts["spec"] | undefined {
  try {
    return readCertificate(root, key).spec;
  } catch {
    return undefined;
  }
}

async function makeRoot(nowMs: number): Promise<{ root: string; key: string }> {
  const key = await newKey("EC256");
  const { keys, algorithm } = await signingPair(key);
  const mark = randomBytes(3).toString("hex");
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    // Two installations must not look the same in a trust store.
    name: `CN=${ROOT_NAME} ${mark}, O=Waybill`,
    notBefore: new Date(nowMs - EARLIER_MS),
    notAfter: new Date(nowMs + ROOT_LIFE_MS),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { root: `${certificate.toString("pem")}\n`, key };
}

/** Positive, and 127 bits of chance. */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString("hex");
}

import { createPrivateKey, createPublicKey, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";

// Making things signed by a key: requests here, certificates in `internal-ca.ts`. Loaded only when needed, since the
// library takes longer to load than the rest of the control plane.

export type SigningAlgorithm = { name: string; hash: string; namedCurve?: string };

export interface SigningPair {
  readonly keys: webcrypto.CryptoKeyPair;
  readonly algorithm: SigningAlgorithm;
}

/** A PEM private key in the form that X.509 signing wants. */
export async function signingPair(keyPem: string): Promise<SigningPair> {
  const secret = createPrivateKey(keyPem);
  const curve = secret.asymmetricKeyDetails?.namedCurve;
  const algorithm =
    secret.asymmetricKeyType === "ec"
      ? {
          name: "ECDSA",
          hash: curve === "secp384r1" ? "SHA-384" : "SHA-256",
          namedCurve: curve === "secp384r1" ? "P-384" : "P-256",
        }
      : { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const der = secret.export({ type: "pkcs8", format: "der" });
  const publicDer = createPublicKey(keyPem).export({ type: "spki", format: "der" });
  const privateKey = await webcrypto.subtle.importKey("pkcs8", der, algorithm, true, ["sign"]);
  const publicKey = await webcrypto.subtle.importKey("spki", publicDer, algorithm, true, ["verify"]);
  return { keys: { privateKey, publicKey }, algorithm };
}

export function alternativeNames(names: readonly string[], emails: readonly string[] = []) {
  const items = names.map((value) => ({
    type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const),
    value,
  }));
  const mail = emails.map((value) => ({ type: "email" as const, value }));
  return new x509.SubjectAlternativeNameExtension([...items, ...mail]);
}

/** A certificate request without a subject: names belong into the alternative names, however long they are. */
export async function makeRequest(names: readonly string[], keyPem: string, emails: readonly string[]) {
  const { keys, algorithm } = await signingPair(keyPem);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: algorithm,
    extensions: [alternativeNames(names, emails)],
  });
  return request.toString("pem");
}

export { x509 };

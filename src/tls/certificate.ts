import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { CertificateSpec } from "../model/snapshot.ts";
import type { Place } from "../schema/node.ts";
import type { Problem } from "../schema/problem.ts";
import { normalServerName } from "../wire/client-hello.ts";

export interface ReadCertificate {
  /** Undefined when it cannot be served: what was in force before should stay. */
  readonly certificate: CertificateSpec | undefined;
  readonly problems: readonly Problem[];
}

const RSA_BITS_MIN = 2048;
const PEM_CERTIFICATE =
  /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]*-----END (?:TRUSTED )?CERTIFICATE-----/g;
const CHAIN_MAX = 16;

/** Reads a chain (leaf first) and its key from PEM, and says everything that is wrong with them. */
export function readCertificate(chain: string, key: string, place: Place, nowMs: number): ReadCertificate {
  const problems: Problem[] = [];
  const report = (severity: Problem["severity"], message: string) =>
    problems.push({ code: "bad-certificate", severity, place, message });

  const certificates = parseChain(chain, (message) => report("error", message));
  const privateKey = parseKey(key, (message) => report("error", message));
  const leaf = certificates?.[0];
  if (leaf === undefined || privateKey === undefined) return { certificate: undefined, problems };

  checkLeaf(leaf, privateKey, (message) => report("error", message));
  if (problems.length > 0) return { certificate: undefined, problems };

  const spec = describe(certificates!, privateKey);
  const refusal = refusalByOpenSsl(spec);
  if (refusal !== undefined) {
    report("error", refusal);
    return { certificate: undefined, problems };
  }
  for (const message of doubtsAbout(certificates!, spec, nowMs)) report("warning", message);
  return { certificate: spec, problems };
}

function parseChain(pem: string, report: (message: string) => void): X509Certificate[] | undefined {
  const blocks = pem.match(PEM_CERTIFICATE);
  if (blocks === null) {
    report("expected a certificate in PEM, found none");
    return undefined;
  }
  if (blocks.length > CHAIN_MAX) {
    report(`expected a chain of at most ${CHAIN_MAX} certificates, found ${blocks.length}`);
    return undefined;
  }
  const certificates: X509Certificate[] = [];
  for (const [i, block] of blocks.entries()) {
    try {
      certificates.push(new X509Certificate(block));
    } catch {
      report(`certificate ${i + 1} of the chain cannot be read`);
      return undefined;
    }
  }
  return certificates;
}

/** Why a PEM text is no list of authorities; undefined when it is one. */
export function faultInAuthorities(pem: string): string | undefined {
  const blocks = pem.match(PEM_CERTIFICATE);
  if (blocks === null) return "expected certificates of authorities in PEM, found none";
  for (const [i, block] of blocks.entries()) {
    try {
      new X509Certificate(block);
    } catch {
      return `certificate ${i + 1} of ${blocks.length} cannot be read`;
    }
  }
  return undefined;
}

function parseKey(pem: string, report: (message: string) => void): KeyObject | undefined {
  if (pem.includes("ENCRYPTED")) {
    report("the private key is protected by a password; expected one without");
    return undefined;
  }
  try {
    return createPrivateKey(pem);
  } catch {
    report("expected a private key in PEM (PKCS #8, PKCS #1 or SEC 1), found something else");
    return undefined;
  }
}

function checkLeaf(leaf: X509Certificate, key: KeyObject, report: (message: string) => void): void {
  if (!leaf.checkPrivateKey(key)) {
    report("the private key does not belong to the first certificate of the chain");
    return;
  }
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < RSA_BITS_MIN) {
    report(`the RSA key has ${bits} bits; expected at least ${RSA_BITS_MIN}`);
  }
  if (namesOf(leaf).length === 0) report("the certificate names no host and no address");
}

/** OpenSSL has the last word: weak digests and curves that it does not serve are refused here, not in a handshake. */
function refusalByOpenSsl({ chain, key }: CertificateSpec): string | undefined {
  try {
    createSecureContext({ cert: chain, key });
    return undefined;
  } catch (error) {
    return `OpenSSL refuses the certificate: ${(error as Error).message.replace(/^error:[0-9A-F]+:/, "")}`;
  }
}

function doubtsAbout(chain: readonly X509Certificate[], spec: CertificateSpec, nowMs: number): string[] {
  const doubts: string[] = [];
  if (spec.notAfterMs <= nowMs)
    doubts.push(`the certificate expired on ${new Date(spec.notAfterMs).toISOString()}`);
  if (spec.notBeforeMs > nowMs)
    doubts.push(`the certificate is not valid before ${new Date(spec.notBeforeMs).toISOString()}`);
  for (let i = 1; i < chain.length; i++) {
    if (!chain[i - 1]!.checkIssued(chain[i]!))
      doubts.push(`certificate ${i + 1} of the chain did not issue the one before it`);
  }
  const top = chain.at(-1)!;
  if (chain.length === 1 && !top.checkIssued(top))
    doubts.push("the chain has no intermediate certificate; most clients will not trust it");
  return doubts;
}

function describe(chain: readonly X509Certificate[], key: KeyObject): CertificateSpec {
  const leaf = chain[0]!;
  return {
    id: leaf.fingerprint256.replaceAll(":", "").toLowerCase(),
    names: namesOf(leaf),
    notBeforeMs: leaf.validFromDate.getTime(),
    notAfterMs: leaf.validToDate.getTime(),
    chain: chain.map((certificate) => certificate.toString()).join(""),
    key: key.export({ type: "pkcs8", format: "pem" }) as string,
    challenge: false,
  };
}

/** Host names and addresses of the subject's alternative names; the common name counts only where there are none. */
export function namesOf(leaf: X509Certificate): string[] {
  const names = new Set<string>();
  for (const [, kind, value] of (leaf.subjectAltName ?? "").matchAll(
    /(?:^|, )(DNS|IP Address):([^",]+)(?=,|$)/g,
  )) {
    const name = kind === "DNS" ? certificateName(value!) : value!.toLowerCase();
    if (name !== undefined) names.add(name);
  }
  if (names.size > 0) return [...names];
  const common = /(?:^|\n)CN=([^\n]+)/.exec(leaf.subject)?.[1];
  const name = common === undefined ? undefined : certificateName(common);
  return name === undefined ? [] : [name];
}

function certificateName(text: string): string | undefined {
  if (!text.startsWith("*.")) return normalServerName(text);
  const parent = normalServerName(text.slice(2));
  return parent === undefined ? undefined : `*.${parent}`;
}

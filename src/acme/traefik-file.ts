import { createPrivateKey } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { type CertificateFacts, pkcs8, readCertificate } from "./certificate.ts";
import { isRecord } from "./problem.ts";
import type { Kept } from "./shelf.ts";

/** What a Traefik `acme.json` holds for one of its resolvers. */
export interface LegacyResolver {
  readonly name: string;
  readonly account: { readonly key: string; readonly url: string; readonly email: string } | undefined;
  readonly certificates: readonly CertificateFacts[];
}

export interface LegacyFile {
  readonly resolvers: readonly LegacyResolver[];
  /** Entries that could not be read, each as a sentence. */
  readonly skipped: readonly string[];
}

/** Reads `acme.json` of Traefik 2 or 3. Undefined when there is no such file, or nothing in it. */
export async function readLegacyFile(path: string): Promise<LegacyFile | undefined> {
  let text: string;
  try {
    if (!(await stat(path)).isFile()) return undefined;
    text = await readFile(path, "utf8");
  } catch {
    return undefined;
  }
  if (text.trim() === "") return undefined;
  return parseLegacy(text);
}

export function parseLegacy(text: string): LegacyFile {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return { resolvers: [], skipped: ["the file is not JSON"] };
  }
  const skipped: string[] = [];
  const resolvers: LegacyResolver[] = [];
  for (const [name, entry] of Object.entries(isRecord(data) ? data : {})) {
    if (!isRecord(entry)) {
      skipped.push(`${name} is not a resolver`);
      continue;
    }
    const list = Array.isArray(entry["Certificates"]) ? entry["Certificates"] : [];
    const certificates = list.flatMap((one) => readEntry(name, one, skipped));
    resolvers.push({ name, account: readAccount(entry["Account"]), certificates });
  }
  return { resolvers, skipped };
}

function readEntry(resolver: string, entry: unknown, skipped: string[]): CertificateFacts[] {
  const { certificate, key, domain } = isRecord(entry) ? entry : {};
  const main = isRecord(domain) ? String(domain["main"]) : "a certificate";
  try {
    return [readCertificate(base64(certificate), base64(key))];
  } catch (error) {
    skipped.push(`${main} of ${resolver}: ${(error as Error).message}`);
    return [];
  }
}

const base64 = (value: unknown) => Buffer.from(typeof value === "string" ? value : "", "base64").toString();

function readAccount(data: unknown): LegacyResolver["account"] {
  if (!isRecord(data) || typeof data["PrivateKey"] !== "string" || !isRecord(data["Registration"]))
    return undefined;
  const url = data["Registration"]["uri"];
  if (typeof url !== "string" || !URL.canParse(url)) return undefined;
  try {
    const der = Buffer.from(data["PrivateKey"], "base64");
    return { key: accountKey(der), url, email: String(data["Email"] ?? "") };
  } catch {
    return undefined;
  }
}

// Traefik writes PKCS #1; other tools that write this file use PKCS #8 or SEC 1.
function accountKey(der: Buffer): string {
  for (const type of ["pkcs1", "pkcs8", "sec1"] as const) {
    try {
      return pkcs8(createPrivateKey({ key: der, format: "der", type }));
    } catch {
      // The next form.
    }
  }
  throw new Error("no known form of a private key");
}

/** `acme.json` as Traefik reads it: for those who go back. */
export function writeLegacy(
  certificates: readonly Kept[],
  accounts: ReadonlyMap<
    string,
    { readonly key: string; readonly url: string | undefined; readonly email: string }
  >,
): string {
  const resolvers = new Map<string, Kept[]>();
  for (const kept of certificates)
    resolvers.set(kept.resolver, [...(resolvers.get(kept.resolver) ?? []), kept]);
  const entries = [...resolvers].map(([name, list]) => {
    const account = accounts.get(list[0]!.ca);
    return [
      name,
      { Account: account ? legacyAccount(account) : null, Certificates: list.map(legacyEntry) },
    ] as const;
  });
  return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`;
}

function legacyEntry({ names, spec }: Kept): Record<string, unknown> {
  const [main, ...sans] = names;
  return {
    domain: sans.length > 0 ? { main, sans } : { main },
    certificate: Buffer.from(spec.chain).toString("base64"),
    key: Buffer.from(spec.key).toString("base64"),
    Store: "default",
  };
}

// Traefik reads RSA account keys only; with another kind it registers a new account, and keeps the certificates.
function legacyAccount({
  key,
  url,
  email,
}: {
  key: string;
  url: string | undefined;
  email: string;
}): unknown {
  const secret = createPrivateKey(key);
  if (secret.asymmetricKeyType !== "rsa" || url === undefined) return null;
  return {
    Email: email,
    Registration: { body: { status: "valid", contact: email === "" ? [] : [`mailto:${email}`] }, uri: url },
    PrivateKey: secret.export({ type: "pkcs1", format: "der" }).toString("base64"),
  };
}

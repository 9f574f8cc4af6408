import type { Declaration, Declared } from "../model/declared.ts";
import type { TlsCertificateOptions } from "../model/dynamic.ts";
import type { CertificateSpec } from "../model/snapshot.ts";
import type { Place } from "../schema/node.ts";
import { type Problem, quote, type Subject } from "../schema/problem.ts";
import { readCertificate } from "../tls/certificate.ts";

export interface ReadCertificates {
  readonly certificates: readonly CertificateSpec[];
  /** Of the store called `default`, if someone declares it. */
  readonly defaultCertificate: string | undefined;
  readonly problems: readonly Problem[];
}

// As in Traefik, which has room for other stores and never looks into them.
const unused = (stores: readonly string[]) =>
  ({
    code: "unused-certificate",
    severity: "warning",
    message: `is only in the store ${stores.map(quote).join(", ")} and is shown to nobody; connections use the store "default"`,
  }) as const;

type KeyPair = Pick<TlsCertificateOptions, "certFile" | "keyFile">;

/** Certificates from files and labels. One that cannot be read any more stays as it was until it can. */
export class CertificateFiles {
  readonly #readFile: (path: string) => string;
  readonly #nowMs: () => number;
  /** By the text of chain and key: reading them costs far more than comparing. */
  #read = new Map<string, ReturnType<typeof readCertificate>>();
  /** The last good one by where it was declared. */
  #good = new Map<string, CertificateSpec>();

  constructor(readFile: (path: string) => string, nowMs: () => number) {
    this.#readFile = readFile;
    this.#nowMs = nowMs;
  }

  read(declarations: readonly Declaration[]): ReadCertificates {
    const round: Round = { read: new Map(), good: new Map(), problems: [] };
    const certificates: CertificateSpec[] = [];
    let defaultCertificate: string | undefined;
    for (const { provider, tlsCertificates, tlsStores } of declarations) {
      tlsCertificates.forEach((declared, i) => {
        const subject: Subject = { kind: "certificate", name: `certificate-${i}@${provider}` };
        const { stores } = declared.value;
        if (stores.length > 0 && !stores.includes("default")) {
          round.problems.push({ ...unused(stores), place: declared.place, subject });
          return;
        }
        const certificate = this.#one(declared, declared.value, subject, round);
        if (certificate !== undefined) certificates.push(certificate);
      });
      const store = tlsStores.get("default");
      if (store?.value.defaultCertificate === undefined || defaultCertificate !== undefined) continue;
      const subject: Subject = { kind: "tls-store", name: `default@${provider}` };
      const certificate = this.#one(store, store.value.defaultCertificate, subject, round);
      if (certificate === undefined) continue;
      defaultCertificate = certificate.id;
      certificates.push(certificate);
    }
    this.#read = round.read;
    this.#good = round.good;
    return { certificates: uniqueById(certificates), defaultCertificate, problems: round.problems };
  }

  #one(
    { broken, place }: Pick<Declared<unknown>, "broken" | "place">,
    pair: KeyPair,
    subject: Subject,
    round: Round,
  ): CertificateSpec | undefined {
    const where = JSON.stringify([place, pair.certFile]);
    if (broken) return undefined;
    const certificate = this.#load(pair, place, subject, round) ?? this.#good.get(where);
    if (certificate !== undefined) round.good.set(where, certificate);
    return certificate;
  }

  #load(pair: KeyPair, place: Place, subject: Subject, round: Round): CertificateSpec | undefined {
    try {
      const chain = this.#text(pair.certFile);
      const key = this.#text(pair.keyFile);
      const known = `${chain}\n${key}`;
      const read =
        round.read.get(known) ?? this.#read.get(known) ?? readCertificate(chain, key, place, this.#nowMs());
      round.read.set(known, read);
      for (const problem of read.problems) round.problems.push({ ...problem, place, subject });
      return read.certificate;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `the certificate or its key cannot be read: ${reason}`;
      round.problems.push({ code: "unreadable-file", severity: "error", place, message, subject });
      return undefined;
    }
  }

  #text(value: string): string {
    return value.includes("-----BEGIN ") ? value : this.#readFile(value);
  }
}

interface Round {
  readonly read: Map<string, ReturnType<typeof readCertificate>>;
  readonly good: Map<string, CertificateSpec>;
  readonly problems: Problem[];
}

function uniqueById(certificates: readonly CertificateSpec[]): CertificateSpec[] {
  return [...new Map(certificates.map((certificate) => [certificate.id, certificate])).values()];
}

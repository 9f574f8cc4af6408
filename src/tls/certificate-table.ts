import { isIPv6, SocketAddress } from "node:net";
import type { CertificateSpec, TlsSpec } from "../model/snapshot.ts";

/** Certificates by the names they are for. Finding one costs two look-ups, however many there are. */
export class CertificateTable {
  readonly #byName = new Map<string, CertificateSpec[]>();
  readonly #challenges = new Map<string, CertificateSpec>();
  readonly default: CertificateSpec | undefined;

  constructor(spec: Pick<TlsSpec, "certificates" | "defaultCertificate">) {
    for (const certificate of spec.certificates) {
      for (const name of certificate.names) {
        if (certificate.challenge) this.#challenges.set(name, certificate);
        else this.#add(normalIp(name), certificate);
      }
    }
    this.default = spec.certificates.find(({ id }) => id === spec.defaultCertificate);
  }

  #add(name: string, certificate: CertificateSpec): void {
    const others = this.#byName.get(name);
    if (others === undefined) this.#byName.set(name, [certificate]);
    else others.push(certificate);
  }

  /** Exact before wildcard, but what is valid now before what is not. Undefined: nothing is for that name. */
  find(name: string, nowMs: number): CertificateSpec | undefined {
    const exact = best(this.#byName.get(normalIp(name)), nowMs);
    if (exact !== undefined && isValid(exact, nowMs)) return exact;
    const wildcard = best(this.#byName.get(wildcardOf(name)), nowMs);
    return wildcard !== undefined && (exact === undefined || isValid(wildcard, nowMs)) ? wildcard : exact;
  }

  challenge(name: string): CertificateSpec | undefined {
    return this.#challenges.get(name);
  }
}

/** Of certificates for the same name, the valid one that lasts longest. */
function best(
  candidates: readonly CertificateSpec[] | undefined,
  nowMs: number,
): CertificateSpec | undefined {
  let chosen: CertificateSpec | undefined;
  for (const candidate of candidates ?? []) {
    if (chosen === undefined || rank(candidate, nowMs) > rank(chosen, nowMs)) chosen = candidate;
  }
  return chosen;
}

function rank(certificate: CertificateSpec, nowMs: number): number {
  return isValid(certificate, nowMs) ? certificate.notAfterMs : -1 / certificate.notAfterMs;
}

function isValid({ notBeforeMs, notAfterMs }: CertificateSpec, nowMs: number): boolean {
  return notBeforeMs <= nowMs && nowMs < notAfterMs;
}

/** `*.example.com` for `app.example.com`: a wildcard stands for exactly one label. */
export function wildcardOf(name: string): string {
  const dot = name.indexOf(".");
  return dot === -1 ? "" : `*${name.slice(dot)}`;
}

/** IPv6 addresses are written in many ways; here in one. */
function normalIp(name: string): string {
  return isIPv6(name) ? new SocketAddress({ address: name, family: "ipv6" }).address : name;
}

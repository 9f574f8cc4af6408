import { isIP } from "node:net";
import acme from "acme-client";
import type { CertificateSpec } from "../model/snapshot.ts";
import type { Authorization } from "./ca.ts";
import { newKey, readCertificate } from "./certificate.ts";
import { reverseName } from "./names.ts";

/** What the data plane must answer for us now. */
export interface LiveChallenges {
  /** HTTP-01: token to key authorization. */
  readonly tokens: ReadonlyMap<string, string>;
  /** TLS-ALPN-01: shown to validators only. */
  readonly certificates: readonly CertificateSpec[];
}

/** Resolves when every thread answers them. */
export type Publish = (live: LiveChallenges) => Promise<void> | void;

/** Takes the proof away again. Never throws. */
export type CleanUp = () => Promise<void>;

/** One proof to be put in place. */
export interface Proof {
  readonly authorization: Authorization;
  readonly token: string;
  readonly keyAuthorization: string;
  readonly signal: AbortSignal;
}

/** Puts a proof in place, and resolves when the CA may look at it. */
export type Solver = (proof: Proof) => Promise<CleanUp>;

/**
 * The proofs that are answered by this proxy itself. A token stays until the CA has decided: validators come from
 * several places, several times, in any order.
 */
export class ChallengeBoard {
  readonly #publish: Publish;
  readonly #tokens = new Map<string, string>();
  readonly #certificates = new Map<string, CertificateSpec>();
  #published: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(publish: Publish) {
    this.#publish = publish;
  }

  readonly http: Solver = async ({ token, keyAuthorization }) => {
    await this.showToken(token, keyAuthorization);
    return () => this.hideToken(token);
  };

  readonly tlsAlpn: Solver = async ({ authorization, keyAuthorization, token }) => {
    this.#certificates.set(token, await alpnCertificate(authorization.name, keyAuthorization));
    await this.#tell();
    return async () => {
      this.#certificates.delete(token);
      await this.#tell();
    };
  };

  async showToken(token: string, keyAuthorization: string): Promise<void> {
    this.#tokens.set(token, keyAuthorization);
    await this.#tell();
  }

  async hideToken(token: string): Promise<void> {
    this.#tokens.delete(token);
    await this.#tell();
  }

  /** What changes while a change is being published goes out together, once that is done. */
  #tell(): Promise<void> {
    this.#next ??= this.#published.then(() => {
      this.#next = undefined;
      const certificates = [...this.#certificates.values()];
      const published = Promise.resolve(this.#publish({ tokens: new Map(this.#tokens), certificates }));
      this.#published = published.catch(() => {});
      return published;
    });
    return this.#next;
  }
}

/** RFC 8737: self-signed, the digest of the key authorization inside; an address is asked for by its reverse name. */
async function alpnCertificate(name: string, keyAuthorization: string): Promise<CertificateSpec> {
  const identifier = { type: isIP(name) === 0 ? "dns" : "ip", value: name };
  const key = await newKey("EC256");
  const authorization = { identifier } as unknown as acme.Authorization;
  const [, chain] = await acme.crypto.createAlpnCertificate(authorization, keyAuthorization, key);
  const { spec } = readCertificate(chain.toString(), key);
  const names = isIP(name) === 0 ? [name] : [name, reverseName(name)];
  return { ...spec, names, challenge: true };
}

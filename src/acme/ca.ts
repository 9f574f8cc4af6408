import type acme from "acme-client";
import type { Clock } from "./clock.ts";
import { AcmeProblem, isRecord, readProblem } from "./problem.ts";
import { readRetryAfter } from "./retry-after.ts";
import type { CaReply, ProtocolClient, Transport } from "./transport.ts";

/** An account with one CA. The key is the account: with it alone, everything else can be asked for again. */
export interface Account {
  /** PEM. */
  readonly key: string;
  /** Undefined until the CA has been asked. */
  readonly url: string | undefined;
  readonly email: string;
}

export type OrderStatus = "pending" | "ready" | "processing" | "valid" | "invalid";

export interface Order {
  readonly url: string;
  readonly status: OrderStatus;
  readonly authorizations: readonly string[];
  readonly finalize: string;
  readonly certificate: string | undefined;
  readonly problem: AcmeProblem | undefined;
  readonly retryAfterMs: number | undefined;
}

export interface Challenge {
  readonly type: string;
  readonly url: string;
  readonly token: string;
  readonly problem: AcmeProblem | undefined;
}

export interface Authorization {
  readonly url: string;
  /** Without `*.`. */
  readonly name: string;
  readonly status: string;
  readonly challenges: readonly Challenge[];
  readonly retryAfterMs: number | undefined;
}

export interface OrderRequest {
  readonly identifiers: readonly { readonly type: "dns" | "ip"; readonly value: string }[];
  readonly profile: string | undefined;
  /** Renewal information id of the certificate that this one replaces. */
  readonly replaces: string | undefined;
}

export interface RenewalWindow {
  readonly startMs: number;
  readonly endMs: number;
  /** When to ask again; undefined when the CA did not say. */
  readonly retryAfterMs: number | undefined;
}

type NewOrder = Parameters<ProtocolClient["createOrder"]>[0];

/** What one account can ask of one CA: typed, checked, and every failure an `AcmeProblem`. */
export class Ca {
  readonly #client: ProtocolClient;
  readonly #transport: Transport;
  readonly #clock: Clock;

  constructor(transport: Transport, client: ProtocolClient, clock: Clock) {
    this.#transport = transport;
    this.#client = client;
    this.#clock = clock;
  }

  /** Registers the account, or finds it by its key. Gives its address. */
  async register(email: string): Promise<string> {
    const contact = email === "" ? {} : { contact: [`mailto:${email}`] };
    const http = this.#client.http;
    const reply = await this.#ask(async () => {
      const data = { termsOfServiceAgreed: true, ...contact };
      return http.signedRequest(await http.getResourceUrl("newAccount"), data, {
        includeExternalAccountBinding: true,
      });
    });
    const url = reply.headers["location"];
    if (url === undefined) throw new AcmeProblem("badReply", "the CA did not say where our account is");
    // 200: it was there before, perhaps with another address.
    if (reply.status === 200 && email !== "")
      await this.#ask(() => http.signedRequest(url, contact, { kid: url }));
    return url;
  }

  async hasRenewalInfo(): Promise<boolean> {
    const directory = await this.#ask(() => this.#client.http.getDirectory());
    return typeof directory["renewalInfo"] === "string";
  }

  /** Names of the profiles that the CA offers. */
  async profiles(): Promise<readonly string[]> {
    const { meta } = await this.#ask(() => this.#client.http.getDirectory());
    const profiles = isRecord(meta) ? meta["profiles"] : undefined;
    return isRecord(profiles) ? Object.keys(profiles) : [];
  }

  async createOrder({ identifiers, profile, replaces }: OrderRequest): Promise<Order> {
    const request = { identifiers, ...(profile && { profile }), ...(replaces && { replaces }) };
    // acme-client's types are older than profiles and renewal information; it sends what it is given.
    const data = await this.#ask(() => this.#client.createOrder(request as unknown as NewOrder));
    return readOrder(data.url, data, undefined);
  }

  async order(url: string): Promise<Order> {
    const reply = await this.#post(url);
    return readOrder(url, reply.data, this.#retryAfter(reply));
  }

  async authorization(url: string): Promise<Authorization> {
    const reply = await this.#post(url);
    return readAuthorization(url, reply.data, this.#retryAfter(reply));
  }

  keyAuthorization(token: string): Promise<string> {
    const challenge = { type: "http-01", token } as Parameters<
      ProtocolClient["getChallengeKeyAuthorization"]
    >[0];
    return this.#client.getChallengeKeyAuthorization(challenge);
  }

  /** Tells the CA that the proof is in place. */
  async begin(challenge: Challenge): Promise<void> {
    await this.#post(challenge.url, {});
  }

  async finalize(order: Order, requestPem: string): Promise<Order> {
    const csr = requestPem.replace(/-----[^-]+-----|\s/g, "");
    const reply = await this.#post(order.finalize, { csr: Buffer.from(csr, "base64").toString("base64url") });
    return readOrder(order.url, reply.data, this.#retryAfter(reply));
  }

  /** The PEM chain; the alternate one whose issuer has that common name if the CA offers it. */
  async certificate(order: Order, preferredChain: string): Promise<string> {
    const subject = { url: order.url, status: "valid", certificate: order.certificate } as acme.Order;
    return this.#ask(() => this.#client.getCertificate(subject, preferredChain || undefined));
  }

  /** Undefined when the CA has no renewal information. */
  async renewalWindow(ariId: string): Promise<RenewalWindow | undefined> {
    const directory = await this.#ask(() => this.#client.http.getDirectory());
    const base = directory["renewalInfo"];
    if (typeof base !== "string") return undefined;
    const reply = await this.#transport.send(`${base.replace(/\/$/, "")}/${ariId}`, "GET", undefined);
    const window = isRecord(reply.data) ? reply.data["suggestedWindow"] : undefined;
    if (!isRecord(window)) throw new AcmeProblem("badReply", "the renewal information has no window");
    const startMs = Date.parse(String(window["start"]));
    const endMs = Date.parse(String(window["end"]));
    if (Number.isNaN(startMs) || Number.isNaN(endMs) || endMs <= startMs)
      throw new AcmeProblem("badReply", "the renewal window ends before it starts");
    return { startMs, endMs, retryAfterMs: this.#retryAfter(reply) };
  }

  #retryAfter(reply: CaReply): number | undefined {
    return readRetryAfter(reply.headers["retry-after"], this.#clock.nowMs());
  }

  #post(url: string, payload: unknown = null): Promise<CaReply> {
    return this.#ask(() => {
      const kid = this.#client.getAccountUrl();
      return this.#client.http.signedRequest(url, payload, { kid });
    });
  }

  /** acme-client throws plain errors of its own; those are about replies that it could not use. */
  async #ask<T>(call: () => Promise<T>): Promise<T> {
    try {
      const result = await call();
      refuseRefusedNonce(result);
      return result;
    } catch (error) {
      if (error instanceof AcmeProblem) throw error;
      throw new AcmeProblem("badReply", error instanceof Error ? error.message : String(error));
    }
  }
}

// After the last try with a new nonce acme-client hands the error document on as if it were the answer.
function refuseRefusedNonce(result: unknown): void {
  if (!isRecord(result) || result["status"] !== 400) return;
  throw readProblem(400, result["data"], undefined);
}

/** As many as a certificate of Let's Encrypt may have names. */
const AUTHORIZATIONS_MAX = 100;
const STATUSES: readonly string[] = ["pending", "ready", "processing", "valid", "invalid"];

function readOrder(url: string, data: unknown, retryAfterMs: number | undefined): Order {
  const order = isRecord(data) ? data : {};
  const { status, finalize, certificate, authorizations, error } = order;
  if (typeof status !== "string" || !STATUSES.includes(status) || typeof finalize !== "string")
    throw new AcmeProblem("badReply", "the CA's order cannot be understood");
  const urls = Array.isArray(authorizations) ? authorizations.map(String) : [];
  if (urls.length > AUTHORIZATIONS_MAX)
    throw new AcmeProblem("badReply", `the CA's order has ${urls.length} authorizations`);
  return {
    url,
    status: status as OrderStatus,
    finalize,
    certificate: typeof certificate === "string" ? certificate : undefined,
    authorizations: urls,
    problem: isRecord(error) ? readProblem(403, error, undefined) : undefined,
    retryAfterMs,
  };
}

function readAuthorization(url: string, data: unknown, retryAfterMs: number | undefined): Authorization {
  const authorization = isRecord(data) ? data : {};
  const identifier = isRecord(authorization["identifier"]) ? authorization["identifier"] : {};
  if (typeof authorization["status"] !== "string" || typeof identifier["value"] !== "string")
    throw new AcmeProblem("badReply", "the CA's authorization cannot be understood");
  const list = Array.isArray(authorization["challenges"]) ? authorization["challenges"].filter(isRecord) : [];
  return {
    url,
    name: identifier["value"].toLowerCase(),
    status: authorization["status"],
    challenges: list.map(readChallenge),
    retryAfterMs,
  };
}

// Tokens become paths and file names: RFC 8555 section 8.1 allows base64url only.
function readChallenge(data: Record<string, unknown>): Challenge {
  const token = String(data["token"] ?? "");
  return {
    type: String(data["type"] ?? ""),
    url: String(data["url"] ?? ""),
    token: /^[\w-]{1,256}$/.test(token) ? token : "",
    problem: isRecord(data["error"]) ? readProblem(403, data["error"], undefined) : undefined,
  };
}

import acme from "acme-client";
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from "undici";
import type { Clock } from "./clock.ts";
import { AcmeProblem, isRecord, readProblem } from "./problem.ts";
import { readRetryAfter } from "./retry-after.ts";

/** How one CA is reached. */
export interface TransportOptions {
  readonly directory: string;
  /** Milliseconds one request may take in all. */
  readonly timeoutMs: number;
  /** Milliseconds until the reply must begin. */
  readonly headerTimeoutMs: number;
  /** PEM of authorities trusted for the CA's own certificate; undefined for the system's. */
  readonly roots: string | undefined;
  /** Name that the CA's own certificate must have, when it is not the one in its address. */
  readonly serverName: string | undefined;
}

/** One reply, as acme-client expects it of its HTTP library. */
export interface CaReply {
  readonly status: number;
  readonly headers: Record<string, string | undefined>;
  /** Parsed JSON, or text for certificates. */
  readonly data: unknown;
}

/** The part of acme-client's HTTP client that this seam stands on: it signs, we send. */
interface SigningClient {
  maxBadNonceRetries: number;
  request(url: string, method: string, options?: { data?: unknown }): Promise<CaReply>;
  getNonce(): Promise<string>;
  getDirectory(): Promise<Record<string, unknown>>;
  getResourceUrl(resource: string): Promise<string>;
  signedRequest(
    url: string,
    payload: unknown,
    options?: { kid?: string; includeExternalAccountBinding?: boolean },
  ): Promise<CaReply>;
}

export type ProtocolClient = acme.Client & { readonly http: SigningClient };

const REPLY_BYTES_MAX = 1 << 20;
const NONCES_MAX = 16;
// A server that refuses 60 % of nonces lets one request through in 40 with probability 1 - 10^-9.
const BAD_NONCES_MAX = 40;

/**
 * acme-client signs and knows the protocol; every byte to the CA goes through here instead of its axios, which
 * has no time limit, sleeps any Retry-After and is shared by all clients of the process.
 */
export class Transport {
  readonly #options: TransportOptions;
  readonly #clock: Clock;
  readonly #dispatcher: Dispatcher;
  readonly #nonces: string[] = [];
  readonly #closing = new AbortController();
  /** Requests sent so far, for tests and metrics. */
  sent = 0;
  #heard: { readonly dateMs: number; readonly tickMs: number } | undefined;

  constructor(options: TransportOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    const connect = {
      timeout: options.headerTimeoutMs,
      ...(options.roots !== undefined && { ca: options.roots }),
      ...(options.serverName !== undefined && { servername: options.serverName }),
    };
    const behindProxy = process.env["HTTPS_PROXY"] ?? process.env["https_proxy"];
    this.#dispatcher = behindProxy
      ? new EnvHttpProxyAgent({ connect })
      : new Agent({ connect, allowH2: false });
  }

  /** acme-client's client for one account, sending by this transport. */
  client(
    accountKey: string,
    accountUrl: string | undefined,
    eab: acme.ClientExternalAccountBindingOptions | undefined,
  ) {
    const client = new acme.Client({
      directoryUrl: this.#options.directory,
      accountKey,
      ...(accountUrl !== undefined && { accountUrl }),
      ...(eab !== undefined && { externalAccountBinding: eab }),
    }) as unknown as ProtocolClient;
    client.http.maxBadNonceRetries = BAD_NONCES_MAX;
    client.http.request = (url, method, { data } = {}) => this.send(url, method, data);
    client.http.getNonce = async () => this.#nonces.pop() ?? this.#fetchNonce(client.http);
    return client;
  }

  /** How far the CA's clock is ahead of ours, as far as we know. */
  skewMs(): number {
    if (this.#heard === undefined) return 0;
    const { dateMs, tickMs } = this.#heard;
    return dateMs + (this.#clock.tickMs() - tickMs) - this.#clock.nowMs();
  }

  async #fetchNonce(http: SigningClient): Promise<string> {
    const reply = await this.send(await http.getResourceUrl("newNonce"), "HEAD", undefined);
    const nonce = this.#nonces.pop() ?? reply.headers["replay-nonce"];
    if (nonce === undefined) throw new AcmeProblem("badReply", "the CA gave no nonce");
    return nonce;
  }

  /** One request. Throws `AcmeProblem` for every failure but a refused nonce, which acme-client tries again. */
  async send(url: string, method: string, data: unknown): Promise<CaReply> {
    const reply = await this.#exchange(url, method.toUpperCase() as Dispatcher.HttpMethod, data);
    const date = Date.parse(reply.headers["date"] ?? "");
    if (!Number.isNaN(date)) this.#heard = { dateMs: date, tickMs: this.#clock.tickMs() };
    const nonce = reply.headers["replay-nonce"];
    const isRefusedNonce =
      reply.status === 400 &&
      isRecord(reply.data) &&
      reply.data["type"] === "urn:ietf:params:acme:error:badNonce";
    // acme-client takes the nonce of such a reply itself; kept here too, it would be used twice.
    if (isRefusedNonce) return reply;
    if (nonce !== undefined && this.#nonces.length < NONCES_MAX) this.#nonces.push(nonce);
    if (reply.status >= 400) {
      const retryAfterMs = readRetryAfter(reply.headers["retry-after"], this.#clock.nowMs());
      throw readProblem(reply.status, reply.data, retryAfterMs);
    }
    return reply;
  }

  async #exchange(url: string, method: Dispatcher.HttpMethod, data: unknown): Promise<CaReply> {
    this.sent += 1;
    const { timeoutMs, headerTimeoutMs } = this.#options;
    const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#closing.signal]);
    try {
      const reply = await request(url, {
        method,
        dispatcher: this.#dispatcher,
        headersTimeout: headerTimeoutMs,
        bodyTimeout: timeoutMs,
        signal,
        headers: { "content-type": "application/jose+json", "user-agent": "waybill" },
        ...(data !== undefined && { body: JSON.stringify(data) }),
      });
      const text = await readText(reply.body);
      const headers = flatten(reply.headers);
      return { status: reply.statusCode, headers, data: parse(text, headers, reply.statusCode, method) };
    } catch (error) {
      throw error instanceof AcmeProblem ? error : networkProblem(error, url);
    }
  }

  /** Aborts every request under way. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#dispatcher.destroy();
  }
}

async function readText(body: Dispatcher.ResponseData["body"]): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > REPLY_BYTES_MAX) throw new AcmeProblem("badReply", "the CA's reply is larger than 1 MiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function flatten(headers: Record<string, string | string[] | undefined>): CaReply["headers"] {
  const flat: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(headers))
    flat[name] = Array.isArray(value) ? value.join(", ") : value;
  return flat;
}

// A success must be what it says it is. An error may come from any machine on the way, in any form.
function parse(text: string, headers: CaReply["headers"], status: number, method: string): unknown {
  const type = headers["content-type"] ?? "";
  if (/^application\/pem-certificate-chain\b/i.test(type)) return text;
  if (text === "" && (method === "HEAD" || status >= 400)) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    if (status >= 400) return undefined;
    const kind = text === "" ? "an empty reply" : /^\s*</.test(text) ? "a web page" : "broken JSON";
    throw new AcmeProblem("badReply", `the CA answered ${status} with ${kind}`, { status });
  }
}

function networkProblem(error: unknown, url: string): AcmeProblem {
  const { host } = new URL(url);
  const {
    name = "",
    code = "",
    message = String(error),
  } = error as { name?: string; code?: string; message?: string };
  const isTimeout = name === "TimeoutError" || /^UND_ERR_(?:HEADERS|BODY|CONNECT)_TIMEOUT$/.test(code);
  if (isTimeout) return new AcmeProblem("timeout", `${host} did not answer in time`);
  if (name === "AbortError") return new AcmeProblem("aborted", "stopped");
  return new AcmeProblem("network", `${host} could not be reached: ${code || message}`);
}

import { readFileSync } from "node:fs";
import { request } from "undici";
import type { Clock } from "../clock.ts";
import { AcmeProblem, isRecord } from "../problem.ts";

/** The proof of one name, as a TXT record. */
export interface DnsRecord {
  /** Where the record goes, delegation followed, without a trailing dot. */
  readonly name: string;
  /** 43 characters of base64url. */
  readonly value: string;
  /** The name that is proved, without `*.`. */
  readonly domain: string;
  readonly token: string;
  readonly keyAuthorization: string;
}

export const TTL_S = 120;

/** Puts records into somebody's zone. Other values under the same name must stay: a wildcard and its domain share it. */
export interface DnsProvider {
  present(record: DnsRecord): Promise<void>;
  cleanUp(record: DnsRecord): Promise<void>;
}

export interface ProviderTools {
  readonly clock: Clock;
}

/** One file of this folder exports one of these; its name is lego's code, its variables are lego's. */
export interface ProviderKind {
  /** In `dnsChallenge.provider`: `cloudflare`. */
  readonly code: string;
  readonly summary: string;
  /** Milliseconds that its servers may take to show a record. */
  readonly propagationMs: number;
  /** Throws `Error` naming the variable that is missing or wrong. */
  readonly create: (variables: Variables, tools: ProviderTools) => DnsProvider;
}

/** What a provider is told by the person who set it up: first for this resolver, then in the environment. */
export class Variables {
  readonly #own: ReadonlyMap<string, string>;
  readonly #environment: Readonly<Record<string, string | undefined>>;

  constructor(own: ReadonlyMap<string, string>, environment: Readonly<Record<string, string | undefined>>) {
    this.#own = new Map([...own].map(([name, value]) => [name.toUpperCase(), value]));
    this.#environment = environment;
  }

  /** The first of these that is set, each also as `NAME_FILE`. */
  get(...names: readonly string[]): string | undefined {
    for (const name of names) {
      const value = this.#own.get(name) ?? this.#read(this.#own.get(`${name}_FILE`), name);
      if (value) return value;
    }
    for (const name of names) {
      const value = this.#environment[name] ?? this.#read(this.#environment[`${name}_FILE`], name);
      if (value) return value;
    }
    return undefined;
  }

  need(...names: readonly string[]): string {
    const value = this.get(...names);
    if (value === undefined)
      throw new Error(`the DNS provider needs ${names.join(" or ")} (or ${names[0]}_FILE)`);
    return value;
  }

  #read(file: string | undefined, name: string): string | undefined {
    if (!file) return undefined;
    try {
      return readFileSync(file, "utf8").trim();
    } catch {
      throw new Error(`${name}_FILE cannot be read: ${file}`);
    }
  }
}

export interface ApiCall {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON unless it is text. */
  readonly body?: unknown;
  /** Statuses other than 2xx that are an answer as well. */
  readonly also?: readonly number[];
}

export interface ApiReply {
  readonly status: number;
  readonly data: unknown;
  readonly text: string;
}

const PATIENCE_MS = 30_000;

/** One call to a provider's API. What it says about a failure is passed on, shortened. */
export async function callApi({ method, url, headers, body, also = [] }: ApiCall): Promise<ApiReply> {
  const { host } = new URL(url);
  let status: number;
  let text: string;
  try {
    const reply = await request(url, {
      method,
      signal: AbortSignal.timeout(PATIENCE_MS),
      headers: {
        accept: "application/json",
        ...(isJson(body) && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body: isJson(body) ? JSON.stringify(body) : String(body) }),
    });
    status = reply.statusCode;
    text = await reply.body.text();
  } catch (error) {
    throw new AcmeProblem(
      "dnsProvider",
      `the DNS provider at ${host} could not be reached: ${(error as Error).message}`,
    );
  }
  const isGood = (status >= 200 && status < 300) || also.includes(status);
  if (!isGood)
    throw new AcmeProblem(
      "dnsProvider",
      `the DNS provider at ${host} answered ${status}: ${text.slice(0, 300)}`,
    );
  return { status, data: parse(text), text };
}

const isJson = (body: unknown) => body !== undefined && typeof body !== "string";

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Fields and lists of a reply whose shape is not ours to trust. */
export const field = (data: unknown, name: string): unknown => (isRecord(data) ? data[name] : undefined);
export const listOf = (data: unknown): readonly unknown[] => (Array.isArray(data) ? data : []);

/** The zone that a name is in: the longest of its endings that the provider knows. */
export async function findZone<T>(
  name: string,
  ask: (candidate: string) => Promise<T | undefined>,
): Promise<{ readonly zone: string; readonly found: T; readonly relative: string }> {
  const labels = name.split(".");
  for (let skip = 0; skip < labels.length - 1; skip++) {
    const zone = labels.slice(skip).join(".");
    const found = await ask(zone);
    if (found !== undefined) return { zone, found, relative: labels.slice(0, skip).join(".") };
  }
  throw new AcmeProblem("dnsProvider", `the DNS provider has no zone for ${name} that we may change`);
}

import { cookieName } from "../lib/cookies.ts";
import { compileGoRegexp, type GoRegexp } from "../lib/go-regexp.ts";
import { type Exchange, type Reply, reply } from "../model/exchange.ts";
import { FAULTS, type Fault } from "../model/fault.ts";
import {
  getHeader,
  getHeaders,
  type Headers,
  isHeaderName,
  isHeaderValue,
  removeAliases,
  removeHeader,
  setHeader,
} from "../model/headers.ts";
import { FetchFailure, type FetchReply, type FetchRequest, type Host } from "../model/host.ts";
import { middleware, type Outcome } from "../model/middleware.ts";
import { group, list } from "../schema/composites.ts";
import { bool, duration, size, text } from "../schema/kinds.ts";
import type { Values } from "../schema/option.ts";

// Framing and connection handling are ours, whatever an authentication service says about them.
const NEVER_COPIED =
  /^(?:connection|proxy-connection|keep-alive|te|trailers?|transfer-encoding|upgrade|content-length|host|proxy-authenticate)$/i;
// The names that an entry point manages, and may be told by a trusted client.
const MANAGED =
  /^x-(?:forwarded-(?:proto|for|host|port|server|uri|method|prefix|tls-client-cert|tls-client-cert-info)|real-ip)$/i;

const options = {
  address: text({
    doc: "URL of the authentication service.",
    required: true,
    example: "https://auth.example.com/verify",
  }),
  tls: group({
    ca: text({ doc: "Certificate authority to trust, as a file or in PEM.", default: "" }),
    cert: text({ doc: "Client certificate, as a file or in PEM.", default: "" }),
    key: text({ doc: "Key of the client certificate, as a file or in PEM.", default: "", secret: true }),
    insecureSkipVerify: bool({ doc: "Accept any certificate.", default: "false" }),
    caOptional: bool({ doc: "", obsolete: "it never had an effect for a client" }),
  })({ doc: "TLS to the authentication service." }),
  trustForwardHeader: bool({
    doc: "true: X-Forwarded-* headers go to the service as the entry point let them in. false: all are made anew. Not set: -For, -Proto, -Host, -Method and -Uri are made anew.",
  }),
  authRequestHeaders: list(text)({
    doc: "Headers of the request that the service gets; all if none is named.",
  }),
  authResponseHeaders: list(text)({
    doc: "Headers that the service's reply sets on the request; a client's own are always removed.",
    example: "X-Auth-User,X-Secret",
  }),
  authResponseHeadersRegex: text({
    doc: "The same for all headers whose names fit a regular expression.",
    default: "",
    example: "^X-",
  }),
  addAuthCookiesToResponse: list(text)({
    doc: "Cookies that go from the service's reply to the client, with the application's reply.",
  }),
  headerField: text({ doc: "Header of the service's reply that names the user, for logs.", default: "" }),
  forwardBody: bool({ doc: "Send the request's body to the service too.", default: "false" }),
  maxBodySize: size({ doc: "Largest body that is sent to the service; -1 for any.", default: "1MiB" }),
  maxResponseBodySize: size({ doc: "Largest reply of the service; -1 for any.", default: "1MiB" }),
  preserveLocationHeader: bool({
    doc: "Give a relative Location of the service to the client as it is, not as one at the service's address.",
    default: "false",
  }),
  preserveRequestMethod: bool({ doc: "Ask with the request's method instead of GET.", default: "false" }),
  authSigninURL: text({ doc: "Where to redirect when the service says 401.", default: "" }),
  timeout: duration({ doc: "How long the service may take.", default: "5s", added: true }),
};

export default middleware({
  name: "forwardAuth",
  summary: "Asks another service whether the request may pass.",
  options,

  check(values, problem) {
    const url = URL.parse(values.address);
    if (url === null || !/^https?:$/.test(url.protocol)) problem("address", "must be an http or https URL");
    if (values.authResponseHeadersRegex !== "") {
      const compiled = compileGoRegexp(values.authResponseHeadersRegex);
      if ("problem" in compiled) problem("authResponseHeadersRegex", compiled.problem);
    }
    for (const option of ["authRequestHeaders", "authResponseHeaders"] as const) {
      const wrong = values[option].find((name) => !isHeaderName(name) || NEVER_COPIED.test(name));
      if (wrong !== undefined) problem(option, `names ${JSON.stringify(wrong)}, which cannot be copied`);
    }
    if (values.timeout <= 0) problem("timeout", "must be more than 0");
    const signin = values.authSigninURL;
    if (signin !== "" && URL.parse(signin, "http://any.invalid/") === null)
      problem("authSigninURL", "must be a URL");
  },

  create(values, host) {
    const ask = new Question(values, host);
    const copies = new Copies(values);
    const failures = host.counter(
      "forward_auth_failures_total",
      "Requests refused because the service gave no answer.",
    );
    const bodyBytesMax = values.maxBodySize < 0 ? Number.MAX_SAFE_INTEGER : values.maxBodySize;
    const cookies = new Set(values.addAuthCookiesToResponse);
    const cookiesKey = {};

    async function onRequest(exchange: Exchange): Promise<Outcome> {
      let body: Buffer | undefined;
      if (values.forwardBody && exchange.requestBody.length !== 0) {
        body = await host.gatherRequest(exchange, bodyBytesMax);
        if (body === undefined) return failed("body-too-large", "forwardAuth: body larger than maxBodySize");
      }
      let answer: FetchReply;
      try {
        answer = await host.fetch(ask.about(exchange, body), exchange);
      } catch (error) {
        failures.add(1);
        exchange.detail = `forwardAuth: ${error instanceof Error ? error.message : String(error)}`;
        const isLate = error instanceof FetchFailure && error.kind === "timeout";
        return failed(isLate ? "auth-timeout" : "auth-failed", "forwardAuth: no answer");
      }
      if (values.headerField !== "")
        exchange.username = getHeader(answer.headers, values.headerField.toLowerCase());
      if (answer.status < 200 || answer.status > 299) return refusal(answer, values);
      copies.put(answer.headers, exchange);
      if (cookies.size > 0) keepCookies(exchange, answer.headers);
      return undefined;
    }

    function keepCookies(exchange: Exchange, headers: readonly string[]): void {
      const kept = getHeaders(headers, "set-cookie").filter(
        (value) => cookies.has(cookieName(value)) && isHeaderValue(value),
      );
      if (kept.length === 0) return;
      exchange.notes ??= new Map();
      exchange.notes.set(cookiesKey, kept);
    }

    function onResponse(exchange: Exchange): undefined {
      const kept = exchange.notes?.get(cookiesKey) as string[] | undefined;
      if (kept === undefined) return;
      const theirs = getHeaders(exchange.replyHeaders, "set-cookie").filter(
        (value) => !cookies.has(cookieName(value)),
      );
      removeHeader(exchange.replyHeaders, "set-cookie");
      for (const value of [...theirs, ...kept]) exchange.replyHeaders.push("Set-Cookie", value);
    }

    const ownsHeader = (lower: string) => copies.couldBe(lower);
    return { onRequest, ownsHeader, ...(cookies.size > 0 && { onResponse }) };
  },
});

type Options = Values<typeof options>;

function failed(code: "auth-failed" | "auth-timeout" | "body-too-large", reason: string): Reply {
  const fault: Fault = FAULTS[code];
  return { ...reply(fault.status, reason), fault };
}

/** What the service answered, for the client. */
function refusal(answer: FetchReply, { address, authSigninURL, preserveLocationHeader }: Options): Reply {
  if (answer.status === 401 && authSigninURL !== "")
    return reply(302, "forwardAuth: to sign in", ["Location", authSigninURL]);
  const headers: Headers = [];
  for (let i = 0; i < answer.headers.length; i += 2) {
    const name = answer.headers[i]!;
    if (isCopyable(name, answer.headers[i + 1]!)) headers.push(name, answer.headers[i + 1]!);
  }
  const location = getHeader(headers, "location");
  if (location !== undefined && !preserveLocationHeader) {
    const url = URL.parse(location, address);
    if (url === null) return failed("auth-failed", "forwardAuth: the service's Location is no URL");
    setHeader(headers, "Location", url.href);
  }
  return reply(answer.status, "forwardAuth: refused", headers, answer.body);
}

function isCopyable(name: string, value: string): boolean {
  return isHeaderName(name) && isHeaderValue(value) && !NEVER_COPIED.test(name);
}

/** Makes the request to the service out of the client's. */
class Question {
  readonly #options: Options;
  readonly #wanted: Set<string> | undefined;
  readonly #tls: NonNullable<FetchRequest["tls"]> | undefined;

  constructor(options: Options, host: Host) {
    this.#options = options;
    const wanted = options.authRequestHeaders;
    this.#wanted = wanted.length === 0 ? undefined : new Set(wanted.map((name) => name.toLowerCase()));
    this.#tls = options.tls && tlsOf(options.tls, host);
  }

  about(exchange: Exchange, body: Buffer | undefined): FetchRequest {
    const { address, preserveRequestMethod, timeout, maxResponseBodySize } = this.#options;
    return {
      url: address,
      method: preserveRequestMethod ? exchange.method : "GET",
      headers: this.#headers(exchange),
      timeoutMs: timeout,
      replyBytesMax: maxResponseBodySize < 0 ? Number.MAX_SAFE_INTEGER : maxResponseBodySize,
      ...(body && { body }),
      ...(this.#tls && { tls: this.#tls }),
    };
  }

  #headers(exchange: Exchange): Headers {
    const trust = this.#options.trustForwardHeader;
    const headers: Headers = [];
    for (let i = 0; i < exchange.headers.length; i += 2) {
      const name = exchange.headers[i]!;
      if (NEVER_COPIED.test(name) || /^expect$/i.test(name)) continue;
      const isManaged = MANAGED.test(name);
      if (trust === false && isManaged) continue;
      if (this.#wanted && !this.#wanted.has(name.toLowerCase()) && !(trust && isManaged)) continue;
      headers.push(name, exchange.headers[i + 1]!);
    }
    this.#tellOrigin(headers, exchange, trust);
    return headers;
  }

  #tellOrigin(headers: Headers, exchange: Exchange, trust: boolean | undefined): void {
    const query = exchange.query === undefined ? "" : `?${exchange.query}`;
    const isTls = exchange.connection.tls !== undefined;
    const put = (name: string, value: string) => {
      if (!trust || getHeader(headers, name.toLowerCase()) === undefined) setHeader(headers, name, value);
    };
    put("X-Forwarded-Method", exchange.method);
    put("X-Forwarded-Proto", isTls ? "https" : "http");
    put("X-Forwarded-Host", exchange.authority);
    put("X-Forwarded-Uri", exchange.path + query);
    const hops = trust ? getHeaders(headers, "x-forwarded-for").filter((value) => value !== "") : [];
    setHeader(headers, "X-Forwarded-For", [...hops, exchange.connection.peerIp].join(", "));
    if (trust !== undefined) put("X-Forwarded-Port", portOf(exchange.authority) ?? (isTls ? "443" : "80"));
  }
}

function portOf(authority: string): string | undefined {
  return /:(\d+)$/.exec(authority)?.[1];
}

function tlsOf(tls: NonNullable<Options["tls"]>, host: Host): NonNullable<FetchRequest["tls"]> {
  const content = (value: string) => (value.startsWith("-----BEGIN") ? value : host.readFile(value));
  return {
    ...(tls.ca !== "" && { ca: content(tls.ca) }),
    ...(tls.cert !== "" && { cert: content(tls.cert) }),
    ...(tls.key !== "" && { key: content(tls.key) }),
    insecureSkipVerify: tls.insecureSkipVerify,
  };
}

/** Which headers of the service's reply the application sees. Nobody else may have sent them. */
class Copies {
  readonly #names: readonly string[];
  readonly #regexp: GoRegexp | undefined;

  constructor({ authResponseHeaders, authResponseHeadersRegex }: Options) {
    this.#names = authResponseHeaders.map((name) => name.toLowerCase());
    const compiled = authResponseHeadersRegex === "" ? undefined : compileGoRegexp(authResponseHeadersRegex);
    this.#regexp = compiled && "regexp" in compiled ? compiled.regexp : undefined;
  }

  put(answer: readonly string[], exchange: Exchange): void {
    for (const name of this.#names) removeAliases(exchange.headers, name);
    if (this.#regexp !== undefined) exchange.headers = withoutMatching(exchange.headers, this.#regexp);
    for (let i = 0; i < answer.length; i += 2) {
      const name = answer[i]!;
      if (this.has(name) && isCopyable(name, answer[i + 1]!)) exchange.headers.push(name, answer[i + 1]!);
    }
  }

  has(name: string): boolean {
    if (this.#names.includes(name.toLowerCase())) return true;
    return this.#regexp?.test(canonical(name)) === true && !MANAGED.test(name);
  }

  /** Whether an application could take the name for one that only the service may set. */
  couldBe(name: string): boolean {
    const plain = name.toLowerCase().replace(/[_.]/g, "-");
    return (
      this.#names.some((own) => own.replace(/[_.]/g, "-") === plain) ||
      this.#regexp?.test(canonical(plain)) === true
    );
  }
}

// Go compares header names in this spelling, so `^X-Auth` is written for it.
function canonical(name: string): string {
  return name.toLowerCase().replace(/(?:^|-)[a-z]/g, (letter) => letter.toUpperCase());
}

function withoutMatching(headers: Headers, regexp: GoRegexp): Headers {
  const kept: Headers = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    const isOurs = NEVER_COPIED.test(name) || MANAGED.test(name);
    const plain = canonical(name.replace(/[_.]/g, "-"));
    if (!isOurs && (regexp.test(canonical(name)) || regexp.test(plain))) continue;
    kept.push(name, headers[i + 1]!);
  }
  return kept;
}

import { randomBytes } from "node:crypto";
import { compileGoRegexp, type GoRegexp } from "../lib/go-regexp.ts";
import { type Exchange, reply } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import {
  getHeader,
  getHeaders,
  hasToken,
  headerText,
  isHeaderName,
  isHeaderValue,
  putHeader,
  removeHeader,
} from "../model/headers.ts";
import { type Hooks, middleware } from "../model/middleware.ts";
import { list, mapOf } from "../schema/composites.ts";
import { bool, int, text } from "../schema/kinds.ts";
import type { Values } from "../schema/option.ts";

const NO_EFFECT = "use a redirectScheme or redirectRegex middleware";

const options = {
  customRequestHeaders: mapOf(text)({ doc: "Headers to set on the request; an empty value removes." }),
  customResponseHeaders: mapOf(text)({ doc: "Headers to set on the reply; an empty value removes." }),

  accessControlAllowCredentials: bool({ doc: "Let scripts send cookies and credentials.", default: "false" }),
  accessControlAllowHeaders: list(text)({ doc: "Request headers that scripts may set." }),
  accessControlAllowMethods: list(text)({ doc: "Methods that scripts may use." }),
  accessControlAllowOriginList: list(text)({ doc: "Origins whose scripts may ask; * for all." }),
  accessControlAllowOriginListRegex: list(text)({ doc: "The same, as regular expressions in Go's syntax." }),
  accessControlExposeHeaders: list(text)({ doc: "Reply headers that scripts may read." }),
  accessControlMaxAge: int({ doc: "Seconds for which a browser may keep these answers." }),
  addVaryHeader: bool({ doc: "Tell caches that the reply depends on the origin.", default: "false" }),

  allowedHosts: list(text)({
    doc: "Hosts that may be asked for, with or without port; all if none is named.",
  }),
  hostsProxyHeaders: list(text)({ doc: "Headers that may hold the host that was asked for, before Host." }),
  sslProxyHeaders: mapOf(text)({
    doc: "Headers that say that the client speaks HTTPS to a proxy before us.",
  }),
  stsSeconds: int({ doc: "Seconds for which browsers keep to HTTPS; 0 sends nothing.", default: "0" }),
  stsIncludeSubdomains: bool({ doc: "That holds for subdomains too.", default: "false" }),
  stsPreload: bool({ doc: "Agree to be in browsers' own lists of HTTPS sites.", default: "false" }),
  forceSTSHeader: bool({ doc: "Say so over plain HTTP too.", default: "false" }),
  frameDeny: bool({ doc: "X-Frame-Options: DENY.", default: "false" }),
  customFrameOptionsValue: text({ doc: "Another value for X-Frame-Options.", default: "" }),
  contentTypeNosniff: bool({ doc: "X-Content-Type-Options: nosniff.", default: "false" }),
  browserXssFilter: bool({ doc: "X-XSS-Protection: 1; mode=block.", default: "false" }),
  customBrowserXSSValue: text({ doc: "Another value for X-XSS-Protection.", default: "" }),
  contentSecurityPolicy: text({ doc: "Content-Security-Policy; $NONCE becomes a new nonce.", default: "" }),
  contentSecurityPolicyReportOnly: text({ doc: "Content-Security-Policy-Report-Only.", default: "" }),
  publicKey: text({ doc: "Public-Key-Pins, over HTTPS only.", default: "" }),
  referrerPolicy: text({ doc: "Referrer-Policy.", default: "" }),
  permissionsPolicy: text({ doc: "Permissions-Policy.", default: "" }),
  isDevelopment: bool({ doc: "Leave out what needs a real host and certificate.", default: "false" }),

  sslRedirect: bool({ doc: "", obsolete: NO_EFFECT }),
  sslTemporaryRedirect: bool({ doc: "", obsolete: NO_EFFECT }),
  sslHost: text({ doc: "", obsolete: NO_EFFECT }),
  sslForceHost: bool({ doc: "", obsolete: NO_EFFECT }),
  featurePolicy: text({ doc: "", obsolete: "browsers read permissionsPolicy instead" }),
};

export default middleware({
  name: "headers",
  summary: "Sets and removes headers, answers CORS and adds the security headers of browsers.",
  options,

  check(values, problem) {
    if (isEmpty(values))
      problem("customRequestHeaders", "or any other option must be set: this one does nothing");
    for (const option of ["customRequestHeaders", "customResponseHeaders"] as const) {
      for (const [name, value] of values[option]) {
        const why = whyUnusable(name, value, option === "customRequestHeaders");
        if (why !== undefined) problem(option, `${JSON.stringify(name)} ${why}`);
      }
    }
    for (const pattern of values.accessControlAllowOriginListRegex) {
      const compiled = compileGoRegexp(pattern);
      if ("problem" in compiled) problem("accessControlAllowOriginListRegex", compiled.problem);
    }
    for (const option of TEXTS) {
      const value: unknown = values[option];
      const texts = Array.isArray(value) ? value : [value];
      if (!texts.every((part) => isHeaderValue(headerText(String(part)))))
        problem(option, "must not hold control characters");
    }
  },

  create(values): Hooks {
    const request = editsOf(values.customRequestHeaders, "host");
    const newHost =
      [...values.customRequestHeaders].find(([name]) => name.toLowerCase() === "host")?.[1] ?? "";
    const hidesPeer = [...values.customRequestHeaders].some(
      ([name, value]) => name.toLowerCase() === "x-forwarded-for" && value === "",
    );
    const isAllowedHost = hostCheck(values);
    const reply = editsOf(values.customResponseHeaders);
    const security = new Security(values);
    const cors = hasCors(values) ? new Cors(values) : undefined;
    const touchesRequest = request.length > 0 || newHost !== "" || isAllowedHost !== undefined;

    const onRequest: Hooks["onRequest"] = (exchange) => {
      apply(request, exchange.headers);
      if (newHost !== "") setHost(exchange, newHost);
      if (hidesPeer) exchange.hidesPeer = true;
      return isAllowedHost === undefined || isAllowedHost(exchange) ? undefined : BAD_HOST;
    };
    const onResponse: Hooks["onResponse"] = (exchange) => {
      security.mark(exchange);
      apply(reply, exchange.replyHeaders);
      return undefined;
    };
    const owned = new Set([...values.customRequestHeaders.keys()].map((name) => name.toLowerCase()));
    return {
      ...(touchesRequest && { onRequest, ownsHeader: (lower) => owned.has(lower) }),
      ...((reply.length > 0 || security.length > 0) && { onResponse }),
      ...(cors && {
        outer: {
          onRequest: (exchange) => cors.preflight(exchange),
          onResponse: (exchange) => cors.mark(exchange),
        },
      }),
    };
  },
});

type Options = Values<typeof options>;

const TEXTS = [
  "accessControlAllowHeaders",
  "accessControlAllowMethods",
  "accessControlExposeHeaders",
  "customFrameOptionsValue",
  "customBrowserXSSValue",
  "contentSecurityPolicy",
  "contentSecurityPolicyReportOnly",
  "publicKey",
  "referrerPolicy",
  "permissionsPolicy",
] as const;

const BAD_HOST = {
  ...reply(400, "headers: host not allowed", ["Content-Type", "text/plain"], "Bad Host\n"),
  fault: FAULTS["bad-host"],
};

// Where a message ends and what the connection does is decided by who writes it.
const OURS =
  /^(?:connection|proxy-connection|keep-alive|te|trailer|transfer-encoding|upgrade|content-length)$/i;

function whyUnusable(name: string, value: string, isRequest: boolean): string | undefined {
  if (!isHeaderName(name)) return "is no header name";
  if (OURS.test(name)) return "is set by the proxy itself and cannot be changed";
  if (!isHeaderValue(headerText(value))) return "must not hold control characters";
  if (isRequest && /^host$/i.test(name) && !/^[A-Za-z0-9\-._:[\]]*$/.test(value))
    return "must be a host name";
  return undefined;
}

function isEmpty(values: Options): boolean {
  const hasHeaders = values.customRequestHeaders.size + values.customResponseHeaders.size > 0;
  return (
    !hasHeaders && !hasCors(values) && values.allowedHosts.length === 0 && new Security(values).length === 0
  );
}

/** Flat: name, the same in lower case, value. An empty value removes. */
type Edits = readonly string[];

function editsOf(headers: ReadonlyMap<string, string>, except = ""): Edits {
  return [...headers]
    .filter(([name]) => name.toLowerCase() !== except)
    .flatMap(([name, value]) => [name, name.toLowerCase(), headerText(value)]);
}

function apply(edits: Edits, headers: string[]): void {
  for (let i = 0; i < edits.length; i += 3) {
    if (edits[i + 2] === "") removeHeader(headers, edits[i + 1]!);
    else putHeader(headers, edits[i]!, edits[i + 1]!, edits[i + 2]!);
  }
}

function setHost(exchange: Exchange, authority: string): void {
  exchange.authority = authority;
  exchange.host = hostOf(authority);
}

function hostOf(authority: string): string {
  return authority
    .toLowerCase()
    .replace(/:\d*$/, "")
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "");
}

function hostCheck(values: Options): ((exchange: Exchange) => boolean) | undefined {
  if (values.allowedHosts.length === 0 || values.isDevelopment) return undefined;
  const allowed = new Set(values.allowedHosts.map((host) => host.toLowerCase()));
  const proxyHeaders = values.hostsProxyHeaders.map((name) => name.toLowerCase());
  return (exchange) => {
    let authority = exchange.authority;
    for (const name of proxyHeaders) {
      const told = getHeader(exchange.headers, name);
      if (told === undefined) continue;
      authority = told;
      break;
    }
    return allowed.has(authority.toLowerCase()) || allowed.has(hostOf(authority));
  };
}

/** The headers that tell browsers what a page may do. They replace the application's own. */
class Security {
  readonly #always: Edits;
  /** Only for clients that speak HTTPS, to us or to a proxy before us. */
  readonly #overTls: Edits;
  readonly #policies: Edits;
  readonly #tlsHeaders: Edits;

  constructor(values: Options) {
    const always = new Map<string, string>();
    const overTls = new Map<string, string>();
    const policies = new Map<string, string>();
    const put = (name: string, value: string, into = always) => value !== "" && into.set(name, value);
    if (values.stsSeconds !== 0 && !values.isDevelopment)
      put("Strict-Transport-Security", stsOf(values), values.forceSTSHeader ? always : overTls);
    put("X-Frame-Options", values.customFrameOptionsValue || (values.frameDeny ? "DENY" : ""));
    put("X-Content-Type-Options", values.contentTypeNosniff ? "nosniff" : "");
    put("X-XSS-Protection", values.customBrowserXSSValue || (values.browserXssFilter ? "1; mode=block" : ""));
    put("Public-Key-Pins", values.isDevelopment ? "" : values.publicKey, overTls);
    put("Referrer-Policy", values.referrerPolicy);
    put("Permissions-Policy", values.permissionsPolicy);
    put("Content-Security-Policy", values.contentSecurityPolicy, policies);
    put("Content-Security-Policy-Report-Only", values.contentSecurityPolicyReportOnly, policies);
    const hasNonce = [...policies.values()].some((policy) => policy.includes("$NONCE"));
    this.#always = [...editsOf(always), ...(hasNonce ? [] : editsOf(policies))];
    this.#policies = hasNonce ? editsOf(policies) : [];
    this.#overTls = editsOf(overTls);
    this.#tlsHeaders = editsOf(values.sslProxyHeaders);
  }

  get length(): number {
    return this.#always.length + this.#overTls.length + this.#policies.length;
  }

  mark(exchange: Exchange): void {
    apply(this.#always, exchange.replyHeaders);
    if (this.#overTls.length > 0 && this.#isOverTls(exchange)) apply(this.#overTls, exchange.replyHeaders);
    if (this.#policies.length === 0) return;
    const nonce = `'nonce-${randomBytes(16).toString("base64")}'`;
    for (let i = 0; i < this.#policies.length; i += 3) {
      const value = this.#policies[i + 2]!.replaceAll("$NONCE", nonce);
      putHeader(exchange.replyHeaders, this.#policies[i]!, this.#policies[i + 1]!, value);
    }
  }

  #isOverTls(exchange: Exchange): boolean {
    if (exchange.connection.tls !== undefined) return true;
    for (let i = 0; i < this.#tlsHeaders.length; i += 3) {
      if (getHeader(exchange.headers, this.#tlsHeaders[i + 1]!) === this.#tlsHeaders[i + 2]) return true;
    }
    return false;
  }
}

function stsOf({ stsSeconds, stsIncludeSubdomains, stsPreload }: Options): string {
  return `max-age=${stsSeconds}${stsIncludeSubdomains ? "; includeSubDomains" : ""}${stsPreload ? "; preload" : ""}`;
}

function hasCors(values: Options): boolean {
  return (
    values.accessControlAllowCredentials ||
    values.addVaryHeader ||
    (values.accessControlMaxAge ?? 0) !== 0 ||
    values.accessControlAllowHeaders.length > 0 ||
    values.accessControlAllowMethods.length > 0 ||
    values.accessControlAllowOriginList.length > 0 ||
    values.accessControlAllowOriginListRegex.length > 0 ||
    values.accessControlExposeHeaders.length > 0
  );
}

/** Answers preflights and marks replies. It works outermost: a browser shows a script no 401 without these headers. */
class Cors {
  readonly #values: Options;
  readonly #origins: ReadonlySet<string>;
  readonly #patterns: GoRegexp[] = [];
  readonly #isWildcard: boolean;
  readonly #echoes: boolean;
  readonly #exposed: string;

  constructor(values: Options) {
    this.#values = values;
    this.#origins = new Set(values.accessControlAllowOriginList);
    for (const pattern of values.accessControlAllowOriginListRegex) {
      const compiled = compileGoRegexp(pattern);
      if ("regexp" in compiled) this.#patterns.push(compiled.regexp);
    }
    this.#isWildcard = this.#origins.has("*");
    // Browsers do not take * together with credentials, so the request's own words are given back.
    this.#echoes = this.#isWildcard && values.accessControlAllowCredentials;
    this.#exposed = this.#echoes ? "" : headerText(values.accessControlExposeHeaders.join(","));
  }

  preflight(exchange: Exchange) {
    if (exchange.method !== "OPTIONS") return undefined;
    const origin = getHeader(exchange.headers, "origin") ?? "";
    const method = getHeader(exchange.headers, "access-control-request-method") ?? "";
    if (origin === "" || method === "") return undefined;
    const { accessControlAllowHeaders, accessControlAllowMethods, accessControlMaxAge } = this.#values;
    const asked = getHeader(exchange.headers, "access-control-request-headers") ?? "";
    const headers: string[] = [];
    const put = (name: string, value: string) => value !== "" && headers.push(name, value);
    put(
      "Access-Control-Allow-Headers",
      this.#echoes ? asked : headerText(accessControlAllowHeaders.join(",")),
    );
    put(
      "Access-Control-Allow-Methods",
      this.#echoes ? method : headerText(accessControlAllowMethods.join(",")),
    );
    if (accessControlMaxAge !== undefined) put("Access-Control-Max-Age", String(accessControlMaxAge));
    this.#markOrigin(headers, origin);
    return reply(200, "headers: CORS preflight", headers, Buffer.alloc(0));
  }

  mark(exchange: Exchange): undefined {
    const headers = exchange.replyHeaders;
    this.#markOrigin(headers, getHeader(exchange.headers, "origin") ?? "");
    if (this.#exposed !== "")
      putHeader(headers, "Access-Control-Expose-Headers", "access-control-expose-headers", this.#exposed);
    if (!this.#values.addVaryHeader) return;
    const vary = getHeaders(headers, "vary").join(",");
    if (hasToken(vary, "origin") || hasToken(vary, "*")) return;
    putHeader(headers, "Vary", "vary", vary === "" ? "Origin" : `${vary},Origin`);
  }

  #markOrigin(headers: string[], origin: string): void {
    const allowed = this.#allowedOrigin(origin);
    if (allowed !== "")
      putHeader(headers, "Access-Control-Allow-Origin", "access-control-allow-origin", allowed);
    if (this.#values.accessControlAllowCredentials)
      putHeader(headers, "Access-Control-Allow-Credentials", "access-control-allow-credentials", "true");
  }

  #allowedOrigin(origin: string): string {
    if (this.#isWildcard) return this.#echoes && origin !== "" ? origin : "*";
    if (origin === "") return "";
    if (this.#origins.has(origin)) return origin;
    for (const pattern of this.#patterns) if (pattern.test(origin)) return origin;
    return "";
  }
}

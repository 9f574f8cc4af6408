import { canonicalHost } from "./authority.ts";
import type { RequestFault } from "./limits.ts";

/** What an entry point does to paths. */
export interface TargetPolicy {
  readonly sanitizePath: boolean;
  readonly encodeQuerySemicolons: boolean;
  /** Upper-case hexadecimal of escapes that are refused: `2F`, `5C`, `00`. */
  readonly refusedEscapes: ReadonlySet<string>;
}

/** Where a request goes, in the only form the rest of the program knows. */
export class Target {
  path: string;
  query: string | undefined;
  /** As it arrived, with port. */
  authority: string;
  host: string;
  /** `OPTIONS *`. */
  asterisk: boolean;
  fault: RequestFault | undefined;
  detail: string;

  constructor() {
    this.path = "/";
    this.query = undefined;
    this.authority = "";
    this.host = "";
    this.asterisk = false;
    this.fault = undefined;
    this.detail = "";
  }

  fail(fault: RequestFault, detail: string): Target {
    this.fault = fault;
    this.detail = detail;
    return this;
  }
}

// Absolute, normal already, and nothing in it that could mean two things. Linear: each segment starts with a slash,
// and no segment starts with a dot, so dot segments are left to the slow way.
const SIMPLE_PATH = /^(?:\/[A-Za-z0-9\-_~!$&'()*+,;=:@][A-Za-z0-9\-._~!$&'()*+,;=:@]*)*\/?$/;
const PATH_BYTES = /^[!$%&'()*+,\-./0-9:;=@A-Z[\]^_`a-z{|}~\x80-\xff]*$/;
const QUERY_BYTES = /^[!$-;=?-[\]^_`a-z{|}~\x80-\xff]*$/;
const ABSOLUTE = /^(https?):\/\/([^/?]*)(.*)$/i;

/** Reads the target of a request line together with its Host header. */
export function parseTarget(
  method: string,
  raw: string,
  host: string | undefined,
  policy: TargetPolicy,
): Target {
  const target = new Target();
  target.authority = host ?? "";
  if (raw.charCodeAt(0) !== 0x2f) return parseOtherForm(method, raw, host, policy, target);
  if (method === "TRACE") return target.fail("method-refused", "TRACE");
  if (method === "CONNECT") return target.fail("bad-target", "CONNECT with a path");
  return parseOrigin(raw, policy, setHost(target));
}

function setHost(target: Target): Target {
  if (target.authority === "") return target;
  const host = canonicalHost(target.authority);
  if (host === undefined) return target.fail("bad-host", "Host");
  target.host = host;
  return target;
}

function parseOtherForm(
  method: string,
  raw: string,
  host: string | undefined,
  policy: TargetPolicy,
  target: Target,
): Target {
  if (method === "CONNECT") {
    const port = /^(.+):(\d{1,5})$/.exec(raw);
    const named = port !== null && Number(port[2]) > 0 && canonicalHost(raw) !== undefined;
    return named ? target.fail("connect-refused", "CONNECT") : target.fail("bad-target", "CONNECT");
  }
  if (raw === "*") {
    if (method !== "OPTIONS") return target.fail("bad-target", "* with another method than OPTIONS");
    target.asterisk = true;
    return setHost(target);
  }
  const parts = ABSOLUTE.exec(raw);
  if (parts === null) return target.fail("bad-target", "form of the target");
  const [, , authority, rest] = parts as unknown as [string, string, string, string];
  if (authority === "") return target.fail("bad-target", "target without a host");
  if (host !== undefined && canonicalHost(host) === undefined) return target.fail("bad-host", "Host");
  if (host !== undefined && host.toLowerCase() !== authority.toLowerCase()) {
    return target.fail("bad-host", "Host differs from the target");
  }
  if (method === "TRACE") return target.fail("method-refused", "TRACE");
  target.authority = authority;
  return parseOrigin(rest.startsWith("/") ? rest : `/${rest}`, policy, setHost(target));
}

function parseOrigin(raw: string, policy: TargetPolicy, target: Target): Target {
  if (target.fault !== undefined) return target;
  const mark = raw.indexOf("?");
  const rawPath = mark < 0 ? raw : raw.slice(0, mark);
  if (mark >= 0) {
    const query = raw.slice(mark + 1);
    if (!QUERY_BYTES.test(query)) return target.fail("bad-target", "query");
    target.query = policy.encodeQuerySemicolons ? query.replaceAll(";", "%3B") : query;
  }
  if (SIMPLE_PATH.test(rawPath)) {
    target.path = rawPath;
    return target;
  }
  if (!PATH_BYTES.test(rawPath)) return target.fail("bad-target", "path");
  return normalisePath(rawPath, policy, target);
}

function normalisePath(raw: string, policy: TargetPolicy, target: Target): Target {
  if (/%(?![0-9A-Fa-f]{2})/.test(raw)) return target.fail("bad-target", "percent escape");
  const path = normaliseEscapes(raw);
  if (path.includes("%")) {
    for (const [, code] of path.matchAll(/%(..)/g)) {
      if (policy.refusedEscapes.has(code!)) return target.fail("encoded-character", `%${code}`);
    }
  }
  target.path = policy.sanitizePath ? resolveSegments(path) : path;
  return target;
}

/**
 * Decodes unreserved characters, writes other escapes in upper case, and escapes what may not stand in a path: RFC
 * 3986 §6.2.2, and what browsers send raw all the same.
 */
function normaliseEscapes(raw: string): string {
  return raw.replace(/%(..)|[[\]^`{|}\x80-\xff]/g, (found, hex: string | undefined) => {
    if (hex === undefined) return `%${hexOf(found.charCodeAt(0))}`;
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return /^[A-Za-z0-9\-._~]$/.test(character) ? character : `%${hex.toUpperCase()}`;
  });
}

const hexOf = (code: number) => code.toString(16).toUpperCase().padStart(2, "0");

/** Takes `.`, `..` and empty segments out, as Go's JoinPath does. Nothing climbs above the root. */
export function resolveSegments(path: string): string {
  const kept: string[] = [];
  const segments = path.split("/");
  for (const segment of segments) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") kept.pop();
    else kept.push(segment);
  }
  const last = segments[segments.length - 1]!;
  const open = last === "" || last === "." || last === "..";
  const text = `/${kept.join("/")}`;
  return open && kept.length > 0 ? `${text}/` : text;
}

/** The escapes an entry point's options refuse. */
export function refusedEscapes(allowed: {
  readonly allowEncodedSlash: boolean;
  readonly allowEncodedBackSlash: boolean;
  readonly allowEncodedNullCharacter: boolean;
  readonly allowEncodedSemicolon: boolean;
  readonly allowEncodedPercent: boolean;
  readonly allowEncodedQuestionMark: boolean;
  readonly allowEncodedHash: boolean;
}): ReadonlySet<string> {
  const refused = new Set<string>();
  if (!allowed.allowEncodedSlash) refused.add("2F");
  if (!allowed.allowEncodedBackSlash) refused.add("5C");
  if (!allowed.allowEncodedNullCharacter) refused.add("00");
  if (!allowed.allowEncodedSemicolon) refused.add("3B");
  if (!allowed.allowEncodedPercent) refused.add("25");
  if (!allowed.allowEncodedQuestionMark) refused.add("3F");
  if (!allowed.allowEncodedHash) refused.add("23");
  return refused;
}

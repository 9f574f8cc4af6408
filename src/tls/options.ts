import { constants } from "node:crypto";
import type { SecureContextOptions, TlsOptions } from "node:tls";
import { nearest } from "../lib/nearest.ts";
import type { TlsOptionsOptions } from "../model/dynamic.ts";
import type { Place } from "../schema/node.ts";
import type { Problem } from "../schema/problem.ts";

/** Traefik's (that is Go's) words for versions, ciphers and groups, and what OpenSSL calls them. */

const VERSIONS = new Map([
  ["VersionTLS10", 10],
  ["VersionTLS11", 11],
  ["VersionTLS12", 12],
  ["VersionTLS13", 13],
]);

const CIPHERS_13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

const CIPHERS_12 = new Map([
  ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"],
  ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
  ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"],
  ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"],
  ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"],
  ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"],
]);

// Only for those who ask for them by name: old clients without AEAD or forward secrecy.
const CIPHERS_OLD = new Map([
  ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"],
  ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"],
  ["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256"],
  ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES128-SHA256"],
  ["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"],
  ["TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"],
  ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"],
  ["TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"],
  ["TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256"],
  ["TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384"],
  ["TLS_RSA_WITH_AES_128_CBC_SHA256", "AES128-SHA256"],
  ["TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"],
  ["TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA"],
]);

const GROUPS = new Map([
  ["curvep256", "P-256"],
  ["secp256r1", "P-256"],
  ["curvep384", "P-384"],
  ["secp384r1", "P-384"],
  ["curvep521", "P-521"],
  ["secp521r1", "P-521"],
  ["x25519", "X25519"],
  ["x25519mlkem768", "X25519MLKEM768"],
  ["secp256r1mlkem768", "SecP256r1MLKEM768"],
  ["secp384r1mlkem1024", "SecP384r1MLKEM1024"],
]);

// Our order, but for clients that put ChaCha20 first: they have no AES in hardware and know why.
const SECURE =
  constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION | constants.SSL_OP_PRIORITIZE_CHACHA;

const GROUPS_DEFAULT = "X25519MLKEM768:X25519:P-256:P-384";
const PROTOCOLS = ["h2", "http/1.1"];
const ACME_PROTOCOL = "acme-tls/1";
const VERIFYING = ["VerifyClientCertIfGiven", "RequireAndVerifyClientCert"];

/** What is shared by the serving side and by connections to servers. */
type VersionsAndCiphers = Pick<TlsOptionsOptions, "minVersion" | "maxVersion" | "cipherSuites">;

/** How client certificates are asked for; authorities alone mean that they must be shown and verified. */
export function clientAuthOf({ clientAuth }: TlsOptionsOptions) {
  const type = clientAuth?.clientAuthType ?? "";
  if (type !== "") return type;
  return (clientAuth?.caFiles.length ?? 0) > 0 ? "RequireAndVerifyClientCert" : "NoClientCert";
}

/** Protocols offered to clients, preferred first. */
export function protocolsOf({ alpnProtocols }: TlsOptionsOptions): string[] {
  const known = alpnProtocols.filter((protocol) => PROTOCOLS.includes(protocol));
  return alpnProtocols.length === 0 ? PROTOCOLS : known;
}

/** Options of a Node TLS server, without certificate, tickets and protocols. Authorities must be PEM by now. */
export function serverOptions(options: TlsOptionsOptions): TlsOptions {
  const auth = clientAuthOf(options);
  const noTickets = options.disableSessionTickets ? constants.SSL_OP_NO_TICKET : 0;
  return {
    ...versionsAndCiphers(options),
    ecdhCurve: groupsOf(options.curvePreferences),
    honorCipherOrder: true,
    secureOptions: SECURE | noTickets,
    requestCert: auth !== "NoClientCert",
    rejectUnauthorized: auth === "RequireAndVerifyClientCert",
    ...(VERIFYING.includes(auth) ? { ca: [...(options.clientAuth?.caFiles ?? [])] } : {}),
  };
}

/** Versions and ciphers for `node:tls`, for the serving side and for connections to servers alike. */
export function versionsAndCiphers(options: VersionsAndCiphers): SecureContextOptions {
  const chosen = options.cipherSuites.flatMap((name) => CIPHERS_12.get(name) ?? CIPHERS_OLD.get(name) ?? []);
  return {
    minVersion: options.minVersion === "VersionTLS13" ? "TLSv1.3" : "TLSv1.2",
    maxVersion: options.maxVersion === "VersionTLS12" ? "TLSv1.2" : "TLSv1.3",
    ciphers: [...CIPHERS_13, ...(chosen.length > 0 ? chosen : CIPHERS_12.values())].join(":"),
  };
}

function groupsOf(names: readonly string[]): string {
  const groups = names.flatMap((name) => GROUPS.get(name.toLowerCase()) ?? []);
  return groups.length === 0 ? GROUPS_DEFAULT : groups.join(":");
}

/** Everything in the options that cannot be done, or not quite as it is written. */
export function checkTlsOptions(options: TlsOptionsOptions, place: Place): Problem[] {
  const problems = checkVersionsAndCiphers(options, place);
  const at = (key: string) => ({ ...place, key: `${place.key}.${key}` });
  for (const name of options.curvePreferences) {
    if (!GROUPS.has(name.toLowerCase())) {
      problems.push(unknown(at("curvePreferences"), "key-exchange group", name, GROUPS.keys()));
    }
  }
  for (const name of options.alpnProtocols) {
    if (!PROTOCOLS.includes(name) && name !== ACME_PROTOCOL)
      problems.push(unknown(at("alpnProtocols"), "protocol", name, PROTOCOLS));
  }
  if (options.alpnProtocols.length > 0 && protocolsOf(options).length === 0) {
    problems.push(bad(at("alpnProtocols"), "expected h2, http/1.1 or both, found neither"));
  }
  const auth = clientAuthOf(options);
  if (VERIFYING.includes(auth) && (options.clientAuth?.caFiles.length ?? 0) === 0) {
    problems.push(bad(at("clientAuth.caFiles"), `${auth} needs authorities to verify with`));
  }
  return problems;
}

export function checkVersionsAndCiphers(options: VersionsAndCiphers, place: Place): Problem[] {
  const problems: Problem[] = [];
  const at = (key: string) => ({ ...place, key: `${place.key}.${key}` });
  for (const key of ["minVersion", "maxVersion"] as const) {
    if (options[key] !== "" && !VERSIONS.has(options[key]))
      problems.push(unknown(at(key), "TLS version", options[key], VERSIONS.keys()));
  }
  const [lowest, highest] = [VERSIONS.get(options.minVersion) ?? 12, VERSIONS.get(options.maxVersion) ?? 13];
  if (highest < 12) problems.push(bad(at("maxVersion"), "versions older than TLS 1.2 are not spoken"));
  else if (highest < lowest) problems.push(bad(at("maxVersion"), "is below the lowest version"));
  else if (lowest < 12) {
    const message = "versions older than TLS 1.2 are not spoken; the lowest is TLS 1.2";
    problems.push({ ...bad(at("minVersion"), message), severity: "warning" });
  }
  const known = [...CIPHERS_13, ...CIPHERS_12.keys(), ...CIPHERS_OLD.keys()];
  for (const name of options.cipherSuites) {
    if (!known.includes(name)) problems.push(unknown(at("cipherSuites"), "cipher suite", name, known));
  }
  return problems;
}

function bad(place: Place, message: string): Problem {
  return { code: "bad-value", severity: "error", place, message };
}

function unknown(place: Place, what: string, name: string, known: Iterable<string>): Problem {
  const suggestion = nearest(name, [...known]);
  const problem = bad(place, `expected a ${what} that is known here, found ${JSON.stringify(name)}`);
  return suggestion === undefined ? problem : { ...problem, suggestion };
}

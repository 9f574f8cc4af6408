import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { rootCertificates } from "node:tls";
import type { AcmeOptions } from "../model/resolver-settings.ts";
import type { CaPlan } from "./connection.ts";

/** A resolver as it was written, worked out. */
export interface ResolverPlan {
  readonly name: string;
  readonly options: AcmeOptions;
  /** In the order in which they are asked; never empty. */
  readonly cas: readonly CaPlan[];
  /** Where a name that keeps failing is tried first. */
  readonly staging: CaPlan | undefined;
  /** Challenge types in the order of preference; `dns-01` comes first when it is set up. */
  readonly challenges: readonly string[];
  /** Directory, or address of a Redis server. */
  readonly storage: string;
  /** Traefik's file, to be read once. */
  readonly legacyFile: string | undefined;
}

/** Directories that are known to have another one for trying out. */
const STAGING = new Map([
  [
    "https://acme-v02.api.letsencrypt.org/directory",
    "https://acme-staging-v02.api.letsencrypt.org/directory",
  ],
]);

/** Throws an `Error` with a reason when a file that is named cannot be read. */
export function planResolver(name: string, options: AcmeOptions): ResolverPlan {
  const roots = trustedRoots(options);
  const plan = (directory: string, eab: AcmeOptions["eab"]) => planCa(directory, eab, roots, options);
  const staging = options.stagingServer || STAGING.get(options.caServer);
  const fallbacks = options.fallbackServers.map((server, i) => plan(server, options.fallbackEab[i]));
  return {
    name,
    options,
    cas: [plan(options.caServer, options.eab), ...fallbacks],
    staging: staging ? plan(staging, undefined) : undefined,
    challenges: challengeTypes(options),
    ...storagePaths(options.storage),
  };
}

function planCa(
  directory: string,
  eab: AcmeOptions["eab"],
  roots: string | undefined,
  options: AcmeOptions,
): CaPlan {
  const isBound = eab !== undefined && eab.kid !== "";
  return {
    id: caId(directory, isBound ? eab.kid : ""),
    directory,
    email: options.email,
    eab: isBound ? { kid: eab.kid, hmacKey: eab.hmacEncoded } : undefined,
    timeoutMs: options.clientTimeout,
    headerTimeoutMs: options.clientResponseHeaderTimeout,
    roots,
    serverName: options.caServerName || process.env["LEGO_CA_SERVER_NAME"] || undefined,
  };
}

/** `acme-v02.api.letsencrypt.org`, with the path when it is more than a word, and the external account's mark. */
export function caId(directory: string, kid: string): string {
  const { host, pathname } = new URL(directory);
  const path = pathname.replace(/^\/(?:directory|dir|acme\/directory)?\/?$/, "").replace(/[^\w.-]+/g, "-");
  const mark = kid === "" ? "" : `+${createHash("sha256").update(kid).digest("hex").slice(0, 8)}`;
  return `${host.replace(":", "-")}${path}${mark}`;
}

function trustedRoots({ caCertificates, caSystemCertPool }: AcmeOptions): string | undefined {
  const files = caCertificates.length > 0 ? caCertificates : legacyRoots();
  if (files.length === 0) return undefined;
  const own = files.map((one) => (one.includes("-----BEGIN") ? one : readFileSync(one, "utf8")));
  const isSystemToo = caSystemCertPool || process.env["LEGO_CA_SYSTEM_CERT_POOL"] === "true";
  return [...own, ...(isSystemToo ? rootCertificates : [])].join("\n");
}

const legacyRoots = () =>
  (process.env["LEGO_CA_CERTIFICATES"] ?? "").split(":").filter((path) => path !== "");

function challengeTypes({ dnsChallenge, httpChallenge, tlsChallenge }: AcmeOptions): readonly string[] {
  const types: string[] = [];
  if (dnsChallenge !== undefined && dnsChallenge.provider !== "") types.push("dns-01");
  if (httpChallenge !== undefined) types.push("http-01");
  if (tlsChallenge !== undefined) types.push("tls-alpn-01");
  return types.length > 0 ? types : ["http-01", "tls-alpn-01"];
}

/** Traefik's `/letsencrypt/acme.json` becomes the directory `/letsencrypt/acme` beside it, on the same volume. */
export function storagePaths(storage: string): Pick<ResolverPlan, "storage" | "legacyFile"> {
  if (/^rediss?:\/\//.test(storage)) return { storage, legacyFile: undefined };
  const path = resolve(storage);
  if (path.endsWith(".json")) return { storage: path.slice(0, -5), legacyFile: path };
  const inside = join(path, "acme.json");
  return { storage: path, legacyFile: existsSync(inside) ? inside : undefined };
}

/** What a store needs on disk: the directory it writes, and the file of Traefik's that it reads once. */
export function storageOnDisk(
  storage: string,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly directory: string; readonly legacyFile: string | undefined } {
  const { storage: directory, legacyFile } = storagePaths(storage);
  const isRedis = /^rediss?:\/\//.test(directory);
  return { directory: isRedis ? copyDirectory(environment) : directory, legacyFile };
}

/** Where a store in Redis keeps its copy. */
export const copyDirectory = (environment: Readonly<Record<string, string | undefined>>) =>
  resolve(environment["WAYBILL_STORAGE_COPY"] ?? "acme");

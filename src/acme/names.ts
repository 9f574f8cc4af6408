import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { domainToASCII } from "node:url";

/** The name as a CA knows it (lower case, punycode, no trailing dot), or why no CA could issue for it. */
export function readName(text: string): { readonly name: string } | { readonly reason: string } {
  const trimmed = text.trim().replace(/\.$/, "").toLowerCase();
  if (isIP(trimmed) !== 0) return { name: canonicalIp(trimmed) };
  const wildcard = trimmed.startsWith("*.");
  const ascii = domainToASCII(wildcard ? trimmed.slice(2) : trimmed);
  if (ascii === "" || ascii.includes("*")) return { reason: `${quoted(text)} is not a domain name` };
  if (ascii.length > 253) return { reason: `${quoted(text)} is longer than 253 characters` };
  const bad = ascii.split(".").find((label) => !/^(?!-)[a-z0-9_-]{1,63}(?<!-)$/.test(label));
  if (bad !== undefined) return { reason: `${quoted(text)} has the impossible part ${quoted(bad)}` };
  return { name: wildcard ? `*.${ascii}` : ascii };
}

const quoted = (text: string) => JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);

/** IPv6 addresses in their one short form, so that two spellings are one name. */
export function canonicalIp(address: string): string {
  if (isIP(address) !== 6) return address;
  return new URL(`http://[${address}]/`).hostname.slice(1, -1);
}

/** Whether a certificate for `held` serves `name`: the same name, or a wildcard for its last labels. */
export function covers(held: string, name: string): boolean {
  if (held === name) return true;
  if (!held.startsWith("*.") || name.startsWith("*.") || isIP(name) !== 0) return false;
  const dot = name.indexOf(".");
  return dot > 0 && name.slice(dot) === held.slice(1);
}

export function coversAll(held: readonly string[], names: readonly string[]): boolean {
  return names.every((name) => held.some((one) => covers(one, name)));
}

/** No public CA issues for these: they mean something else on every network. */
export function isPrivateName(name: string): boolean {
  if (isIP(name) === 4)
    return /^(?:10|127)\.|^192\.168\.|^172\.(?:1[6-9]|2\d|3[01])\.|^169\.254\./.test(name);
  if (isIP(name) === 6) return name === "::1" || /^(?:f[cd]|fe[89ab])/.test(name);
  const last = name.slice(name.lastIndexOf(".") + 1);
  if (!name.includes(".")) return true;
  return ["localhost", "local", "lan", "internal", "test", "example", "invalid", "home", "corp"].includes(
    last,
  );
}

const SECOND_LEVEL = new Set([
  "co",
  "com",
  "net",
  "org",
  "gov",
  "edu",
  "ac",
  "or",
  "ne",
  "go",
  "gob",
  "gouv",
]);

/**
 * The domain that a registrar sold, near enough for a budget: the last two labels, or three below the usual
 * second levels of countries. Too coarse only makes us ask the CA less often.
 */
export function registeredDomain(name: string): string {
  if (isIP(name) !== 0) return name;
  const labels = name.replace(/^\*\./, "").split(".");
  const isCountry = (labels.at(-1) ?? "").length === 2 && SECOND_LEVEL.has(labels.at(-2) ?? "");
  return labels.slice(isCountry ? -3 : -2).join(".");
}

/**
 * A folder's name for a set of names, in whatever order they come: the shortest one, with a digest when it stands
 * for several.
 */
export function shelfName(names: readonly string[]): string {
  const sorted = [...names].sort((a, b) => bare(a).length - bare(b).length || (a < b ? -1 : 1));
  const main = sorted[0]!.replace("*", "_").replaceAll(":", "-");
  if (names.length === 1 && main.length <= 200) return main;
  const digest = createHash("sha256").update(sorted.join(",")).digest("hex").slice(0, 12);
  return `${main.slice(0, 200)}+${digest}`;
}

const bare = (name: string) => name.replace(/^\*\./, "");

/** `1.2.0.192.in-addr.arpa`: what a validator asks for as the server name of an address (RFC 8738). */
export function reverseName(address: string): string {
  if (isIP(address) === 4) return `${address.split(".").reverse().join(".")}.in-addr.arpa`;
  const [head = "", tail = ""] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === "" ? [] : tail.split(":");
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill("0"), ...right];
  const nibbles = groups.map((group) => group.padStart(4, "0")).join("");
  return `${[...nibbles].reverse().join(".")}.ip6.arpa`;
}

import { isIPv6 } from "node:net";

// Lower-case already, no port, no trailing dot: what nearly every request sends.
const CANONICAL = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;
const PARTS = /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?)(?::(\d{1,5}))?$/;

/**
 * The host of a Host header or `:authority` in the form that rules, certificates and logs use: lower-case, without
 * port, brackets and trailing dot. Undefined when it is no host.
 */
export function canonicalHost(authority: string): string | undefined {
  if (authority.length > 261) return undefined;
  if (CANONICAL.test(authority)) return authority.length > 253 ? undefined : authority;
  const parts = PARTS.exec(authority.toLowerCase());
  if (parts === null) return undefined;
  const [, address, name, port] = parts;
  if (port !== undefined && Number(port) > 65535) return undefined;
  if (address !== undefined) return isIPv6(address) ? address : undefined;
  return name === undefined || name.length > 253 ? undefined : name;
}

/** The port at the end of an authority that `canonicalHost` has accepted, or undefined. */
export function portOf(authority: string): string | undefined {
  const colon = authority.lastIndexOf(":");
  if (colon < 0 || authority.charCodeAt(authority.length - 1) === 0x5d) return undefined;
  return authority.slice(colon + 1);
}

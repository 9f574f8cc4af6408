/** The address with only its first `bits` kept, for an IPv6 address as `canonicalIp` writes it; others stay as they are. */
export function ipv6Subnet(ip: string, bits: number): string {
  if (!ip.includes(":")) return ip;
  const [head = "", tail] = ip.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => "0");
  const groups = [...left, ...zeros, ...right].map((group, i) => {
    const kept = Math.min(16, Math.max(0, bits - 16 * i));
    return (Number.parseInt(group, 16) & (0xffff << (16 - kept)) & 0xffff).toString(16);
  });
  return `${groups.join(":")}/${bits}`;
}

import { isIP, isIPv4, isIPv6, SocketAddress } from "node:net";

/**
 * The PROXY protocol, versions 1 and 2 (haproxy.org/download/3.0/doc/proxy-protocol.txt). Whether a peer may send one
 * is the caller's business.
 */
export interface ProxyHeader {
  /** Bytes of the header: what comes after them is the client's. */
  readonly length: number;
  /** Undefined when the sender speaks for itself (`LOCAL`, a health check) or does not know (`UNKNOWN`, Unix sockets). */
  readonly source: Endpoint | undefined;
  readonly destination: Endpoint | undefined;
}

export interface Endpoint {
  /** IPv4-mapped IPv6 is written as IPv4. */
  readonly ip: string;
  readonly port: number;
}

const V2_SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
const V2_HEAD = 16;
const V1_START = Buffer.from("PROXY ");
/** The longest line that version 1 can need, line end included. */
const V1_MAX = 107;
/** Longest version 2 header that is read: addresses and far more extensions than anybody sends. */
const V2_MAX = 2048;

/** Undefined: there must be more bytes. Null: it is not a PROXY header, or a broken one. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | undefined | null {
  if (startsLike(bytes, V2_SIGNATURE)) return parseV2(bytes);
  if (startsLike(bytes, V1_START)) return parseV1(bytes);
  return null;
}

/** Whether the bytes may be the start of a PROXY header, however few they are. */
export function mayBeProxyHeader(bytes: Buffer): boolean {
  return startsLike(bytes, V2_SIGNATURE) || startsLike(bytes, V1_START);
}

function startsLike(bytes: Buffer, start: Buffer): boolean {
  const common = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, common, 0, common) === 0;
}

function parseV1(bytes: Buffer): ProxyHeader | undefined | null {
  const end = bytes.subarray(0, V1_MAX).indexOf("\r\n");
  if (end === -1) return bytes.length >= V1_MAX ? null : undefined;
  const [, family, sourceIp, destinationIp, sourcePort, destinationPort, ...more] = bytes
    .toString("latin1", 0, end)
    .split(" ");
  const length = end + 2;
  if (family === "UNKNOWN") return { length, source: undefined, destination: undefined };
  if (more.length > 0 || (family !== "TCP4" && family !== "TCP6")) return null;
  const isFamily = family === "TCP4" ? isIPv4 : isIPv6;
  const source = readEndpoint(sourceIp, sourcePort, isFamily);
  const destination = readEndpoint(destinationIp, destinationPort, isFamily);
  return source === undefined || destination === undefined ? null : { length, source, destination };
}

function readEndpoint(
  ip = "",
  port = "",
  isFamily: (text: string) => boolean = isIPv4,
): Endpoint | undefined {
  if (!isFamily(ip) || ip.includes("%") || !/^(?:0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65535)
    return undefined;
  return { ip: plainIp(ip), port: Number(port) };
}

function parseV2(bytes: Buffer): ProxyHeader | undefined | null {
  if (bytes.length < V2_HEAD) return undefined;
  const [version, command] = [bytes[12]! >> 4, bytes[12]! & 15];
  const length = V2_HEAD + bytes.readUInt16BE(14);
  if (version !== 2 || command > 1 || length > V2_MAX) return null;
  if (bytes.length < length) return undefined;

  const family = bytes[13]!;
  const size = family === 0x11 ? 4 : family === 0x21 ? 16 : 0;
  // Datagrams never reach a stream; families that are not known are to be skipped, says part 2.2.
  if (family === 0x12 || family === 0x22) return null;
  const extensionsAt = V2_HEAD + (family === 0x31 ? 216 : size === 0 ? 0 : size * 2 + 4);
  if (extensionsAt > length) return null;
  if (size !== 0 && !extensionsFit(bytes, extensionsAt, length)) return null;
  if (command === 0 || size === 0) return { length, source: undefined, destination: undefined };
  const portsAt = V2_HEAD + size * 2;
  return {
    length,
    source: { ip: ipAt(bytes, V2_HEAD, size), port: bytes.readUInt16BE(portsAt) },
    destination: { ip: ipAt(bytes, V2_HEAD + size, size), port: bytes.readUInt16BE(portsAt + 2) },
  };
}

/** Type, length and value one after the other must end where the header ends. */
function extensionsFit(bytes: Buffer, from: number, end: number): boolean {
  let at = from;
  while (at + 3 <= end) at += 3 + bytes.readUInt16BE(at + 1);
  return at === end;
}

function ipAt(bytes: Buffer, at: number, size: number): string {
  if (size === 4) return bytes.subarray(at, at + 4).join(".");
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(bytes.readUInt16BE(at + i).toString(16));
  return plainIp(groups.join(":"));
}

function plainIp(ip: string): string {
  if (isIPv4(ip)) return ip;
  const { address } = new SocketAddress({ address: ip, family: "ipv6" });
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address) ? address.slice(7) : address;
}

/** The header that tells a server who its client is. Undefined addresses give `UNKNOWN` and `LOCAL`. */
export function encodeProxyHeader(
  version: 1 | 2,
  source: Endpoint | undefined,
  destination: Endpoint | undefined,
): Buffer {
  const family = source === undefined || destination === undefined ? 0 : familyOf(source, destination);
  if (version === 1) return Buffer.from(v1Line(family, source, destination), "latin1");
  if (family === 0) return Buffer.concat([V2_SIGNATURE, Buffer.from([0x20, 0, 0, 0])]);
  const addresses = [source!, destination!].map(({ ip }) => ipBytes(ip, family));
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(source!.port, 0);
  ports.writeUInt16BE(destination!.port, 2);
  const body = Buffer.concat([...addresses, ports]);
  return Buffer.concat([V2_SIGNATURE, Buffer.from([0x21, family === 4 ? 0x11 : 0x21, 0, body.length]), body]);
}

function v1Line(family: number, source: Endpoint | undefined, destination: Endpoint | undefined): string {
  if (family === 0) return "PROXY UNKNOWN\r\n";
  const wide = (ip: string) => (family === 6 && isIPv4(ip) ? `::ffff:${ip}` : ip);
  return `PROXY TCP${family} ${wide(source!.ip)} ${wide(destination!.ip)} ${source!.port} ${destination!.port}\r\n`;
}

/** 4, 6, or 0 if one of the addresses is none that we write. Mixed ones are written as IPv6. */
function familyOf(source: Endpoint, destination: Endpoint): number {
  const families = [source.ip, destination.ip].map((ip) => (/:.*\./.test(ip) ? 0 : isIP(ip)));
  return families.includes(0) ? 0 : families.includes(6) ? 6 : 4;
}

function ipBytes(ip: string, family: number): Buffer {
  if (family === 4) return Buffer.from(ip.split(".").map(Number));
  if (isIPv4(ip)) return Buffer.concat([Buffer.from("00000000000000000000ffff", "hex"), ipBytes(ip, 4)]);
  const [left = "", right] = ip.split("::");
  const head = left === "" ? [] : left.split(":");
  const tail = right === undefined || right === "" ? [] : right.split(":");
  const groups = [...head, ...Array<string>(8 - head.length - tail.length).fill("0"), ...tail];
  return Buffer.from(groups.map((group) => group.padStart(4, "0")).join(""), "hex");
}

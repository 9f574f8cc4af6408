import { createHmac, randomInt, timingSafeEqual } from "node:crypto";

/** As much of DNS messages (RFC 1035, 2136, 8945) as a signed update of one record needs. */

export const TYPE = { SOA: 6, TXT: 16, TSIG: 250 } as const;
const CLASS = { IN: 1, NONE: 254, ANY: 255 } as const;
const OPCODE_UPDATE = 5 << 11;
const FUDGE_S = 300;

const RCODES = ["ok", "format error", "server failure", "no such name", "not implemented", "refused"];
RCODES[9] = "not authoritative (or a wrong key)";
RCODES[10] = "not in the zone";

export const rcodeName = (rcode: number) => RCODES[rcode] ?? `code ${rcode}`;

export interface TsigKey {
  readonly name: string;
  /** `hmac-sha256`. */
  readonly algorithm: string;
  readonly secret: Buffer;
}

export interface TxtChange {
  readonly action: "add" | "remove";
  readonly name: string;
  readonly value: string;
  readonly ttlS: number;
}

/** A message to be sent, with what is needed to check the answer. */
export interface Outgoing {
  readonly bytes: Buffer;
  readonly id: number;
  readonly mac: Buffer | undefined;
}

const u16 = (value: number) => Buffer.from([value >> 8, value & 0xff]);
const u32 = (value: number) =>
  Buffer.from([value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]);

export function encodeName(name: string): Buffer {
  const labels = name
    .replace(/\.$/, "")
    .toLowerCase()
    .split(".")
    .filter((label) => label !== "");
  return Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, "latin1")])),
    Buffer.from([0]),
  ]);
}

function header(id: number, flags: number, counts: readonly [number, number, number, number]): Buffer {
  return Buffer.concat([u16(id), u16(flags), ...counts.map(u16)]);
}

/** Asks for the SOA record of a name; signed when there is a key, for servers that only talk to those. */
export function soaQuery(name: string, key: TsigKey | undefined, nowMs: number): Outgoing {
  const id = randomInt(0x10000);
  const question = Buffer.concat([encodeName(name), u16(TYPE.SOA), u16(CLASS.IN)]);
  return signed(Buffer.concat([header(id, 0, [1, 0, 0, 0]), question]), id, key, nowMs);
}

/** RFC 2136: adds one TXT value, or removes exactly that one. */
export function update(zone: string, change: TxtChange, key: TsigKey | undefined, nowMs: number): Outgoing {
  const id = randomInt(0x10000);
  const isAdd = change.action === "add";
  const text = Buffer.concat([Buffer.from([change.value.length]), Buffer.from(change.value, "latin1")]);
  const record = Buffer.concat([
    encodeName(change.name),
    u16(TYPE.TXT),
    u16(isAdd ? CLASS.IN : CLASS.NONE),
    u32(isAdd ? change.ttlS : 0),
    u16(text.length),
    text,
  ]);
  const question = Buffer.concat([encodeName(zone), u16(TYPE.SOA), u16(CLASS.IN)]);
  return signed(Buffer.concat([header(id, OPCODE_UPDATE, [1, 0, 1, 0]), question, record]), id, key, nowMs);
}

/** RFC 8945: appends the signature and counts it among the additional records. */
function signed(message: Buffer, id: number, key: TsigKey | undefined, nowMs: number): Outgoing {
  if (key === undefined) return { bytes: message, id, mac: undefined };
  const name = encodeName(key.name);
  const algorithm = encodeName(key.algorithm);
  const time = Buffer.alloc(8);
  time.writeUIntBE(Math.floor(nowMs / 1000), 0, 6);
  time.writeUInt16BE(FUDGE_S, 6);
  const variables = Buffer.concat([name, u16(CLASS.ANY), u32(0), algorithm, time, u16(0), u16(0)]);
  const mac = createHmac(digestOf(key), key.secret).update(message).update(variables).digest();
  const data = Buffer.concat([algorithm, time, u16(mac.length), mac, u16(id), u16(0), u16(0)]);
  const record = Buffer.concat([name, u16(TYPE.TSIG), u16(CLASS.ANY), u32(0), u16(data.length), data]);
  const bytes = Buffer.concat([message, record]);
  bytes.writeUInt16BE(bytes.readUInt16BE(10) + 1, 10);
  return { bytes, id, mac };
}

/** `hmac-sha256` or `hmac-md5.sig-alg.reg.int` as node:crypto calls it. Throws for others. */
export function digestOf({ algorithm }: Pick<TsigKey, "algorithm">): string {
  const digest = /^hmac-(md5|sha1|sha224|sha256|sha384|sha512)\b/.exec(algorithm)?.[1];
  if (digest === undefined) throw new Error(`the TSIG algorithm ${algorithm} is not known; use hmac-sha256.`);
  return digest;
}

export interface Incoming {
  readonly rcode: number;
  /** Whether the answer section has a record of that type. */
  readonly answers: readonly number[];
}

/** Reads an answer, and its signature when we signed. Throws `Error` for one that is not to be believed. */
export function readAnswer(bytes: Buffer, sent: Outgoing, key: TsigKey | undefined): Incoming {
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== sent.id)
    throw new Error("an answer to another question");
  const rcode = bytes[3]! & 0x0f;
  const sections = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
  let at = 12;
  for (let i = 0; i < sections[0]!; i++) at = skipName(bytes, at) + 4;
  const answers: number[] = [];
  let last: { start: number; type: number; data: Buffer } | undefined;
  for (let i = 0; i < sections[1]! + sections[2]! + sections[3]!; i++) {
    const start = at;
    at = skipName(bytes, at);
    const type = bytes.readUInt16BE(at);
    const length = bytes.readUInt16BE(at + 8);
    last = { start, type, data: bytes.subarray(at + 10, at + 10 + length) };
    if (i < sections[1]!) answers.push(type);
    at += 10 + length;
  }
  if (key !== undefined && sent.mac !== undefined && rcode === 0) {
    if (last?.type !== TYPE.TSIG) throw new Error("the answer is not signed");
    checkSignature(bytes.subarray(0, last.start), last.data, sent.mac, key);
  }
  return { rcode, answers };
}

function checkSignature(message: Buffer, data: Buffer, requestMac: Buffer, key: TsigKey): void {
  const at = skipName(data, 0);
  const size = data.readUInt16BE(at + 8);
  const mac = data.subarray(at + 10, at + 10 + size);
  const plain = Buffer.from(message);
  plain.writeUInt16BE(plain.readUInt16BE(10) - 1, 10);
  const rest = data.subarray(at + 10 + size + 2);
  const variables = [
    encodeName(key.name),
    u16(CLASS.ANY),
    u32(0),
    encodeName(key.algorithm),
    data.subarray(at, at + 8),
    rest,
  ];
  const hmac = createHmac(digestOf(key), key.secret)
    .update(u16(requestMac.length))
    .update(requestMac)
    .update(plain);
  const expected = hmac.update(Buffer.concat(variables)).digest();
  if (mac.length !== expected.length || !timingSafeEqual(mac, expected))
    throw new Error("the answer's signature is wrong");
}

function skipName(bytes: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) throw new Error("the answer ends too early");
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    at += length + 1;
  }
}

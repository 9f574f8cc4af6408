import {
  DynamicTable,
  STATIC_LENGTH,
  STATIC_NAMES,
  STATIC_VALUES,
  TABLE_BYTES_DEFAULT,
} from "./hpack-tables.ts";

const INDEXED = 0x80;
const INDEX = 0x40;
const DO_NOT_INDEX = 0x00;
const NEVER_INDEX = 0x10;
const SIZE_UPDATE = 0x20;

/** What differs from message to message, and in the table would only push out what does not. */
const CHANGING = [
  ":path",
  "age",
  "content-length",
  "content-range",
  "etag",
  "if-modified-since",
  "if-none-match",
  "last-modified",
  "location",
  "range",
];

/** An attacker who sees how well a guess compresses could find these out (RFC 7541 §7.1.3). */
const SECRET = ["authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key", "x-auth-token"];

/** All that can be known about a name ahead. */
class Name {
  readonly lower: string;
  readonly literal: typeof INDEX | typeof DO_NOT_INDEX | typeof NEVER_INDEX;
  /** The first and last static entries with the name, 0 and -1 without one. */
  readonly staticFirst: number;
  readonly staticLast: number;
  readonly chain: number;

  constructor(name: string) {
    this.lower = copyOf(name.toLowerCase());
    this.literal = SECRET.includes(this.lower)
      ? NEVER_INDEX
      : CHANGING.includes(this.lower)
        ? DO_NOT_INDEX
        : INDEX;
    this.staticFirst = Math.max(0, STATIC_NAMES.indexOf(this.lower, 1));
    this.staticLast = STATIC_NAMES.lastIndexOf(this.lower);
    this.chain = chainOf(this.lower);
  }
}

const CHAINS = 32;

/** So many entries in a row that nobody asked for again, and the names of their chain rest for a while. */
const UNUSED_MAX = 8;
const REST_FIELDS = 256;

function chainOf(name: string): number {
  let sum = name.length;
  for (let i = 0; i < name.length; i++) sum = (sum * 31 + name.charCodeAt(i)) | 0;
  return (sum ^ (sum >>> 15)) & (CHAINS - 1);
}

/** A text is often a slice; kept as it is, it would keep the whole head of its message. */
function copyOf(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

/** By name as it was given, for all connections. */
const known = new Map<string, Name>();
const KNOWN_MAX = 1024;
const KNOWN_LENGTH_MAX = 64;

function nameOf(text: string): Name {
  const found = known.get(text);
  if (found !== undefined) return found;
  const name = new Name(text);
  if (known.size === KNOWN_MAX) known.clear();
  if (text.length <= KNOWN_LENGTH_MAX) known.set(copyOf(text), name);
  return name;
}

/** One connection's encoder (RFC 7541). */
export class HpackEncoder {
  readonly #table: DynamicTable;
  readonly #tableBytesMax: number;
  #peerBytesMax: number;
  /** The smallest size since the last block, or -1 if nothing has to be said. */
  #smallestBytes: number;
  /** By chain: the number of the newest entry whose name belongs to it. Entries that are gone end a chain. */
  readonly #newest: number[];
  /** By slot of the table: the entry before it in its chain. */
  readonly #older: number[];
  /** By chain: how many fields came since an entry was of use. */
  readonly #unused: number[];

  /** `tableBytesMax`: what we are willing to spend. */
  constructor(tableBytesMax: number) {
    const bytes = Math.min(tableBytesMax, TABLE_BYTES_DEFAULT);
    this.#table = new DynamicTable(bytes, tableBytesMax);
    this.#tableBytesMax = tableBytesMax;
    this.#peerBytesMax = TABLE_BYTES_DEFAULT;
    this.#smallestBytes = bytes < TABLE_BYTES_DEFAULT ? bytes : -1;
    this.#newest = new Array<number>(CHAINS).fill(-1);
    this.#older = [];
    this.#unused = new Array<number>(CHAINS).fill(0);
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE changed: the next block begins with what RFC 7541 §4.2 requires. */
  peerTableSize(bytes: number): void {
    const ours = Math.min(bytes, this.#tableBytesMax);
    if (bytes < this.#peerBytesMax || ours !== this.#table.bytesMax) {
      const smallest = this.#smallestBytes;
      this.#smallestBytes = smallest < 0 ? ours : Math.min(smallest, ours);
    }
    this.#peerBytesMax = bytes;
  }

  /**
   * Encodes the flat list into `target`, which has room by `blockBytesMax`, from `start` on; gives the end. What was
   * encoded must be sent, and in the same order, or the peer's table is no longer ours.
   */
  encode(list: readonly string[], target: Buffer, start: number): number {
    let at = this.#smallestBytes < 0 ? start : this.#sizeUpdates(target, start);
    for (let i = 0; i < list.length; i += 2) at = this.#field(nameOf(list[i]!), list[i + 1]!, target, at);
    return at;
  }

  #sizeUpdates(target: Buffer, start: number): number {
    const bytes = Math.min(this.#peerBytesMax, this.#tableBytesMax);
    let at = start;
    if (this.#smallestBytes < bytes) {
      this.#table.resize(this.#smallestBytes);
      at = writeInteger(target, at, SIZE_UPDATE, 0x1f, this.#smallestBytes);
    }
    this.#table.resize(bytes);
    this.#smallestBytes = -1;
    return writeInteger(target, at, SIZE_UPDATE, 0x1f, bytes);
  }

  #field(name: Name, value: string, target: Buffer, at: number): number {
    const { staticFirst, staticLast } = name;
    for (let index = staticFirst; index <= staticLast; index++) {
      if (STATIC_VALUES[index] === value && value !== "") {
        target[at] = INDEXED | index;
        return at + 1;
      }
    }
    if (name.literal !== INDEX) return writeLiteral(target, at, name, staticFirst, name.literal, 0x0f, value);
    return this.#repeating(name, value, target, at);
  }

  #repeating(name: Name, value: string, target: Buffer, at: number): number {
    const table = this.#table;
    const oldest = table.next - table.count;
    let nameIndex = name.staticFirst;
    for (let n = this.#newest[name.chain]!; n >= oldest; n = this.#older[n & table.mask]!) {
      const slot = n & table.mask;
      if (table.names[slot] !== name.lower) continue;
      const index = STATIC_LENGTH + table.next - n;
      if (table.values[slot] === value) {
        this.#unused[name.chain] = 0;
        return writeInteger(target, at, INDEXED, 0x7f, index);
      }
      if (nameIndex === 0) nameIndex = index;
    }
    if (!this.#isWorthKeeping(name, value))
      return writeLiteral(target, at, name, nameIndex, DO_NOT_INDEX, 0x0f, value);
    const end = writeLiteral(target, at, name, nameIndex, INDEX, 0x3f, value);
    this.#add(name, target.toString("latin1", end - value.length, end));
    return end;
  }

  #isWorthKeeping(name: Name, value: string): boolean {
    // What fills much of the table pushes out more than it can ever spare.
    if ((name.lower.length + value.length) * 4 > this.#table.bytesMax) return false;
    const unused = this.#unused[name.chain]!;
    this.#unused[name.chain] = unused < REST_FIELDS ? unused + 1 : 0;
    return unused < UNUSED_MAX;
  }

  /** `value` is a copy, for the same reason as names are. */
  #add(name: Name, value: string): void {
    const table = this.#table;
    const { next } = table;
    table.add(name.lower, value);
    if (table.next === next) return;
    this.#older[next & table.mask] = this.#newest[name.chain]!;
    this.#newest[name.chain] = next;
  }
}

/** The most bytes that `encode` can need for the list. */
export function blockBytesMax(list: readonly string[]): number {
  // Two size updates; then for each text a length of up to 5 bytes, and the first byte of each field.
  let bytes = 12 + list.length * 6;
  for (let i = 0; i < list.length; i++) bytes += list[i]!.length;
  return bytes;
}

function writeLiteral(
  target: Buffer,
  start: number,
  name: Name,
  nameIndex: number,
  kind: number,
  most: number,
  value: string,
): number {
  let at = writeInteger(target, start, kind, most, nameIndex);
  if (nameIndex === 0) at = writeText(target, at, name.lower);
  return writeText(target, at, value);
}

// Never in Huffman codes: they take three to four times as long to write, and what they would spare is a quarter of
// texts most of which are sent once a connection.
function writeText(target: Buffer, start: number, text: string): number {
  const { length } = text;
  const at = writeInteger(target, start, 0, 0x7f, length);
  // Below that, a call into C++ costs more than it spares.
  if (length > 24) target.write(text, at, "latin1");
  else for (let i = 0; i < length; i++) target[at + i] = text.charCodeAt(i);
  return at + length;
}

/** RFC 7541 §5.1: an integer in the bits of `most`, below the bits of `kind`. */
function writeInteger(target: Buffer, start: number, kind: number, most: number, value: number): number {
  if (value < most) {
    target[start] = kind | value;
    return start + 1;
  }
  target[start] = kind | most;
  let at = start + 1;
  let rest = value - most;
  for (; rest >= 128; rest >>>= 7) target[at++] = (rest & 0x7f) | 0x80;
  target[at] = rest;
  return at + 1;
}

/**
 * Sets of addresses and address ranges. An IPv4 address written as IPv6 (`::ffff:10.0.0.1`) is the IPv4 address, and
 * an IPv6 range such as `::/0` holds no IPv4 addresses: the rules of Go's `net.IPNet`.
 */
export class CidrSet {
  // First and last address of each range, sorted and merged, so that a look-up is one binary search.
  readonly #v4: Uint32Array;
  readonly #v6: Uint32Array;
  readonly #words: Uint32Array;

  /** Takes what `isCidr` accepts; anything else is a programmer's error and throws. */
  constructor(texts: Iterable<string>) {
    const v4: Range[] = [];
    const v6: Range[] = [];
    for (const text of texts) {
      const range = parseCidr(text);
      if (range === undefined) throw new TypeError(`not an IP address or CIDR range: ${text.slice(0, 60)}`);
      (range.first.length === 1 ? v4 : v6).push(range);
    }
    this.#v4 = pack(v4, 1);
    this.#v6 = pack(v6, 4);
    this.#words = new Uint32Array(4);
  }

  /** False for text that is no address. */
  has(ip: string): boolean {
    const words = this.#words;
    switch (readAddress(ip, words)) {
      case 4:
        return isWithin(this.#v4, 1, words);
      case 6:
        return isWithin(this.#v6, 4, words);
      default:
        return false;
    }
  }
}

export function isCidr(text: string): boolean {
  return parseCidr(text) !== undefined;
}

/** The address in the one spelling that equals itself: IPv4 in dots, IPv6 as RFC 5952 has it. Undefined if it is none. */
export function canonicalIp(text: string): string | undefined {
  const words = new Uint32Array(4);
  const family = readAddress(text, words);
  if (family === 0) return undefined;
  if (family === 4) return [24, 16, 8, 0].map((shift) => (words[0]! >>> shift) & 255).join(".");
  return formatV6(words);
}

function formatV6(words: Uint32Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => getGroup(words, i));
  let gap = 0;
  let gapLength = 0;
  for (let i = 0, zeros = 0; i < 8; i++) {
    zeros = groups[i] === 0 ? zeros + 1 : 0;
    if (zeros <= gapLength) continue;
    gapLength = zeros;
    gap = i + 1 - zeros;
  }
  const texts = groups.map((group) => group.toString(16));
  // A single zero is written out.
  if (gapLength < 2) return texts.join(":");
  return `${texts.slice(0, gap).join(":")}::${texts.slice(gap + gapLength).join(":")}`;
}

interface Range {
  readonly first: Uint32Array;
  readonly last: Uint32Array;
}

function parseCidr(text: string): Range | undefined {
  const slash = text.indexOf("/");
  const address = slash === -1 ? text : text.slice(0, slash);
  const words = new Uint32Array(4);
  const family = readAddress(address, words);
  if (family === 0) return undefined;
  let bits = family === 4 ? 32 : 128;
  if (slash !== -1) {
    const suffix = text.slice(slash + 1);
    // A mapped range counts its bits from the start of the IPv6 form.
    const mapped = family === 4 && address.includes(":") ? 96 : 0;
    if (!/^\d{1,3}$/.test(suffix) || Number(suffix) > bits + mapped || Number(suffix) < mapped)
      return undefined;
    bits = Number(suffix) - mapped;
  }
  const first = words.slice(0, family === 4 ? 1 : 4);
  const last = first.slice();
  for (let i = 0; i < first.length; i++) {
    const kept = Math.min(32, Math.max(0, bits - 32 * i));
    const hostMask = kept === 32 ? 0 : 0xffffffff >>> kept;
    first[i] = first[i]! & ~hostMask;
    last[i] = last[i]! | hostMask;
  }
  return { first, last };
}

function pack(ranges: Range[], width: number): Uint32Array {
  // Of ranges with one start the longest comes first, so that it holds those after it.
  ranges.sort((a, b) => compare(a.first, 0, b.first, width) || compare(b.last, 0, a.last, width));
  const kept: Range[] = [];
  for (const range of ranges) {
    const previous = kept.at(-1);
    if (previous !== undefined && compare(range.first, 0, previous.last, width) <= 0) {
      // CIDR ranges either nest or are apart, so the earlier one already holds this one.
      continue;
    }
    kept.push(range);
  }
  const packed = new Uint32Array(kept.length * width * 2);
  kept.forEach(({ first, last }, i) => {
    packed.set(first, i * width * 2);
    packed.set(last, i * width * 2 + width);
  });
  return packed;
}

function isWithin(ranges: Uint32Array, width: number, words: Uint32Array): boolean {
  let low = 0;
  let high = ranges.length / (2 * width) - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    if (compare(ranges, middle * 2 * width, words, width) > 0) high = middle - 1;
    else if (compare(ranges, middle * 2 * width + width, words, width) < 0) low = middle + 1;
    else return true;
  }
  return false;
}

function compare(a: Uint32Array, at: number, b: Uint32Array, width: number): number {
  for (let i = 0; i < width; i++) {
    if (a[at + i]! !== b[i]!) return a[at + i]! < b[i]! ? -1 : 1;
  }
  return 0;
}

const MAPPED = 0xffff;

/** Reads an address into `words` (one word for IPv4, four for IPv6) and says its family, or 0. A zone is ignored. */
function readAddress(text: string, words: Uint32Array): 0 | 4 | 6 {
  if (!text.includes(":")) return readV4(text, 0, text.length, words, 0) ? 4 : 0;
  const zone = text.indexOf("%");
  if (!readV6(text, zone === -1 ? text.length : zone, words)) return 0;
  if (words[0] !== 0 || words[1] !== 0 || words[2] !== MAPPED) return 6;
  words[0] = words[3]!;
  return 4;
}

function readV4(text: string, from: number, to: number, words: Uint32Array, word: number): boolean {
  let value = 0;
  let octet = 0;
  let digits = 0;
  let octets = 0;
  for (let i = from; i <= to; i++) {
    const digit = i === to ? -2 : text.charCodeAt(i) - 48;
    if (digit >= 0 && digit <= 9) {
      // 010 is eight to some programs and ten to others, so it is no address here.
      if (digits > 0 && octet === 0) return false;
      octet = octet * 10 + digit;
      if (++digits > 3 || octet > 255) return false;
    } else {
      // -2 is both the end and the dot's distance from "0".
      if (digit !== -2 || digits === 0 || ++octets > 4) return false;
      value = value * 256 + octet;
      octet = 0;
      digits = 0;
    }
  }
  words[word] = value;
  return octets === 4;
}

function readV6(text: string, to: number, words: Uint32Array): boolean {
  words.fill(0);
  let groups = 0;
  let gap = -1;
  let i = 0;
  if (text.startsWith("::")) {
    gap = 0;
    i = 2;
  }
  while (i < to) {
    const start = i;
    let value = 0;
    let digit = hexDigit(text.charCodeAt(i));
    while (i < to && digit !== -1) {
      value = value * 16 + digit;
      i++;
      digit = hexDigit(text.charCodeAt(i));
    }
    if (i < to && text.charCodeAt(i) === 46) return readV6Tail(text, start, to, words, groups, gap);
    if (i === start || i - start > 4 || groups === 8) return false;
    putGroup(words, groups++, value);
    if (i === to) break;
    if (text.charCodeAt(i) !== 58 || ++i === to) return false;
    if (text.charCodeAt(i) === 58) {
      if (gap !== -1) return false;
      gap = groups;
      i++;
    }
  }
  return closeGap(words, groups, gap);
}

function readV6Tail(
  text: string,
  from: number,
  to: number,
  words: Uint32Array,
  groups: number,
  gap: number,
): boolean {
  if (groups > 6 || (groups < 6 && gap === -1)) return false;
  const tail = new Uint32Array(1);
  if (!readV4(text, from, to, tail, 0)) return false;
  putGroup(words, groups, tail[0]! >>> 16);
  putGroup(words, groups + 1, tail[0]! & 0xffff);
  return closeGap(words, groups + 2, gap);
}

/** Moves the groups after `::` to the end. */
function closeGap(words: Uint32Array, groups: number, gap: number): boolean {
  if (gap === -1) return groups === 8;
  if (groups > 7) return false;
  for (let from = groups - 1, to = 7; from >= gap; from--, to--) {
    const value = getGroup(words, from);
    putGroup(words, from, 0);
    putGroup(words, to, value);
  }
  return true;
}

function getGroup(words: Uint32Array, group: number): number {
  return (words[group >> 1]! >>> (group % 2 === 0 ? 16 : 0)) & 0xffff;
}

function putGroup(words: Uint32Array, group: number, value: number): void {
  const word = words[group >> 1]!;
  words[group >> 1] = group % 2 === 0 ? (word & 0xffff) | (value << 16) : (word & 0xffff0000) | value;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

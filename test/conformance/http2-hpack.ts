/** HPACK (RFC 7541) read, for tests: what a server of ours says, by an implementation that shares nothing with it. */

export type Field = readonly [name: string, value: string];

const STATIC: readonly Field[] = `
:authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204
:status 206|:status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate
accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control
content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type
cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since
last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after
server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate`
  .trim()
  .split(/[|\n]/)
  .map((line) => /^(\S+) ?(.*)$/.exec(line)!)
  .map(([, name, value]) => [name!, value!]);

/** Bits of the Huffman codes of NUL and of the printable characters from the space on: the code is canonical. */
const BITS = [
  [6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10],
  [13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6],
  [15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13],
].flat();

const CODES: ReadonlyMap<string, string> = (() => {
  const symbols = [[0, 13] as const, ...BITS.map((bits, i) => [i + 32, bits] as const)];
  symbols.sort(([a, aBits], [b, bBits]) => aBits - bBits || a - b);
  let code = 0;
  let length = 0;
  return new Map(
    symbols.map(([symbol, bits]) => {
      code <<= bits - length;
      length = bits;
      return [(code++).toString(2).padStart(bits, "0"), String.fromCharCode(symbol)];
    }),
  );
})();

function huffman(bytes: Buffer): string {
  let text = "";
  let code = "";
  for (const byte of bytes) {
    for (let mask = 0x80; mask > 0; mask >>= 1) {
      code += (byte & mask) === 0 ? "0" : "1";
      const symbol = CODES.get(code);
      if (symbol === undefined) continue;
      text += symbol;
      code = "";
    }
  }
  if (!/^1{0,7}$/.test(code)) throw new Error(`not Huffman's code, or no ASCII: ${code}`);
  return text;
}

/** Reads the blocks of one connection in their order. */
export class FieldReader {
  readonly #table: Field[] = [];
  #sizeMax = 4096;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  read(block: Buffer): Field[] {
    this.#bytes = block;
    this.#at = 0;
    const fields: Field[] = [];
    while (this.#at < block.length) {
      const first = block[this.#at]!;
      if (first >= 0x80) fields.push(this.#entry(this.#integer(7)));
      else if (first >= 0x40) fields.push(this.#keep(this.#literal(6)));
      else if (first >= 0x20) this.#resize(this.#integer(5));
      else fields.push(this.#literal(4));
    }
    return fields;
  }

  #entry(index: number): Field {
    const field = index <= STATIC.length ? STATIC[index - 1] : this.#table[index - STATIC.length - 1];
    if (field === undefined) throw new Error(`no entry ${index} among ${this.#table.length}`);
    return field;
  }

  #literal(bits: number): Field {
    const index = this.#integer(bits);
    const name = index === 0 ? this.#text() : this.#entry(index)[0];
    return [name, this.#text()];
  }

  #integer(bits: number): number {
    const most = 2 ** bits - 1;
    let value = this.#bytes[this.#at++]! & most;
    if (value < most) return value;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new Error("a number is cut short");
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  }

  #text(): string {
    const isHuffman = this.#bytes[this.#at]! >= 0x80;
    const length = this.#integer(7);
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    if (bytes.length < length) throw new Error("a text is cut short");
    this.#at += length;
    return isHuffman ? huffman(bytes) : bytes.toString("latin1");
  }

  #keep(field: Field): Field {
    this.#table.unshift(field);
    this.#resize(this.#sizeMax);
    return field;
  }

  #resize(size: number): void {
    this.#sizeMax = size;
    let bytes = 0;
    let kept = 0;
    for (const [name, value] of this.#table) {
      bytes += name.length + value.length + 32;
      if (bytes > size) break;
      kept++;
    }
    this.#table.length = kept;
  }
}

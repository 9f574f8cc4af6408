import { decodedBytesMax, huffmanDecode } from "./hpack-huffman.ts";
import {
  DynamicTable,
  ENTRY_BYTES,
  STATIC_LENGTH,
  STATIC_NAMES,
  STATIC_VALUES,
  TABLE_BYTES_DEFAULT,
} from "./hpack-tables.ts";

// Enough for any length or index that can be meant, and still a small integer (RFC 7541 §5.1 lets us set a limit).
const CONTINUATION_BYTES_MAX = 4;

/** Larger texts are rare and get a buffer of their own, so that no thread keeps a large one. */
const scratch = Buffer.allocUnsafeSlow(8192);

/** One connection's decoder (RFC 7541). After `decode` gave false it must not be used any more. */
export class HpackDecoder {
  /** True when the block decoded last was larger than the limits; its list is then incomplete, but the dynamic table is right. */
  tooLarge: boolean;
  readonly #table: DynamicTable;
  readonly #tableBytesMax: number;
  /** The most that a size update may say: until the peer has seen our settings, what it may take for granted. */
  #updateBytesMax: number;
  /** Where reading goes on after an integer or a text; -1 after one that was wrong. */
  #at: number;

  /** `tableBytesMax`: what our SETTINGS_HEADER_TABLE_SIZE allows the peer. */
  constructor(tableBytesMax: number) {
    const limitBytes = Math.max(tableBytesMax, TABLE_BYTES_DEFAULT);
    this.tooLarge = false;
    this.#table = new DynamicTable(TABLE_BYTES_DEFAULT, limitBytes);
    this.#tableBytesMax = tableBytesMax;
    this.#updateBytesMax = limitBytes;
    this.#at = 0;
  }

  /** The peer acknowledged our settings: a table that is larger than they allow must now be made smaller by it. */
  settingsAcknowledged(): void {
    this.#updateBytesMax = this.#tableBytesMax;
  }

  /**
   * Decodes one whole block, `start` to `end`, and pushes name, value, name, value... as they were sent onto `list`.
   * False: a COMPRESSION_ERROR, the connection must end. Once the list is larger than `listBytesMax` (as counted by RFC
   * 9113 §10.5.1) or has more than `pairsMax` pairs, decoding goes on for the table's sake, but pushes nothing more.
   */
  decode(
    block: Buffer,
    start: number,
    end: number,
    list: string[],
    listBytesMax: number,
    pairsMax: number,
  ): boolean {
    this.tooLarge = false;
    const table = this.#table;
    let bytesLeft = listBytesMax;
    let pairsLeft = pairsMax;
    let at = this.#sizeUpdates(block, start, end);
    while (at < end) {
      if (at < 0) return false;
      const first = block[at]!;
      let name: string | undefined;
      let value: string | undefined;
      if (first >= 0x80) {
        const index = this.#integer(block, at, end, 0x7f);
        at = this.#at;
        if (index <= STATIC_LENGTH) {
          if (index < 1) return false;
          name = STATIC_NAMES[index]!;
          value = STATIC_VALUES[index]!;
        } else {
          if (index - STATIC_LENGTH > table.count) return false;
          const slot = (table.next - (index - STATIC_LENGTH)) & table.mask;
          name = table.names[slot]!;
          value = table.values[slot]!;
        }
      } else {
        if (first >= 0x20 && first < 0x40) return false;
        const wanted = first >= 0x40 || !this.tooLarge;
        name = this.#name(block, at, end, first >= 0x40 ? 0x3f : 0x0f, wanted);
        if (name === undefined) return false;
        value = this.#text(block, this.#at, end, wanted);
        if (value === undefined) return false;
        at = this.#at;
        if (first >= 0x40) table.add(name, value);
      }
      bytesLeft -= name.length + value.length + ENTRY_BYTES;
      if (bytesLeft >= 0 && --pairsLeft >= 0) list.push(name, value);
      else this.tooLarge = true;
    }
    return at >= 0;
  }

  /** Size updates stand at the beginning of a block only (RFC 7541 §4.2). Gives where they end, or -1. */
  #sizeUpdates(block: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && (block[at]! & 0xe0) === 0x20) {
      const bytes = this.#integer(block, at, end, 0x1f);
      if (bytes < 0 || bytes > this.#updateBytesMax) return -1;
      this.#table.resize(bytes);
      at = this.#at;
    }
    return this.#table.bytesMax > this.#updateBytesMax ? -1 : at;
  }

  #name(block: Buffer, at: number, end: number, most: number, wanted: boolean): string | undefined {
    const index = this.#integer(block, at, end, most);
    if (index === 0) return this.#text(block, this.#at, end, wanted);
    if (index <= STATIC_LENGTH) return index < 0 ? undefined : STATIC_NAMES[index];
    const back = index - STATIC_LENGTH;
    const table = this.#table;
    return back > table.count ? undefined : table.names[(table.next - back) & table.mask];
  }

  /** Undefined: it is wrong. What is not wanted is only checked, and comes out empty. */
  #text(block: Buffer, at: number, end: number, wanted: boolean): string | undefined {
    if (at >= end) return undefined;
    const huffman = block[at]! >= 0x80;
    const length = this.#integer(block, at, end, 0x7f);
    const from = this.#at;
    if (length < 0 || length > end - from) return undefined;
    this.#at = from + length;
    if (!huffman) return wanted ? block.toString("latin1", from, from + length) : "";
    const most = decodedBytesMax(length);
    const target = most <= scratch.length ? scratch : Buffer.allocUnsafe(most);
    const decoded = huffmanDecode(block, from, from + length, target);
    if (decoded < 0) return undefined;
    return wanted ? target.toString("latin1", 0, decoded) : "";
  }

  /** RFC 7541 §5.1: an integer that begins in the bits of `most`; -1 if it is cut off or too long. */
  #integer(block: Buffer, from: number, end: number, most: number): number {
    let value = block[from]! & most;
    let at = from + 1;
    if (value === most) {
      const last = Math.min(end, at + CONTINUATION_BYTES_MAX);
      for (let shift = 0; ; shift += 7) {
        if (at >= last) return -1;
        const byte = block[at++]!;
        value += (byte & 0x7f) << shift;
        if (byte < 0x80) break;
      }
    }
    this.#at = at;
    return value;
  }
}

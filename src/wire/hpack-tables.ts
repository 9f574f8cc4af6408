// RFC 7541 appendix A, from index 1 on: a name, and after a space the value, if there is one.
const STATIC = `:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`;

/** By index, which begins at 1. */
export const STATIC_NAMES: readonly string[] = column(0);
export const STATIC_VALUES: readonly string[] = column(1);
export const STATIC_LENGTH = 61;

/** What a peer allows before it has said anything (RFC 9113 §6.5.2). */
export const TABLE_BYTES_DEFAULT = 4096;
/** What an entry counts beyond its name and value (RFC 7541 §4.1). */
export const ENTRY_BYTES = 32;

function column(which: 0 | 1): string[] {
  const fields = STATIC.split("\n").map((line) => {
    const space = line.indexOf(" ");
    return space < 0 ? [line, ""] : [line.slice(0, space), line.slice(space + 1)];
  });
  return ["", ...fields.map((field) => field[which]!)];
}

/**
 * The dynamic table of one direction of a connection (RFC 7541 §2.3.2). Entries are numbered as they come, from 0 on;
 * entry `n` lies in slot `n & mask`.
 */
export class DynamicTable {
  // They grow as far as they are filled, so that a connection which uses little holds little.
  readonly names: string[];
  readonly values: string[];
  readonly mask: number;
  /** The number of the next entry. */
  next: number;
  count: number;
  bytes: number;
  bytesMax: number;

  /** `bytesMax`: now; `limitBytes`: the most that it will ever be. */
  constructor(bytesMax: number, limitBytes: number) {
    this.names = [];
    this.values = [];
    this.mask = slotsFor(limitBytes) - 1;
    this.next = 0;
    this.count = 0;
    this.bytes = 0;
    this.bytesMax = bytesMax;
  }

  resize(bytesMax: number): void {
    this.bytesMax = bytesMax;
    this.#evict(bytesMax);
  }

  /** An entry larger than the whole table empties it and is not kept (RFC 7541 §4.4). */
  add(name: string, value: string): void {
    const bytes = name.length + value.length + ENTRY_BYTES;
    if (this.bytes + bytes > this.bytesMax) this.#evict(this.bytesMax - bytes);
    if (bytes > this.bytesMax) return;
    const slot = this.next & this.mask;
    this.names[slot] = name;
    this.values[slot] = value;
    this.next++;
    this.count++;
    this.bytes += bytes;
  }

  #evict(untilBytes: number): void {
    while (this.count > 0 && this.bytes > untilBytes) {
      const slot = (this.next - this.count) & this.mask;
      this.bytes -= this.names[slot]!.length + this.values[slot]!.length + ENTRY_BYTES;
      this.count--;
      // A slot that kept what was evicted could hold many times the table's size.
      this.names[slot] = "";
      this.values[slot] = "";
    }
  }
}

function slotsFor(bytes: number): number {
  let slots = 1;
  while (slots * ENTRY_BYTES < bytes) slots *= 2;
  return slots;
}

import { sameName } from "../lib/same-name.ts";

export { sameName };

/**
 * Headers as they travel: a flat list, name then value, in the order and spelling in which they arrived. Look-ups
 * ignore case; nothing is copied until something changes. A flat list cannot be polluted by a header called
 * `__proto__`, keeps repeated lines apart, and needs no second form for forwarding.
 */
export type Headers = string[];

/** The value of the first line of that name, or undefined. `lower` is lower-case. */
export function getHeader(headers: readonly string[], lower: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    if (sameName(headers[i]!, lower)) return headers[i + 1];
  }
  return undefined;
}

/** Every value of that name, in order. */
export function getHeaders(headers: readonly string[], lower: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (sameName(headers[i]!, lower)) values.push(headers[i + 1]!);
  }
  return values;
}

/** Replaces the first line of that name and removes the others, or adds the line at the end. */
export function setHeader(headers: Headers, name: string, value: string): void {
  putHeader(headers, name, name.toLowerCase(), value);
}

/** The same for names whose lower case is known already. */
export function putHeader(headers: Headers, name: string, lower: string, value: string): void {
  for (let i = 0; i < headers.length; i += 2) {
    if (!sameName(headers[i]!, lower)) continue;
    headers[i] = name;
    headers[i + 1] = value;
    removeFrom(headers, lower, i + 2);
    return;
  }
  headers.push(name, value);
}

/** Removes every line of that name. `lower` is lower-case. */
export function removeHeader(headers: Headers, lower: string): void {
  removeFrom(headers, lower, 0);
}

function removeFrom(headers: Headers, lower: string, from: number): void {
  let kept = from;
  for (let i = from; i < headers.length; i += 2) {
    if (sameName(headers[i]!, lower)) continue;
    if (kept !== i) {
      headers[kept] = headers[i]!;
      headers[kept + 1] = headers[i + 1]!;
    }
    kept += 2;
  }
  headers.length = kept;
}

/**
 * Removes every line that an application may take for that name: many read `X_User` and `X.User` as `X-User`.
 * `lower` is lower-case.
 */
export function removeAliases(headers: Headers, lower: string): void {
  const plain = lower.replace(/[_.]/g, "-");
  let kept = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (name.length === plain.length && name.toLowerCase().replace(/[_.]/g, "-") === plain) continue;
    headers[kept] = name;
    headers[kept + 1] = headers[i + 1]!;
    kept += 2;
  }
  headers.length = kept;
}

/** Text as it travels in a header: one character a byte of its UTF-8, because the wire takes each character for a byte. */
export function headerText(text: string): string {
  return /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text).toString("latin1");
}

export function isHeaderName(text: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(text);
}

/** Whether the text, one character a byte, holds nothing that ends or breaks a header line. */
export function isHeaderValue(text: string): boolean {
  return !/[\x00-\x08\x0a-\x1f\x7f\u0100-\uffff]/.test(text);
}

// What ends a line, or becomes such a byte when the wire takes a character for a byte.
const BREAKS_LINE = /[\0\r\n\u0100-\uffff]/;

/**
 * Whether no name or value of the list would break the head it is written into. The list was made from one whose texts
 * are good already: only what differs from them is looked at.
 */
export function areHeadersBeside(headers: readonly string[], good: readonly string[]): boolean {
  let next = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    const value = headers[i + 1]!;
    let at = next;
    while (at < good.length && good[at] !== name) at += 2;
    if (at >= good.length) {
      if (BREAKS_LINE.test(name)) return false;
    } else {
      next = at + 2;
      if (good[at + 1] === value) continue;
    }
    if (BREAKS_LINE.test(value)) return false;
  }
  return true;
}

/** Whether a comma-separated list value has that member. `lower` is lower-case. */
export function hasToken(value: string, lower: string): boolean {
  if (value.length === lower.length) return value.toLowerCase() === lower;
  return value.split(",").some((part) => part.trim().toLowerCase() === lower);
}

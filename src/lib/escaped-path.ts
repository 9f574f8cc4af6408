/**
 * Paths as they travel: normalised and still escaped. Unreserved characters are never escaped, other escapes are in
 * upper case, there are no dot segments and no empty segments. An escaped slash is never a slash here.
 */

const UNRESERVED = /^[A-Za-z0-9\-._~]$/;
// RFC 3986 pchar without the percent sign, and the slash.
const PATH_TEXT = /^[A-Za-z0-9\-._~!$&'()*+,;=:@/]*$/;

/** Whether the path may go on as it is: what a rewrite leaves must pass this. */
export function isNormalPath(path: string): boolean {
  if (path.charCodeAt(0) !== 0x2f || path.includes("//")) return false;
  if (path.includes("/.") && /\/\.\.?(?:\/|$)/.test(path)) return false;
  return PATH_TEXT.test(path) || areEscapesNormal(path);
}

function areEscapesNormal(path: string): boolean {
  const pieces = path.split("%");
  if (!PATH_TEXT.test(pieces[0]!)) return false;
  for (let i = 1; i < pieces.length; i++) {
    const piece = pieces[i]!;
    if (!/^[0-9A-F]{2}/.test(piece) || !PATH_TEXT.test(piece.slice(2))) return false;
    if (UNRESERVED.test(String.fromCharCode(Number.parseInt(piece.slice(0, 2), 16)))) return false;
  }
  return true;
}

/**
 * Gives text that a person or a regular expression made the escapes of a normal path: what cannot stand in a path is
 * escaped, escapes are put in upper case, needless ones are taken out. Dot and empty segments are left for
 * `isNormalPath` to refuse. Undefined when a `%` starts no escape.
 */
export function escapePath(text: string): string | undefined {
  if (PATH_TEXT.test(text)) return text;
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
  return text.replace(
    /%([0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]+/gu,
    (found, hex: string | undefined) => {
      if (hex === undefined) return escapeBytes(found);
      const character = String.fromCharCode(Number.parseInt(hex, 16));
      return UNRESERVED.test(character) ? character : `%${hex.toUpperCase()}`;
    },
  );
}

/** Every byte of the text as an escape; half a character stands for an unknown one. */
export function escapeBytes(text: string): string {
  let escaped = "";
  for (const byte of Buffer.from(text)) escaped += escapeByte(byte);
  return escaped;
}

const escapeByte = (byte: number) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;

/** A prefix written unescaped, made ready to be looked for in escaped paths. */
export interface DecodedPrefix {
  readonly text: string;
  readonly bytes: Buffer;
  /** No byte of it may also be written as an escape in a normal path. */
  readonly plain: boolean;
}

export function decodedPrefix(text: string): DecodedPrefix {
  return { text, bytes: Buffer.from(text), plain: /^[A-Za-z0-9\-._~/]*$/.test(text) };
}

/** How much of the escaped path the prefix covers, or -1 if the path does not start with it. */
export function coveredBy(prefix: DecodedPrefix, path: string): number {
  if (prefix.plain) return path.startsWith(prefix.text) ? prefix.text.length : -1;
  let at = 0;
  for (const wanted of prefix.bytes) {
    let found = path.charCodeAt(at);
    let width = 1;
    if (found === 0x25) {
      found = Number.parseInt(path.slice(at + 1, at + 3), 16);
      width = 3;
      if (found === 0x2f) return -1;
    }
    if (found !== wanted) return -1;
    at += width;
  }
  return at;
}

/** The path as people read it, for regular expressions. Escaped slashes stay escaped; bytes that are no UTF-8 become U+FFFD. */
export function decodePath(path: string): string {
  if (!path.includes("%")) return path;
  return path.replace(/(?:%(?!2F)[0-9A-F]{2})+/g, (run) =>
    Buffer.from(run.replaceAll("%", ""), "hex").toString(),
  );
}

/**
 * How much of the escaped path the first `length` characters of its decoded form cover; -1 if they end inside an
 * escape, or if the bytes there are no UTF-8.
 */
export function coveredByDecoded(path: string, length: number): number {
  let at = 0;
  let units = 0;
  while (units < length) {
    const isSlash = path.startsWith("%2F", at);
    if (path.charCodeAt(at) !== 0x25 || isSlash) {
      at += 1;
      units += 1;
      continue;
    }
    const lead = Number.parseInt(path.slice(at + 1, at + 3), 16);
    const bytes = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const character = decodePath(path.slice(at, at + bytes * 3));
    if (character.includes("\ufffd")) return -1;
    at += bytes * 3;
    units += character.length;
  }
  return units === length ? at : -1;
}

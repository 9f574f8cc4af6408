/**
 * Traefik's routing path: every escape decoded but those of reserved characters and of `%`, so that a decoded path
 * never gains a slash or a question mark that the client did not send as one.
 */
export function routingPath(path: string): string {
  if (!path.includes("%")) return path;
  return path.replace(DECODED_ESCAPES, (run) => Buffer.from(run.replaceAll("%", ""), "hex").toString());
}

// Square brackets are not here: they arrive escaped whichever way they were sent, and decoded is how people write them.
const RESERVED = [...":/?#@!$&'()*+,;=%"]
  .map((character) => character.charCodeAt(0).toString(16).toUpperCase())
  .join("|");
const DECODED_ESCAPES = new RegExp(`(?:%(?!${RESERVED})[0-9A-F]{2})+`, "g");

/** A header value travels as bytes, one character each; people and patterns mean UTF-8. */
export function textOf(value: string): string {
  for (let i = 0; i < value.length; i++) {
    if (value.charCodeAt(i) > 0x7f) return Buffer.from(value, "latin1").toString();
  }
  return value;
}

export function bytesOf(text: string): string {
  return Buffer.from(text).toString("latin1");
}

/** The decoded values of one parameter, in order. As in Go, a pair with a bad escape is not there. */
export function queryValues(query: string, key: string): string[] {
  const values: string[] = [];
  let from = 0;
  let equals = -1;
  for (let i = 0; i <= query.length; i++) {
    const code = i === query.length ? AMPERSAND : query.charCodeAt(i);
    if (code === EQUALS && equals === -1) equals = i;
    // Traefik rewrites every semicolon to an ampersand before it looks.
    if (code !== AMPERSAND && code !== SEMICOLON) continue;
    const keyEnd = equals === -1 ? i : equals;
    if (i > from && unescapeQuery(query.slice(from, keyEnd)) === key) {
      const value = unescapeQuery(equals === -1 ? "" : query.slice(equals + 1, i));
      if (value !== undefined) values.push(value);
    }
    from = i + 1;
    equals = -1;
  }
  return values;
}

const AMPERSAND = 38;
const SEMICOLON = 59;
const EQUALS = 61;

function unescapeQuery(text: string): string | undefined {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  if (!spaced.includes("%")) return textOf(spaced);
  if (/%(?![0-9A-Fa-f]{2})/.test(spaced)) return undefined;
  return textOf(spaced.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))));
}

/** Go's string literals: in backticks as they are, or in double quotes with escapes. */
export type Literal =
  | { readonly value: string /** The end, excluded. */; readonly to: number }
  | { readonly problem: string; readonly offset: number; readonly suggestion?: string };

/** Reads the literal that starts at `from` with a backtick or a double quote. */
export function readGoString(text: string, from: number): Literal {
  return text[from] === "`" ? readRaw(text, from) : readQuoted(text, from);
}

function readRaw(text: string, from: number): Literal {
  const end = text.indexOf("`", from + 1);
  if (end === -1) return { problem: "this backtick is never closed", offset: from };
  return { value: text.slice(from + 1, end).replaceAll("\r", ""), to: end + 1 };
}

const SIMPLE_ESCAPES = new Map(
  Object.entries({ a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v", "\\": "\\", '"': '"' }),
);
const NUMERIC_ESCAPE = /x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})/y;

function readQuoted(text: string, from: number): Literal {
  // \xC3\xA9 is one letter in UTF-8, so the value is put together from bytes.
  const parts: Buffer[] = [];
  let at = from + 1;
  for (;;) {
    const end = plainEnd(text, at);
    if (end === text.length || text[end] === "\n")
      return { problem: "this double quote is never closed", offset: from };
    if (end > at) parts.push(Buffer.from(text.slice(at, end)));
    if (text[end] === '"') return { value: Buffer.concat(parts).toString(), to: end + 1 };
    const escaped = readEscape(text, end + 1);
    if (escaped === undefined) {
      const found = `\\${text[end + 1] ?? ""}`;
      const advice = "write \\\\ for a backslash, or put the text in backticks";
      const problem = `${found} is no escape of a double-quoted text; ${advice}`;
      return { problem, offset: end, suggestion: `\\${found}` };
    }
    parts.push(escaped.bytes);
    at = escaped.to;
  }
}

function plainEnd(text: string, from: number): number {
  for (let i = from; i < text.length; i++) {
    const character = text[i];
    if (character === '"' || character === "\\" || character === "\n") return i;
  }
  return text.length;
}

function readEscape(text: string, at: number): { bytes: Buffer; to: number } | undefined {
  const simple = SIMPLE_ESCAPES.get(text[at] ?? "");
  if (simple !== undefined) return { bytes: Buffer.from(simple), to: at + 1 };
  NUMERIC_ESCAPE.lastIndex = at;
  const [whole, hex, octal, short, long] = NUMERIC_ESCAPE.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const to = at + whole.length;
  if (hex !== undefined) return { bytes: Buffer.of(Number.parseInt(hex, 16)), to };
  if (octal !== undefined) {
    const byte = Number.parseInt(octal, 8);
    return byte > 255 ? undefined : { bytes: Buffer.of(byte), to };
  }
  const point = Number.parseInt((short ?? long)!, 16);
  const isPoint = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
  return isPoint ? { bytes: Buffer.from(String.fromCodePoint(point)), to } : undefined;
}

/** What a body's first 512 bytes say about its type, by the signatures of the WHATWG MIME sniffing standard. */
export function sniffContentType(beginning: Buffer): string {
  const bytes = beginning.subarray(0, 512);
  const text = bytes.toString("latin1");
  const trimmed = text.replace(/^[\t\n\f\r ]+/, "");
  for (const tag of TAGS) if (startsTag(trimmed, tag)) return "text/html; charset=utf-8";
  if (trimmed.startsWith("<?xml")) return "text/xml; charset=utf-8";
  for (const [type, prefix, at = 0] of SIGNATURES) if (text.startsWith(prefix, at)) return type;
  if (text.startsWith("RIFF")) return riffType(text.slice(8, 12));
  if (text.startsWith("FORM") && text.startsWith("AIFF", 8)) return "audio/aiff";
  if (isMp4(bytes, text)) return "video/mp4";
  return BINARY.test(text) ? "application/octet-stream" : "text/plain; charset=utf-8";
}

const TAGS =
  "<!DOCTYPE HTML|<HTML|<HEAD|<SCRIPT|<IFRAME|<H1|<DIV|<FONT|<TABLE|<A|<STYLE|<TITLE|<B|<BODY|<BR|<P|<!--".split(
    "|",
  );
const BINARY = /[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]/;

function startsTag(text: string, tag: string): boolean {
  if (text.slice(0, tag.length).toUpperCase() !== tag) return false;
  return tag === "<!--" || text[tag.length] === " " || text[tag.length] === ">";
}

const SIGNATURES: readonly (readonly [type: string, prefix: string, at?: number])[] = [
  ["application/pdf", "%PDF-"],
  ["application/postscript", "%!PS-Adobe-"],
  ["text/plain; charset=utf-16be", "\xfe\xff"],
  ["text/plain; charset=utf-16le", "\xff\xfe"],
  ["text/plain; charset=utf-8", "\xef\xbb\xbf"],
  ["image/x-icon", "\x00\x00\x01\x00"],
  ["image/x-icon", "\x00\x00\x02\x00"],
  ["image/bmp", "BM"],
  ["image/gif", "GIF87a"],
  ["image/gif", "GIF89a"],
  ["image/png", "\x89PNG\r\n\x1a\n"],
  ["image/jpeg", "\xff\xd8\xff"],
  ["audio/basic", ".snd"],
  ["audio/mpeg", "ID3"],
  ["application/ogg", "OggS\x00"],
  ["audio/midi", "MThd\x00\x00\x00\x06"],
  ["video/webm", "\x1aE\xdf\xa3"],
  ["application/vnd.ms-fontobject", "LP", 34],
  ["font/ttf", "\x00\x01\x00\x00"],
  ["font/otf", "OTTO"],
  ["font/collection", "ttcf"],
  ["font/woff", "wOFF"],
  ["font/woff2", "wOF2"],
  ["application/x-gzip", "\x1f\x8b\x08"],
  ["application/zip", "PK\x03\x04"],
  ["application/x-rar-compressed", "Rar!\x1a\x07\x00"],
  ["application/x-rar-compressed", "Rar!\x1a\x07\x01\x00"],
  ["application/wasm", "\x00asm"],
];

function riffType(format: string): string {
  if (format === "WEBP") return "image/webp";
  if (format === "AVI ") return "video/avi";
  return format === "WAVE" ? "audio/wave" : "application/octet-stream";
}

function isMp4(bytes: Buffer, text: string): boolean {
  if (bytes.length < 12 || !text.startsWith("ftyp", 4)) return false;
  const size = bytes.readUInt32BE(0);
  if (size > bytes.length || size % 4 !== 0) return false;
  for (let at = 8; at < size; at += 4) if (at !== 12 && text.startsWith("mp4", at)) return true;
  return false;
}

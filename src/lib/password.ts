import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import bcrypt from "bcrypt";
import { md5Crypt } from "./md5-crypt.ts";

/** A password as `htpasswd` stores it. */
export type PasswordHash =
  | { readonly kind: "bcrypt"; readonly cost: number; readonly text: string }
  | { readonly kind: "sha"; readonly text: string }
  | { readonly kind: "md5"; readonly magic: string; readonly salt: string; readonly text: string };

const BCRYPT = /^\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
const SHA = /^\{SHA\}[A-Za-z0-9+/]{27}=$/;
const MD5 = /^\$([A-Za-z0-9]+)\$([^$]{1,8})\$[./A-Za-z0-9]{22}$/;

/** The hash, or a sentence that says why it is none. */
export function parsePasswordHash(text: string): PasswordHash | string {
  const cost = BCRYPT.exec(text)?.[1];
  // The tables of all four letters are the same; they only mark old bugs of other implementations.
  if (cost !== undefined) return { kind: "bcrypt", cost: Number(cost), text: `$2b${text.slice(3)}` };
  if (SHA.test(text)) return { kind: "sha", text };
  const [, magic, salt] = MD5.exec(text) ?? [];
  if (magic !== undefined && !/^[256]/.test(magic)) return { kind: "md5", magic, salt: salt!, text };
  return whyNoHash(text);
}

function whyNoHash(text: string): string {
  if (/^\$[56]\$/.test(text)) return "is a SHA crypt hash, which is not supported; make one with htpasswd -B";
  // A shell turns $2y$05$ into "y" and "bash5", compose turns $name into nothing or keeps half of it.
  const looksEaten = /^\$?(?:2?[abxy])?\$?\d\d|^y?\w*sh\d|^\$(?:2|apr1|1)|^[./A-Za-z0-9]*$/.test(text);
  return looksEaten
    ? "is only part of a password hash: did compose or a shell swallow its $ signs? In a compose file write every $ as $$"
    : "is not a password hash; expected bcrypt ($2y$...), {SHA} or MD5 crypt ($apr1$...)";
}

/** Bcrypt looks at 72 bytes only and at none after a NUL, so a longer password would equal its beginning. */
const BCRYPT_BYTES_MAX = 72;

/** Whether the password is the one that was hashed. Bcrypt works off the event loop. */
export async function verifyPassword(password: string, expected: PasswordHash): Promise<boolean> {
  switch (expected.kind) {
    case "bcrypt": {
      const usable = Buffer.byteLength(password) <= BCRYPT_BYTES_MAX && !password.includes("\0");
      const equal = await bcrypt.compare(usable ? password : "", expected.text);
      return equal && usable;
    }
    case "sha":
      return sameText(`{SHA}${hash("sha1", password, "base64")}`, expected.text);
    case "md5":
      return sameText(md5Crypt(password, expected.magic, expected.salt), expected.text);
  }
}

function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** A hash that no password has and that costs as much to try as the given one. */
export function dummyLike(real: PasswordHash): PasswordHash {
  const digits = (count: number) => randomBytes(count).toString("hex").slice(0, count);
  switch (real.kind) {
    case "bcrypt":
      return { ...real, text: `$2b$${String(real.cost).padStart(2, "0")}$${digits(53)}` };
    case "sha":
      return { kind: "sha", text: "{SHA}" };
    case "md5":
      return { kind: "md5", magic: real.magic, salt: digits(8), text: "" };
  }
}

/** How much work one try is, to choose the dummy that hides which users there are. */
export function passwordWork(real: PasswordHash): number {
  return real.kind === "bcrypt" ? 2 ** real.cost : real.kind === "md5" ? 8 : 0;
}

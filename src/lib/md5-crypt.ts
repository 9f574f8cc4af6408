import { hash } from "node:crypto";

const ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
// The order in which the algorithm packs its 16 bytes into groups of three.
const GROUPS = [
  [0, 6, 12],
  [1, 7, 13],
  [2, 8, 14],
  [3, 9, 15],
  [4, 10, 5],
] as const;

const md5 = (...parts: readonly Buffer[]) => hash("md5", Buffer.concat(parts), "buffer");

/** MD5 crypt as `htpasswd -m` and BSD make it: `$magic$salt$digest`, a thousand rounds. */
export function md5Crypt(password: string, magic: string, salt: string): string {
  const secret = Buffer.from(password);
  const seed = Buffer.from(salt.slice(0, 8));
  let digest = md5(...firstRound(secret, Buffer.from(`$${magic}$`), seed));
  for (let round = 0; round < 1000; round++) {
    const parts = [round & 1 ? secret : digest];
    if (round % 3 !== 0) parts.push(seed);
    if (round % 7 !== 0) parts.push(secret);
    parts.push(round & 1 ? digest : secret);
    digest = md5(...parts);
  }
  return `$${magic}$${seed.toString()}$${pack(digest)}`;
}

function firstRound(secret: Buffer, magic: Buffer, seed: Buffer): Buffer[] {
  const inner = md5(secret, seed, secret);
  const parts = [secret, magic, seed];
  for (let left = secret.length; left > 0; left -= 16) parts.push(inner.subarray(0, Math.min(16, left)));
  for (let bits = secret.length; bits > 0; bits >>= 1)
    parts.push(bits & 1 ? Buffer.of(0) : secret.subarray(0, 1));
  return parts;
}

function pack(digest: Buffer): string {
  let packed = "";
  for (const [a, b, c] of GROUPS) packed += sextets((digest[a]! << 16) | (digest[b]! << 8) | digest[c]!, 4);
  return packed + sextets(digest[11]!, 2);
}

function sextets(value: number, count: number): string {
  let text = "";
  for (let i = 0; i < count; i++) text += ALPHABET[(value >> (6 * i)) & 0x3f];
  return text;
}

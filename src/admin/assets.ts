import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";

/** The dashboard's files by name, as they were built: `index.html`, `app.js`. */
export type Assets = ReadonlyMap<string, Buffer>;

const TYPES = new Map([
  ["html", "text/html; charset=utf-8"],
  ["js", "text/javascript; charset=utf-8"],
  ["css", "text/css; charset=utf-8"],
  ["svg", "image/svg+xml"],
]);

/** Nothing from anywhere else, nothing inline, no frames around it (AD-04, AD-09). */
const HEADERS = {
  "content-security-policy":
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
  "x-frame-options": "DENY",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-cache",
};

interface Ready {
  readonly type: string;
  readonly plain: Buffer;
  readonly packed: Buffer;
  readonly tag: string;
}

/** Answers with files that are in memory: there is no path to lead anywhere else (AD-13). */
export class AssetServer {
  readonly #files: ReadonlyMap<string, Ready>;

  constructor(assets: Assets) {
    this.#files = new Map([...assets].map(([name, bytes]) => [name, ready(name, bytes)]));
  }

  /** False when there is no such file. */
  answer(name: string, { headers, method }: IncomingMessage, response: ServerResponse): boolean {
    const file = this.#files.get(name);
    if (file === undefined) return false;
    const same = { ...HEADERS, etag: file.tag, vary: "accept-encoding" };
    if (headers["if-none-match"] === file.tag) {
      response.writeHead(304, same).end();
      return true;
    }
    const packs = /\bgzip\b/.test(String(headers["accept-encoding"] ?? ""));
    const body = packs ? file.packed : file.plain;
    response.writeHead(200, {
      ...same,
      "content-type": file.type,
      "content-length": body.length,
      ...(packs && { "content-encoding": "gzip" }),
    });
    response.end(method === "HEAD" ? undefined : body);
    return true;
  }
}

function ready(name: string, plain: Buffer): Ready {
  const tag = `"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"`;
  const type = TYPES.get(name.slice(name.lastIndexOf(".") + 1)) ?? "application/octet-stream";
  return { type, plain, packed: gzipSync(plain, { level: 9 }), tag };
}

import { createHmac, hash, randomBytes, timingSafeEqual } from "node:crypto";
import { SharedTable } from "../lib/shared-table.ts";
import { readDigestUsers } from "../lib/user-list.ts";
import type { Exchange } from "../model/exchange.ts";
import { getHeader } from "../model/headers.ts";
import { askForLogin, checkLogins, loginOptions, quotedRealm, welcome } from "../model/logins.ts";
import { middleware, type Outcome } from "../model/middleware.ts";
import { list } from "../schema/composites.ts";
import { text } from "../schema/kinds.ts";

const SLOTS = 8192;
const BYTES = SharedTable.bytesFor(SLOTS);
// A challenge that is older than this is answered with a new one, which the browser uses without asking again.
const NONCE_S = 3600;
const NONCE_COUNT_MAX = 0xffffffff;

export default middleware({
  name: "digestAuth",
  summary: "Lets only those through who know a user's password, which itself is never sent.",

  options: {
    users: list(text)({
      doc: "Users as name:realm:hash, the hash as made by htdigest.",
      secret: true,
      example: "test:traefik:a2688e031edb4be6a3797f3882655c05",
    }),
    ...loginOptions,
  },

  check(options, problem) {
    checkLogins(options, problem);
    const { users, realm } = options;
    const read = readDigestUsers(users, realm);
    if (typeof read === "string") problem("users", read);
    else if (users.length > 0 && read.size === 0)
      problem("users", `names nobody of the realm ${JSON.stringify(realm)}`);
  },

  sharedBytes: () => BYTES,

  create(options, host) {
    const file = options.usersFile === "" ? "" : host.readFile(options.usersFile);
    const users = readDigestUsers([file, ...options.users], options.realm);
    if (typeof users === "string") throw new Error(`digestAuth: ${users}`);
    const realm = quotedRealm(options.realm);
    const nonces = new Nonces(host.shared ?? new SharedArrayBuffer(BYTES), host.nowMs);
    const failures = host.counter(
      "digest_auth_failures_total",
      "Requests refused for a missing or wrong digest.",
    );
    // Nobody's: what an unknown user is compared with, so that it costs the same time.
    const nobody = randomBytes(16).toString("hex");

    return {
      onRequest(exchange) {
        const given = readCredentials(getHeader(exchange.headers, "authorization"));
        if (given === undefined) return challenge(false);
        exchange.username = given.username;
        const secret = users.get(given.username);
        const isRight = isExpected(given, secret ?? nobody, exchange) && secret !== undefined;
        if (!isRight || given.realm !== options.realm) return challenge(false);
        if (!nonces.use(given.nonce, given.nc)) return challenge(true);
        return welcome(exchange, given.username, options);
      },
    };

    function challenge(stale: boolean): Outcome {
      if (!stale) failures.add(1);
      const value = `Digest realm=${realm}, nonce="${nonces.make()}", opaque="${nonces.opaque}", algorithm=MD5, qop="auth"`;
      return stale
        ? askForLogin("digestAuth: stale nonce", `${value}, stale=TRUE`)
        : askForLogin("digestAuth", value);
    }
  },
});

interface Credentials {
  readonly username: string;
  readonly realm: string;
  readonly nonce: string;
  readonly uri: string;
  readonly nc: string;
  readonly cnonce: string;
  readonly response: string;
}

function readCredentials(header: string | undefined): Credentials | undefined {
  if (header === undefined || header.length > 4096 || !/^digest /i.test(header)) return undefined;
  const fields = new Map<string, string>();
  for (const [, name, quoted, bare] of header
    .slice(7)
    .matchAll(/(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g)) {
    fields.set(name!.toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? bare ?? "");
  }
  const field = (name: string) => fields.get(name) ?? "";
  const credentials = {
    // It came as UTF-8 bytes, one a character.
    username: Buffer.from(field("username"), "latin1").toString(),
    realm: field("realm"),
    nonce: field("nonce"),
    uri: field("uri"),
    nc: field("nc"),
    cnonce: field("cnonce"),
    response: field("response"),
  };
  const { username, nc, response } = credentials;
  const isSane =
    !/[\x00-\x1f\x7f]/.test(username) && /^[0-9a-f]{8}$/i.test(nc) && /^[0-9a-f]{32}$/i.test(response);
  const isOurs = field("qop") === "auth" && /^(?:md5)?$/i.test(field("algorithm"));
  return isSane && isOurs ? credentials : undefined;
}

const md5 = (value: string) => hash("md5", Buffer.from(value, "latin1"), "hex");

function isExpected(given: Credentials, secret: string, exchange: Exchange): boolean {
  const request = md5(`${exchange.method}:${given.uri}`);
  const expected = md5(`${secret}:${given.nonce}:${given.nc}:${given.cnonce}:auth:${request}`);
  const isRight = timingSafeEqual(Buffer.from(expected), Buffer.from(given.response.toLowerCase()));
  return isRight && isUriOf(given.uri, exchange);
}

/** Some old clients leave the query out. Nothing else may differ, or one digest would open other paths. */
function isUriOf(uri: string, exchange: Exchange): boolean {
  const target = uri.replace(/^https?:\/\/[^/?]*/i, "");
  const mark = target.indexOf("?");
  if (mark < 0) return target === exchange.path;
  return target.slice(0, mark) === exchange.path && target.slice(mark + 1) === exchange.query;
}

/**
 * Challenges that need no memory until they are used: the time and a keyed hash of it. Counts of those in use are in
 * memory that all threads share, so that none is used twice.
 */
class Nonces {
  readonly opaque: string;
  readonly #table: SharedTable;
  readonly #secret: Buffer;
  readonly #nowMs: () => number;

  constructor(memory: SharedArrayBuffer, nowMs: () => number) {
    this.#table = new SharedTable(memory, SLOTS);
    this.#secret = this.#table.secret;
    this.#nowMs = nowMs;
    this.opaque = this.#sign("opaque");
  }

  make(): string {
    const body = `${this.#nowS().toString(36)}-${randomBytes(9).toString("base64url")}`;
    return `${body}.${this.#sign(body)}`;
  }

  /** Whether the nonce is ours, fresh, and this count follows all that were used before. */
  use(nonce: string, nc: string): boolean {
    const dot = nonce.lastIndexOf(".");
    if (dot < 0 || this.#sign(nonce.slice(0, dot)) !== nonce.slice(dot + 1)) return false;
    const madeS = Number.parseInt(nonce, 36);
    const nowS = this.#nowS();
    if (!(madeS <= nowS && nowS - madeS < NONCE_S)) return false;
    return this.#count(nonce, Number.parseInt(nc, 16), madeS + NONCE_S, nowS);
  }

  // A slot's value is the time at which the nonce expires in its upper half, the last count in its lower.
  #count(nonce: string, count: number, expiryS: number, nowS: number): boolean {
    // What is not in the table has not been used yet, or was pushed out by others: only its first use may pass.
    if (this.#table.find(nonce, 0) < 0 && count !== 1) return false;
    const slot = this.#table.claim(nonce, 0, BigInt(nowS) << 32n, true);
    if (slot < 0) return false;
    for (;;) {
      const value = this.#table.load(slot);
      const isNew = value >> 32n !== BigInt(expiryS);
      const last = isNew ? 0 : Number(value & 0xffffffffn);
      if (count <= last || count > NONCE_COUNT_MAX) return false;
      if (this.#table.swap(slot, value, (BigInt(expiryS) << 32n) | BigInt(count))) return true;
    }
  }

  #sign(body: string): string {
    return createHmac("sha256", this.#secret).update(body).digest("base64url").slice(0, 22);
  }

  #nowS(): number {
    return Math.floor(this.#nowMs() / 1000);
  }
}

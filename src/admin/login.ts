import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { dummyLike, type PasswordHash, passwordWork, verifyPassword } from "../lib/password.ts";
import { readUsers } from "../lib/user-list.ts";
import type { Settings } from "../model/settings.ts";
import { clientOf } from "./guard.ts";
import { Refusal } from "./listing.ts";

const COOKIE = "waybill-session";
const SESSION_MS = 12 * 3_600_000;
const SESSIONS_MAX = 1000;
/** Tries that failed, in one minute (AD-07). */
const TRIES_PER_CLIENT = 5;
const TRIES_OF_ALL = 60;
const MINUTE_MS = 60_000;
const BODY_MAX = 4096;

/** The login of the API and the dashboard, if the settings ask for one. */
export class Login {
  readonly #token: Buffer | undefined;
  readonly #users: ReadonlyMap<string, PasswordHash>;
  readonly #costliest: PasswordHash | undefined;
  readonly #nowMs: () => number;
  /** Hash of a session's secret to when it ends. */
  readonly #sessions = new Map<string, number>();
  #tries = new Map<string, number>();
  #triesSinceMs = 0;

  constructor(api: Settings["api"], nowMs: () => number) {
    const users = readUsers(api?.auth?.users ?? []);
    this.#token = api?.auth?.token ? digest(api.auth.token) : undefined;
    // The settings were checked before; whoever cannot be read is nobody.
    this.#users = typeof users === "string" ? new Map() : users;
    this.#costliest = [...this.#users.values()].sort((a, b) => passwordWork(b) - passwordWork(a))[0];
    this.#nowMs = nowMs;
  }

  get isNeeded(): boolean {
    return this.#token !== undefined || this.#users.size > 0;
  }

  /** What the login page asks for. */
  get asksFor(): "token" | "password" | "nothing" {
    return this.#users.size > 0 ? "password" : this.#token === undefined ? "nothing" : "token";
  }

  /** Whether the request is from somebody who may see. Passwords are tried here too, and counted. */
  async admits(request: IncomingMessage): Promise<boolean> {
    if (!this.isNeeded) return true;
    const session = cookieOf(request);
    if (session !== undefined && this.#isOpen(session)) return true;
    const [scheme = "", credentials = ""] = (request.headers.authorization ?? "").split(" ");
    if (/^bearer$/i.test(scheme)) return this.#try(request, "", credentials);
    if (!/^basic$/i.test(scheme)) return false;
    const decoded = Buffer.from(credentials, "base64").toString();
    const colon = decoded.indexOf(":");
    return this.#try(request, decoded.slice(0, Math.max(0, colon)), decoded.slice(colon + 1));
  }

  /** Opens a session: gives the cookie, or undefined when the password is wrong. */
  async open(request: IncomingMessage): Promise<string | undefined> {
    const { user, password } = credentialsIn(await readBody(request));
    if (!(await this.#try(request, user, password))) return undefined;
    const before = cookieOf(request);
    if (before !== undefined) this.#sessions.delete(nameOf(before));
    if (this.#sessions.size >= SESSIONS_MAX) this.#sessions.delete(this.#sessions.keys().next().value!);
    const secret = randomBytes(32).toString("base64url");
    this.#sessions.set(nameOf(secret), this.#nowMs() + SESSION_MS);
    return cookie(request, secret, SESSION_MS / 1000);
  }

  /** Ends the session: gives the cookie that forgets it. */
  close(request: IncomingMessage): string {
    const session = cookieOf(request);
    if (session !== undefined) this.#sessions.delete(nameOf(session));
    return cookie(request, "", 0);
  }

  #isOpen(secret: string): boolean {
    const until = this.#sessions.get(nameOf(secret));
    if (until === undefined) return false;
    if (until > this.#nowMs()) return true;
    this.#sessions.delete(nameOf(secret));
    return false;
  }

  async #try(request: IncomingMessage, user: string, password: string): Promise<boolean> {
    const client = clientOf(request);
    this.#spendTry(client);
    const isRight = (await this.#isUser(user, password)) || (user === "" && this.#isToken(password));
    // Only failures count; a try is taken first so that many at once do not slip through.
    if (isRight) this.#giveBack(client);
    return isRight;
  }

  async #isUser(user: string, password: string): Promise<boolean> {
    if (this.#costliest === undefined) return false;
    const known = this.#users.get(user);
    // Somebody who is not there costs the same time as a wrong password.
    const isRight = await verifyPassword(password, known ?? dummyLike(this.#costliest));
    return isRight && known !== undefined;
  }

  #isToken(password: string): boolean {
    return this.#token !== undefined && timingSafeEqual(digest(password), this.#token);
  }

  #spendTry(client: string): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#triesSinceMs >= MINUTE_MS) {
      this.#triesSinceMs = nowMs;
      this.#tries = new Map();
    }
    const own = this.#tries.get(client) ?? 0;
    const all = this.#tries.get(ALL) ?? 0;
    if (own >= TRIES_PER_CLIENT || all >= TRIES_OF_ALL) {
      throw new Refusal(429, "too many logins failed; try again in a minute");
    }
    this.#tries.set(client, own + 1);
    this.#tries.set(ALL, all + 1);
  }

  #giveBack(client: string): void {
    this.#tries.set(client, Math.max(0, (this.#tries.get(client) ?? 0) - 1));
    this.#tries.set(ALL, Math.max(0, (this.#tries.get(ALL) ?? 0) - 1));
  }
}

/** Not an address, so no client's own count. */
const ALL = "all";

const digest = (text: string) => createHash("sha256").update(text).digest();
const nameOf = (secret: string) => digest(secret).toString("base64url");

function cookieOf({ headers }: IncomingMessage): string | undefined {
  for (const part of (headers.cookie ?? "").split(";")) {
    const [name, value] = part.trim().split("=", 2);
    if (name === COOKIE && value) return value;
  }
  return undefined;
}

function cookie(request: IncomingMessage, secret: string, ageS: number): string {
  const secure = request.headers["x-forwarded-proto"] === "https" ? "; Secure" : "";
  return `${COOKIE}=${secret}; Path=/; Max-Age=${ageS}; HttpOnly; SameSite=Strict${secure}`;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_MAX) throw new Refusal(413, "the request is larger than a login can be");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function credentialsIn(body: string): { user: string; password: string } {
  let given: unknown;
  try {
    given = JSON.parse(body);
  } catch {
    throw new Refusal(400, "expected JSON");
  }
  const { user = "", password } = (given ?? {}) as { user?: unknown; password?: unknown };
  if (typeof user !== "string" || typeof password !== "string") {
    throw new Refusal(
      400,
      'expected {"user": "...", "password": "..."}; a token is a password without a user',
    );
  }
  return { user, password };
}

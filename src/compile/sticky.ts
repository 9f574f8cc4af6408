import { createHash } from "node:crypto";
import type { sticky } from "../model/dynamic.ts";
import type { Exchange } from "../model/exchange.ts";
import type { Hooks } from "../model/middleware.ts";
import type { Values } from "../schema/option.ts";
import { getCookie } from "./cookies.ts";

type Sticky = NonNullable<Values<{ sticky: ReturnType<typeof sticky> }>["sticky"]>;

/**
 * A cookie that brings a client back to the member it had. The value is a truncated hash, so it tells nothing about
 * the address, and one that fits no member is as good as none (HD-18).
 */
export class StickyCookie<M> {
  readonly name: string;
  readonly #members: ReadonlyMap<string, M>;
  /** By what they are made from: nothing is hashed on a request. */
  readonly #values: ReadonlyMap<string, string>;
  readonly #attributes: string;

  /** `keyed` pairs each member with what its value is made from: a server's URL, a service's name. */
  constructor(
    service: string,
    options: NonNullable<Sticky["cookie"]>,
    keyed: readonly (readonly [string, M])[],
  ) {
    this.name =
      options.name === "" ? defaultName(service) : options.name.replace(/[^!#$%&'*+.^_`|~0-9a-z-]/gi, "_");
    this.#values = new Map(keyed.map(([key]) => [key, cookieValue(key)]));
    this.#members = new Map(keyed.map(([key, member]) => [this.#values.get(key)!, member]));
    this.#attributes = attributesOf(options);
  }

  /** The member that the client's cookie names, or undefined. */
  read(exchange: Exchange): M | undefined {
    const value = getCookie(exchange.headers, this.name);
    return value === undefined ? undefined : this.#members.get(value);
  }

  /** Tells the client which member it has now, if it does not know. */
  write(exchange: Exchange, key: string): void {
    const value = this.#values.get(key);
    if (value === undefined || getCookie(exchange.headers, this.name) === value) return;
    exchange.replyHeaders.push("Set-Cookie", `${this.name}=${value}${this.#attributes}`);
  }
}

/** The cookie a service's `sticky` asks for, if it asks for one. */
export function makeSticky<M>(
  service: string,
  options: Sticky | undefined,
  keyed: readonly (readonly [string, M])[],
): StickyCookie<M> | undefined {
  return options?.cookie === undefined ? undefined : new StickyCookie(service, options.cookie, keyed);
}

/** Sends the cookie with the reply of whichever server answered in the end, retries included. */
export function serverCookieHook(cookie: StickyCookie<unknown>): Hooks {
  return {
    onResponse(exchange) {
      if (exchange.server !== undefined) cookie.write(exchange, exchange.server);
      return undefined;
    },
  };
}

// As Traefik makes them, so that clients keep their servers when a Traefik is replaced.
function defaultName(service: string): string {
  return `_${createHash("sha1").update(`_TRAEFIK_BACKEND_${service}`).digest("hex").slice(0, 5)}`;
}

function cookieValue(key: string): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 16);
}

function attributesOf(options: NonNullable<Sticky["cookie"]>): string {
  const SAME_SITE = { none: "None", lax: "Lax", strict: "Strict", "": "" };
  let text = "";
  if (options.path !== "") text += `; Path=${options.path}`;
  if (options.domain !== "") text += `; Domain=${options.domain}`;
  if (options.maxAge !== 0) text += `; Max-Age=${Math.max(0, options.maxAge)}`;
  if (options.httpOnly) text += "; HttpOnly";
  if (options.secure) text += "; Secure";
  if (options.sameSite !== "") text += `; SameSite=${SAME_SITE[options.sameSite]}`;
  return text;
}

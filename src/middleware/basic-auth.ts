import { KnownLogins } from "../lib/known-logins.ts";
import { dummyLike, type PasswordHash, passwordWork, verifyPassword } from "../lib/password.ts";
import { readUsers } from "../lib/user-list.ts";
import type { Exchange, Reply } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import { getHeader } from "../model/headers.ts";
import { askForLogin, checkLogins, loginOptions, quotedRealm, welcome } from "../model/logins.ts";
import { middleware, type Outcome } from "../model/middleware.ts";
import { list } from "../schema/composites.ts";
import { text } from "../schema/kinds.ts";

// Beyond this many passwords being tried at once an attacker is at work, and the others must not wait for them.
const TRIES_MAX = 64;
const REMEMBER_MS = 5 * 60_000;

const BUSY: Reply = {
  status: 503,
  reason: "basicAuth: too many logins at once",
  headers: ["Retry-After", "1"],
  body: "",
  fault: FAULTS.overloaded,
};

export default middleware({
  name: "basicAuth",
  summary: "Lets only those through who know a user's password.",

  options: {
    users: list(text)({
      doc: "Users as name:hash, the hash as made by htpasswd (bcrypt, {SHA} or MD5 crypt).",
      secret: true,
      example: "admin:$2y$05$GqS2mlGBaBlDVMmGMXDMCuJdUnsoy6E1fA2FcYSoz5yR5VIcjzXd6",
    }),
    ...loginOptions,
  },

  check(options, problem) {
    checkLogins(options, problem);
    const read = readUsers(options.users);
    if (typeof read === "string") problem("users", read);
  },

  sharedBytes: () => KnownLogins.bytes,

  create(options, host) {
    const users = usersOf(options.users, options.usersFile === "" ? "" : host.readFile(options.usersFile));
    const costliest = [...users.values()].reduce((a, b) => (passwordWork(b) > passwordWork(a) ? b : a));
    const nobody = dummyLike(costliest);
    const known = new KnownLogins(
      host.shared ?? new SharedArrayBuffer(KnownLogins.bytes),
      REMEMBER_MS,
      host.nowMs,
    );
    const failures = host.counter(
      "basic_auth_failures_total",
      "Requests refused for a missing or wrong password.",
    );
    const trying = new Map<string, Promise<boolean>>();
    const refusal = askForLogin("basicAuth", `Basic realm=${quotedRealm(options.realm)}`);

    return {
      onRequest(exchange) {
        const login = readLogin(exchange);
        if (login === undefined) return refuse();
        exchange.username = login.user;
        const hash = users.get(login.user);
        const key = known.keyOf(login.user, hash?.text ?? "", login.password);
        if (hash !== undefined && known.has(key)) return welcome(exchange, login.user, options);
        return tryPassword(exchange, login, hash, key);
      },
    };

    async function tryPassword(
      exchange: Exchange,
      { user, password }: Login,
      hash: PasswordHash | undefined,
      key: string,
    ): Promise<Outcome> {
      let attempt = trying.get(key);
      if (attempt === undefined) {
        if (trying.size >= TRIES_MAX) return BUSY;
        // A user that is not there costs the same time as a wrong password.
        attempt = verifyPassword(password, hash ?? nobody);
        trying.set(key, attempt);
        attempt.finally(() => trying.delete(key)).catch(() => {});
      }
      const isRight = (await attempt) && hash !== undefined;
      if (!isRight) return refuse();
      known.add(key);
      return welcome(exchange, user, options);
    }

    function refuse(): Outcome {
      failures.add(1);
      return refusal;
    }
  },
});

interface Login {
  readonly user: string;
  readonly password: string;
}

function readLogin(exchange: Exchange): Login | undefined {
  const [, encoded] =
    /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(getHeader(exchange.headers, "authorization") ?? "") ?? [];
  if (encoded === undefined) return undefined;
  const decoded = Buffer.from(encoded, "base64").toString();
  const colon = decoded.indexOf(":");
  // A control character in the name could end up in a header or a log.
  if (colon < 0 || /[\x00-\x1f\x7f]/.test(decoded.slice(0, colon))) return undefined;
  return { user: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

/** Users of the file first; the same name in the option overrides. */
function usersOf(users: readonly string[], file: string): Map<string, PasswordHash> {
  const read = readUsers([file, ...users]);
  if (typeof read === "string") throw new Error(`basicAuth: ${read}`);
  if (read.size === 0) throw new Error("basicAuth: usersFile names no user");
  return read;
}

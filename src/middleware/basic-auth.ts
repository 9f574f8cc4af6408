import { KnownLogins } from "../lib/known-logins.ts";
import { dummyLike, type PasswordHash, passwordWork, verifyPassword } from "../lib/password.ts";
import { readUsers } from "../lib/user-list.ts";
import { type Exchange, type Reply, reply } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import { getHeader, headerText, isHeaderName, removeAliases, removeHeader } from "../model/headers.ts";
import { middleware, type Outcome } from "../model/middleware.ts";
import { bool, text } from "../schema/kinds.ts";
import { list } from "../schema/option.ts";

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
    usersFile: text({ doc: "File with one user a line.", default: "" }),
    realm: text({ doc: "What the browser shows when it asks for the password.", default: "traefik" }),
    headerField: text({
      doc: "Header that tells the application who it is.",
      default: "",
      example: "X-User",
    }),
    removeHeader: bool({ doc: "Keep the Authorization header from the application.", default: "false" }),
  },

  check({ users, usersFile, realm, headerField }, problem) {
    if (users.length === 0 && usersFile === "")
      problem("users", "must name at least one user, or usersFile a file");
    const read = readUsers(users);
    if (typeof read === "string") problem("users", read);
    if (/[^\x20-\x7e]/.test(realm)) problem("realm", "must be printable ASCII");
    if (headerField !== "" && !isHeaderName(headerField)) problem("headerField", "must be a header name");
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
    const refusal = reply(
      401,
      "basicAuth",
      [
        "WWW-Authenticate",
        `Basic realm="${options.realm.replace(/["\\]/g, "\\$&")}"`,
        "Content-Type",
        "text/plain",
      ],
      "401 Unauthorized\n",
    );

    return {
      onRequest(exchange) {
        const login = readLogin(exchange);
        if (login === undefined) return refuse();
        exchange.username = login.user;
        const hash = users.get(login.user);
        const key = known.keyOf(login.user, hash?.text ?? "", login.password);
        if (hash !== undefined && known.has(key)) return welcome(exchange, login.user);
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
      return welcome(exchange, user);
    }

    function refuse(): Outcome {
      failures.add(1);
      return refusal;
    }

    function welcome(exchange: Exchange, user: string): undefined {
      if (options.headerField !== "") {
        removeAliases(exchange.headers, options.headerField.toLowerCase());
        exchange.headers.push(options.headerField, headerText(user));
      }
      if (options.removeHeader) removeHeader(exchange.headers, "authorization");
      return undefined;
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

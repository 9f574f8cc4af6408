import { bool, text } from "../schema/kinds.ts";
import { type Exchange, type Reply, reply } from "./exchange.ts";
import { headerText, isHeaderName, removeAliases, removeHeader } from "./headers.ts";

/** What the middlewares that ask for a user and a password have in common. */
export const loginOptions = {
  usersFile: text({ doc: "File with one user a line.", default: "" }),
  realm: text({ doc: "What the browser shows when it asks for the password.", default: "traefik" }),
  headerField: text({
    doc: "Header that tells the application who it is.",
    default: "",
    example: "X-User",
  }),
  removeHeader: bool({ doc: "Keep the Authorization header from the application.", default: "false" }),
};

export interface LoginOptions {
  readonly users: readonly string[];
  readonly usersFile: string;
  readonly realm: string;
  readonly headerField: string;
  readonly removeHeader: boolean;
}

export function checkLogins(
  { users, usersFile, realm, headerField }: LoginOptions,
  problem: (option: "users" | "realm" | "headerField", message: string) => void,
): void {
  if (users.length === 0 && usersFile === "")
    problem("users", "must name at least one user, or usersFile a file");
  if (/[^\x20-\x7e]/.test(realm)) problem("realm", "must be printable ASCII");
  if (headerField !== "" && !isHeaderName(headerField)) problem("headerField", "must be a header name");
}

/** The realm as it stands in a challenge, in quotes. */
export const quotedRealm = (realm: string) => `"${realm.replace(/["\\]/g, "\\$&")}"`;

export function askForLogin(reason: string, challenge: string): Reply {
  const headers = ["WWW-Authenticate", challenge, "Content-Type", "text/plain"];
  return reply(401, reason, headers, "401 Unauthorized\n");
}

/** Tells the application who it is, which no client can, and keeps the password from it if asked to. */
export function welcome(exchange: Exchange, user: string, options: LoginOptions): undefined {
  if (options.headerField !== "") {
    removeAliases(exchange.headers, options.headerField.toLowerCase());
    exchange.headers.push(options.headerField, headerText(user));
  }
  if (options.removeHeader) removeHeader(exchange.headers, "authorization");
}

import { type PasswordHash, parsePasswordHash } from "./password.ts";

/** Each text may hold several lines, as a secret's file does. A text is returned that says what is wrong. */
export function readUsers(texts: readonly string[]): Map<string, PasswordHash> | string {
  const users = new Map<string, PasswordHash>();
  for (const line of texts.flatMap((entry) => entry.split("\n"))) {
    const entry = line.trim();
    if (entry === "" || entry.startsWith("#")) continue;
    const [name, hash, ...rest] = entry.split(":");
    if (hash === undefined || rest.length > 0)
      return `must be name:hash, found ${JSON.stringify(name)} and ${rest.length === 0 ? "no" : "more than one"} colon`;
    const parsed = parsePasswordHash(hash);
    if (typeof parsed === "string") return `has a user ${JSON.stringify(name)} whose hash ${parsed}`;
    users.set(name!, parsed);
  }
  return users;
}

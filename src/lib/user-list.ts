import { type PasswordHash, parsePasswordHash } from "./password.ts";

/** Users of basic authentication, `name:hash`. A text is returned that says what is wrong. */
export function readUsers(texts: readonly string[]): Map<string, PasswordHash> | string {
  const users = new Map<string, PasswordHash>();
  const wrong = readEntries(texts, "name:hash", (name, [hash]) => {
    const parsed = parsePasswordHash(hash!);
    if (typeof parsed === "string") return `has a user ${JSON.stringify(name)} whose hash ${parsed}`;
    users.set(name, parsed);
    return undefined;
  });
  return wrong ?? users;
}

/** Users of digest authentication, `name:realm:hash`: those of this realm. */
export function readDigestUsers(texts: readonly string[], realm: string): Map<string, string> | string {
  const users = new Map<string, string>();
  const wrong = readEntries(texts, "name:realm:hash", (name, [itsRealm, digest]) => {
    if (!/^[0-9a-f]{32}$/i.test(digest!))
      return `has a user ${JSON.stringify(name)} whose hash is not 32 hexadecimal digits; make it with htdigest`;
    if (itsRealm === realm) users.set(name, digest!.toLowerCase());
    return undefined;
  });
  return wrong ?? users;
}

/**
 * One entry a line, `#` for comments; each text may hold several lines, as a secret's file does. What is no entry is
 * not shown: it may be the wrong file, and a secret.
 */
function readEntries(
  texts: readonly string[],
  form: string,
  take: (name: string, rest: readonly string[]) => string | undefined,
): string | undefined {
  const colons = form.split(":").length - 1;
  const lines = texts.flatMap((text) => text.split("\n")).map((line) => line.trim());
  const entries = lines.filter((line) => line !== "" && !line.startsWith("#"));
  for (const [index, entry] of entries.entries()) {
    const [name, ...rest] = entry.split(":");
    if (rest.length !== colons) return `must be ${form}, but user ${index + 1} has ${countOf(rest.length)}`;
    const wrong = take(name!, rest);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

const countOf = (colons: number) =>
  colons === 0 ? "no colon" : colons === 1 ? "one colon" : `${colons} colons`;

import { createHash } from "node:crypto";
import { posix } from "node:path";
import { compileGoRegexp, type GoRegexp, parseGoReplacement } from "./go-regexp.ts";
import { goQuote } from "./go-template-format.ts";
import {
  ANY,
  BadValue,
  fromJson,
  integer,
  isList,
  list,
  type Row,
  show,
  type TemplateList,
  type TemplateValue,
  text,
  toJson,
} from "./go-template-values.ts";

/** sprig's functions on texts, with its order of values: what is worked on comes last, so that it can be piped in. */
export const TEXT_FUNCTIONS: readonly Row[] = [
  ["toString", 1, 1, ([value]) => show(value)],
  ["lower", 1, 1, ([value]) => text(value).toLowerCase()],
  ["upper", 1, 1, ([value]) => text(value).toUpperCase()],
  ["title", 1, 1, ([value]) => capitals(text(value), (letter) => letter.toUpperCase())],
  ["untitle", 1, 1, ([value]) => capitals(text(value), (letter) => letter.toLowerCase())],
  ["swapcase", 1, 1, ([value]) => [...text(value)].map(swapCase).join("")],
  ["trim", 1, 1, ([value]) => text(value).trim()],
  ["trimAll", 2, 2, ([cut, value]) => trimSet(text(value), text(cut), true, true)],
  ["trimPrefix", 2, 2, ([prefix, value]) => trimPrefix(text(value), text(prefix))],
  ["trimSuffix", 2, 2, ([suffix, value]) => trimSuffix(text(value), text(suffix))],
  ["nospace", 1, 1, ([value]) => text(value).replace(/\s+/g, "")],
  ["repeat", 2, 2, ([count, value]) => repeat(text(value), integer(count))],
  ["substr", 3, 3, ([from, to, value]) => substr(text(value), integer(from), integer(to))],
  ["trunc", 2, 2, ([length, value]) => trunc(text(value), integer(length))],
  ["abbrev", 2, 2, ([length, value]) => abbrev(text(value), integer(length))],
  [
    "initials",
    1,
    1,
    ([value]) =>
      words(text(value))
        .map((word) => [...word][0])
        .join(""),
  ],
  ["contains", 2, 2, ([part, value]) => text(value).includes(text(part))],
  ["hasPrefix", 2, 2, ([prefix, value]) => text(value).startsWith(text(prefix))],
  ["hasSuffix", 2, 2, ([suffix, value]) => text(value).endsWith(text(suffix))],
  [
    "quote",
    0,
    ANY,
    (args) =>
      args
        .filter((arg) => arg !== undefined)
        .map((arg) => goQuote(show(arg)))
        .join(" "),
  ],
  [
    "squote",
    0,
    ANY,
    (args) =>
      args
        .filter((arg) => arg !== undefined)
        .map((arg) => `'${show(arg)}'`)
        .join(" "),
  ],
  [
    "cat",
    0,
    ANY,
    (args) =>
      args
        .filter((arg) => arg !== undefined)
        .map(show)
        .join(" "),
  ],
  ["indent", 2, 2, ([count, value]) => indent(integer(count), text(value))],
  ["nindent", 2, 2, ([count, value]) => `\n${indent(integer(count), text(value))}`],
  ["replace", 3, 3, ([from, to, value]) => text(value).replaceAll(text(from), () => text(to))],
  ["plural", 3, 3, ([one, many, count]) => (integer(count) === 1 ? text(one) : text(many))],
  ["snakecase", 1, 1, ([value]) => pieces(text(value)).join("_")],
  ["kebabcase", 1, 1, ([value]) => pieces(text(value)).join("-")],
  [
    "camelcase",
    1,
    1,
    ([value]) =>
      pieces(text(value))
        .map((piece) => piece[0]!.toUpperCase() + piece.slice(1))
        .join(""),
  ],
  [
    "join",
    2,
    2,
    ([separator, value]) => (isList(value) ? value.map(show) : [show(value)]).join(text(separator)),
  ],
  ["splitList", 2, 2, ([separator, value]) => text(value).split(text(separator))],
  ["split", 2, 2, ([separator, value]) => numbered(text(value).split(text(separator)))],
  [
    "splitn",
    3,
    3,
    ([separator, most, value]) => numbered(splitAtMost(text(value), text(separator), integer(most))),
  ],
  ["normalize", 1, 1, ([value]) => normalizeName(text(value))],
  ["regexMatch", 2, 2, ([pattern, value]) => regexp(pattern).test(text(value))],
  ["regexFind", 2, 2, ([pattern, value]) => regexp(pattern).findAll(text(value), 1)[0] ?? ""],
  ["regexFindAll", 3, 3, ([pattern, value, most]) => regexp(pattern).findAll(text(value), countOf(most))],
  [
    "regexReplaceAll",
    3,
    3,
    ([pattern, value, by]) => regexp(pattern).replaceAll(text(value), parseGoReplacement(text(by))),
  ],
  [
    "regexReplaceAllLiteral",
    3,
    3,
    ([pattern, value, by]) => regexp(pattern).replaceAll(text(value), { parts: [text(by)] }),
  ],
  ["regexSplit", 3, 3, ([pattern, value, most]) => regexSplit(regexp(pattern), text(value), countOf(most))],
  ["regexQuoteMeta", 1, 1, ([value]) => text(value).replace(/[\\.+*?()|[\]{}^$]/g, "\\$&")],
  ["b64enc", 1, 1, ([value]) => Buffer.from(text(value)).toString("base64")],
  ["b64dec", 1, 1, ([value]) => b64dec(text(value))],
  ["sha1sum", 1, 1, ([value]) => hash("sha1", value)],
  ["sha256sum", 1, 1, ([value]) => hash("sha256", value)],
  ["sha512sum", 1, 1, ([value]) => hash("sha512", value)],
  ["toJson", 1, 1, ([value]) => JSON.stringify(toJson(value)).replace(/[<>&]/g, escapeForHtml)],
  ["toRawJson", 1, 1, ([value]) => JSON.stringify(toJson(value))],
  [
    "toPrettyJson",
    1,
    1,
    ([value]) => JSON.stringify(toJson(value), null, 2).replace(/[<>&]/g, escapeForHtml),
  ],
  ["fromJson", 1, 1, ([value]) => parseJson(text(value))],
  ["base", 1, 1, ([value]) => posix.basename(text(value)) || "."],
  ["dir", 1, 1, ([value]) => posix.dirname(text(value))],
  ["ext", 1, 1, ([value]) => posix.extname(text(value))],
  ["clean", 1, 1, ([value]) => posix.normalize(text(value)).replace(/(.)\/$/, "$1")],
  ["isAbs", 1, 1, ([value]) => text(value).startsWith("/")],
  ["toStrings", 1, 1, ([value]) => list(value).map(show)],
];

const MADE_MAX = 1 << 20;

/** Traefik's: pieces of letters and digits, joined by hyphens. */
export function normalizeName(name: string): string {
  return name
    .split(/[^\p{L}\p{N}]+/u)
    .filter((piece) => piece !== "")
    .join("-");
}

/** Go's `strings.Split`, which Traefik's file provider puts in the place of sprig's `split`. */
export function stringsSplit(args: readonly TemplateValue[]): TemplateList {
  const [value, separator] = args;
  return text(separator) === "" ? [...text(value)] : text(value).split(text(separator));
}

function capitals(value: string, change: (letter: string) => string): string {
  return value.replace(
    /(^|[^\p{L}\p{N}_'])(\p{L})/gu,
    (_, before: string, letter: string) => before + change(letter),
  );
}

function swapCase(letter: string): string {
  return letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase();
}

function trimSet(value: string, cut: string, left: boolean, right: boolean): string {
  const set = new Set(cut);
  const letters = [...value];
  let from = 0;
  let to = letters.length;
  while (left && from < to && set.has(letters[from]!)) from++;
  while (right && to > from && set.has(letters[to - 1]!)) to--;
  return letters.slice(from, to).join("");
}

function trimPrefix(value: string, prefix: string): string {
  return value.startsWith(prefix) ? value.slice(prefix.length) : value;
}

function trimSuffix(value: string, suffix: string): string {
  return suffix !== "" && value.endsWith(suffix) ? value.slice(0, -suffix.length) : value;
}

function repeat(value: string, count: number): string {
  if (count < 0) throw new BadValue("the count is negative");
  if (value.length * count > MADE_MAX)
    throw new BadValue(`the text would be longer than ${MADE_MAX} characters`);
  return value.repeat(count);
}

// sprig counts bytes in these; in characters a letter is never cut in two.
function substr(value: string, from: number, to: number): string {
  const letters = [...value];
  if (from < 0) return letters.slice(0, Math.max(0, to)).join("");
  return letters.slice(from, to < 0 || to > letters.length ? undefined : to).join("");
}

function trunc(value: string, length: number): string {
  const letters = [...value];
  return (length < 0 ? letters.slice(Math.max(0, letters.length + length)) : letters.slice(0, length)).join(
    "",
  );
}

function abbrev(value: string, length: number): string {
  const letters = [...value];
  return length < 4 || letters.length <= length ? value : `${letters.slice(0, length - 3).join("")}...`;
}

function words(value: string): string[] {
  return value.split(/\s+/).filter((word) => word !== "");
}

/** Words as names have them: `HTTPServer-name` is http, server, name. */
function pieces(value: string): string[] {
  return value
    .replace(/(\p{Lu}+)(\p{Lu}\p{Ll})/gu, "$1 $2")
    .replace(/([\p{Ll}\p{N}])(\p{Lu})/gu, "$1 $2")
    .split(/[^\p{L}\p{N}]+/u)
    .filter((piece) => piece !== "")
    .map((piece) => piece.toLowerCase());
}

function indent(count: number, value: string): string {
  const before = repeat(" ", Math.min(1000, Math.max(0, count)));
  return before + value.replaceAll("\n", `\n${before}`);
}

function numbered(parts: readonly string[]): ReadonlyMap<string, string> {
  return new Map(parts.map((part, i) => [`_${i}`, part]));
}

function splitAtMost(value: string, separator: string, most: number): string[] {
  const parts = value.split(separator);
  if (most < 1 || parts.length <= most) return most === 0 ? [] : parts;
  return [...parts.slice(0, most - 1), parts.slice(most - 1).join(separator)];
}

// Most templates use one pattern again and again.
let lastRegexp: GoRegexp | undefined;

function regexp(pattern: TemplateValue): GoRegexp {
  const source = text(pattern);
  if (lastRegexp?.source === source) return lastRegexp;
  const compiled = compileGoRegexp(source);
  if ("problem" in compiled) throw new BadValue(`the regular expression is not right: ${compiled.problem}`);
  lastRegexp = compiled.regexp;
  return lastRegexp;
}

function countOf(value: TemplateValue): number {
  const count = integer(value);
  return count < 0 ? Number.POSITIVE_INFINITY : count;
}

function regexSplit(pattern: GoRegexp, value: string, most: number): string[] {
  const parts: string[] = [];
  let rest = value;
  while (parts.length < most - 1 && rest !== "") {
    const found = pattern.find(rest);
    if (found === undefined) break;
    const width = found.to > found.from ? 0 : 1;
    parts.push(rest.slice(0, found.from + width));
    rest = rest.slice(found.to + width);
  }
  return most === 0 ? [] : [...parts, rest];
}

function b64dec(value: string): string {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(value)) throw new BadValue("this is not base64");
  return Buffer.from(value, "base64").toString();
}

function hash(algorithm: string, value: TemplateValue): string {
  return createHash(algorithm).update(text(value)).digest("hex");
}

function escapeForHtml(character: string): string {
  return `\\u00${character.charCodeAt(0).toString(16)}`;
}

function parseJson(value: string): TemplateValue {
  try {
    return fromJson(JSON.parse(value));
  } catch {
    throw new BadValue("this is not JSON");
  }
}

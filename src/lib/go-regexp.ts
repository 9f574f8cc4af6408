import { type Matcher, RE2JS } from "re2js";

/**
 * Go's regular expressions (RE2): the time a search takes grows with the length of the text only, whatever the
 * pattern and the text are, so a hostile request cannot hold a thread.
 */
export class GoRegexp {
  readonly source: string;
  readonly #regexp: RE2JS;

  constructor(source: string, regexp: RE2JS) {
    this.source = source;
    this.#regexp = regexp;
  }

  /** Whether it matches anywhere in the text. */
  test(text: string): boolean {
    return this.#regexp.test(text);
  }

  /** Where the leftmost match is, in UTF-16 units, the end excluded. */
  find(text: string): { readonly from: number; readonly to: number } | undefined {
    const matcher = this.#regexp.matcher(text);
    return matcher.find() ? { from: matcher.start(), to: matcher.end() } : undefined;
  }

  /** The texts of the leftmost match and its groups; a group that took no part is undefined. */
  groups(text: string): (string | undefined)[] | undefined {
    const matcher = this.#regexp.matcher(text);
    if (!matcher.find()) return undefined;
    return Array.from({ length: this.#regexp.groupCount() + 1 }, (_, i) => matcher.group(i) ?? undefined);
  }

  /** Every match that does not overlap an earlier one, at most `most`. */
  findAll(text: string, most: number): string[] {
    const found: string[] = [];
    if (most > 0) this.#eachMatch(text, (matcher) => found.push(matcher.group()!) < most);
    return found;
  }

  /** Go's `ReplaceAllString`: the same text if nothing matches. */
  replaceAll(text: string, replacement: GoReplacement): string {
    let result = "";
    let copied = 0;
    this.#eachMatch(text, (matcher) => {
      result += text.slice(copied, matcher.start()) + this.#expand(matcher, replacement);
      copied = matcher.end();
      return true;
    });
    return copied === 0 && result === "" ? text : result + text.slice(copied);
  }

  // Go's loop: an empty match right after another match does not count, and every search moves on.
  #eachMatch(text: string, each: (matcher: Matcher) => boolean): void {
    const matcher = this.#regexp.matcher(text);
    let lastEnd = -1;
    let from = 0;
    while (from <= text.length && matcher.find(from)) {
      const start = matcher.start();
      const end = matcher.end();
      if (!(start === end && start === lastEnd) && !each(matcher)) return;
      lastEnd = end;
      from = end > from ? end : from + (text.codePointAt(from)! > 0xffff ? 2 : 1);
    }
  }

  #expand(matcher: Matcher, replacement: GoReplacement): string {
    let result = "";
    for (const part of replacement.parts) {
      if (typeof part === "string") result += part;
      else result += this.#group(matcher, part) ?? "";
    }
    return result;
  }

  #group(matcher: Matcher, { number, name }: GroupReference): string | null {
    if (number !== undefined) return number <= this.#regexp.groupCount() ? matcher.group(number) : null;
    return Object.hasOwn(this.#regexp.namedGroups(), name) ? matcher.group(name) : null;
  }
}

/** A replacement text such as `/v2/$1` or `https://${name}.example.com/`, taken apart. */
export interface GoReplacement {
  readonly parts: readonly (string | GroupReference)[];
}

interface GroupReference {
  readonly name: string;
  /** Set when the name is a number. */
  readonly number: number | undefined;
}

// A search costs at worst 10 ns for each byte and instruction, and that worst needs counted repeats, whose
// instructions multiply; long lists of words cost next to nothing. So a text of 8 KiB never takes a tenth of a second.
const PROGRAM_MAX = 10_000;
const REPEATING_PROGRAM_MAX = 1000;
const PATTERN_MAX = 20_000;

/** Compiles a pattern in Go's syntax, or says in a sentence why it is none. */
export function compileGoRegexp(
  pattern: string,
): { readonly regexp: GoRegexp } | { readonly problem: string; readonly suggestion?: string } {
  if (pattern.length > PATTERN_MAX)
    return { problem: `a pattern may have at most ${PATTERN_MAX} characters` };
  try {
    const regexp = RE2JS.compile(pattern);
    const sizeMax = /\{\d/.test(pattern) ? REPEATING_PROGRAM_MAX : PROGRAM_MAX;
    if (regexp.programSize() > sizeMax)
      return { problem: "this pattern is too large: its repeat counts multiply; use smaller ones" };
    return { regexp: new GoRegexp(pattern, regexp) };
  } catch (error) {
    return explain(pattern, error instanceof Error ? error.message : String(error));
  }
}

function explain(pattern: string, message: string): { problem: string; suggestion?: string } {
  const around = /\(\?<?[=!]/.exec(pattern);
  if (around !== null && /Perl syntax|named capture/.test(message)) {
    return {
      problem: `${around[0]} (looking around) is not in Go's regular expressions; write two conditions instead`,
    };
  }
  if (/invalid escape sequence: `\\[1-9]/.test(message))
    return { problem: "references to groups inside a pattern are not in Go's regular expressions" };
  return { problem: message.replace(/^error parsing regexp: /, "").replaceAll("`", '"') };
}

/**
 * Takes a replacement apart by Go's rule: `$name` takes as many letters, digits and underscores as there are, so
 * `$1x` is the group called `1x` and not group 1; `${1}x` is meant then. `$$` is a dollar sign.
 */
export function parseGoReplacement(text: string): GoReplacement {
  const parts: (string | GroupReference)[] = [];
  let copied = 0;
  for (const match of text.matchAll(/\$(?:(\$)|([\p{L}\p{Nd}_]+)|\{([\p{L}\p{Nd}_]+)\})/gu)) {
    const [whole, dollar, bare, braced] = match;
    if (match.index > copied) parts.push(text.slice(copied, match.index));
    copied = match.index + whole.length;
    const name = bare ?? braced ?? "";
    parts.push(dollar ?? { name, number: /^(?:0|[1-9]\d{0,7})$/.test(name) ? Number(name) : undefined });
  }
  if (copied < text.length) parts.push(text.slice(copied));
  return { parts };
}

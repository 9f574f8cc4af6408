/** What of a text cannot be filled in. */
export interface Complaints {
  /** Nobody set the variable and it has no default; `demand` is what `${NAME:?demand}` says of that. */
  readonly unset: (variable: string, demand: string | undefined) => void;
  /** A dollar that begins nothing: compose refuses the whole file. */
  readonly malformed: () => void;
}

const DEPTH_MAX = 8;
const NAME = /[A-Za-z_]\w*/y;

/** Fills in `$NAME`, `${NAME}`, `${NAME:-default}` and their kin as compose does, defaults within defaults included. */
export function interpolate(text: string, env: ReadonlyMap<string, string>, complaints: Complaints): string {
  return text.includes("$") ? new Interpolation(text, env, complaints).all(0) : text;
}

class Interpolation {
  readonly #text: string;
  readonly #env: ReadonlyMap<string, string>;
  readonly #complaints: Complaints;
  #at = 0;

  constructor(text: string, env: ReadonlyMap<string, string>, complaints: Complaints) {
    this.#text = text;
    this.#env = env;
    this.#complaints = complaints;
  }

  /** Up to the end, or within braces up to the one that closes them. */
  all(depth: number): string {
    let filled = "";
    while (this.#at < this.#text.length) {
      const letter = this.#text[this.#at]!;
      if (letter === "}" && depth > 0) return filled;
      this.#at++;
      filled += letter === "$" ? this.#afterDollar(depth) : letter;
    }
    return filled;
  }

  #afterDollar(depth: number): string {
    if (this.#takes("$")) return "$";
    const isBraced = this.#takes("{");
    const name = this.#name();
    if (name === "" || depth >= DEPTH_MAX) {
      this.#complaints.malformed();
      return isBraced ? "${" : "$";
    }
    return isBraced ? this.#braced(name, depth) : this.#value(name, undefined);
  }

  #braced(name: string, depth: number): string {
    const isEmptyUnset = this.#takes(":");
    const operator = ["-", "?", "+"].find((one) => this.#takes(one)) ?? "";
    const other = operator === "" ? "" : this.#quietly(operator, name, isEmptyUnset, depth);
    if ((isEmptyUnset && operator === "") || !this.#takes("}")) {
      this.#complaints.malformed();
      return "";
    }
    if (operator === "") return this.#value(name, undefined);
    if (operator === "+") return this.#isThere(name, isEmptyUnset) ? other : "";
    if (this.#isThere(name, isEmptyUnset)) return this.#env.get(name)!;
    return operator === "-" ? other : this.#value(name, other);
  }

  // What a default that is not used would need is nobody's concern.
  #quietly(operator: string, name: string, isEmptyUnset: boolean, depth: number): string {
    const isUsed = (operator === "+") === this.#isThere(name, isEmptyUnset);
    const complaints = isUsed ? this.#complaints : SILENCE;
    const inner = new Interpolation(this.#text, this.#env, complaints);
    inner.#at = this.#at;
    const filled = inner.all(depth + 1);
    this.#at = inner.#at;
    return filled;
  }

  #isThere(name: string, isEmptyUnset: boolean): boolean {
    const value = this.#env.get(name);
    return value !== undefined && (value !== "" || !isEmptyUnset);
  }

  /** A name that is nobody's lets the rest be checked as if the variable were there. */
  #value(name: string, demand: string | undefined): string {
    const value = demand === undefined ? this.#env.get(name) : undefined;
    if (value !== undefined) return value;
    this.#complaints.unset(name, demand);
    return standInFor(name);
  }

  #name(): string {
    NAME.lastIndex = this.#at;
    const [name = ""] = NAME.exec(this.#text) ?? [];
    this.#at += name.length;
    return name;
  }

  #takes(letter: string): boolean {
    if (this.#text[this.#at] !== letter) return false;
    this.#at++;
    return true;
  }
}

const SILENCE: Complaints = { unset() {}, malformed() {} };

export const standInFor = (variable: string) => `${variable.toLowerCase()}.invalid`;

/** The variables of a `.env` file, or of one that `env_file` names. */
export function readEnvFile(text: string): Map<string, string> {
  const variables = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, name, value = ""] = /^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name !== undefined) variables.set(name, meaningOf(value, variables));
  }
  return variables;
}

/** In single quotes nothing is filled in; without quotes a `#` after a space begins a remark. */
function meaningOf(written: string, known: ReadonlyMap<string, string>): string {
  const [, literal] = /^'([^']*)'/.exec(written) ?? [];
  if (literal !== undefined) return literal;
  const [, quoted] = /^"((?:[^"\\]|\\.)*)"/.exec(written) ?? [];
  const plain = quoted?.replace(/\\(["\\$])/g, "$1") ?? written.replace(/(?:^|\s+)#.*$/, "");
  return interpolate(plain, known, SILENCE);
}

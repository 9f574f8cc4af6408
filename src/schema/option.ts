import { nearest } from "../lib/nearest.ts";
import { groupSchema } from "./json-schema.ts";
import { below, Node, type Place } from "./node.ts";
import { type Problem, quote } from "./problem.ts";

export { quote };

/** What reading needs from outside: somewhere to put problems, and a way to fetch a secret that is kept elsewhere. */
export interface Reader {
  report(problem: Problem): void;
  /** Resolves `file:/run/secrets/x` or `env:NAME`. Throws `Unreadable` with a reason a person can act on. */
  secret(reference: string): string;
}

/** Thrown by a kind's `read` when the text is not of that kind; the message says what was expected. */
export class Unreadable extends Error {}

export type Form = "scalar" | "list" | "map" | "group";

/** How values of one kind are written, read, shown and described. Kinds know nothing of what an option is for. */
export interface Kind<T> {
  /** A noun phrase for people: `duration`, `list of CIDR`. */
  readonly name: string;
  readonly form: Form;
  /** JSON Schema of one value, for editors. */
  readonly json: () => Record<string, unknown>;
  /** Reads the node. Returns undefined after reporting a problem. */
  read(node: Node, reader: Reader, about: About): T | undefined;
  /** The value as a person would write it in JSON: durations as `1m30s`, secrets never masked here. */
  show(value: T): unknown;
  /** The value of an option that was not written and has no default. */
  readonly empty?: () => T;
  readonly choices?: readonly string[];
  /** Element kind of lists and maps. */
  readonly of?: Kind<unknown>;
  /** Members of a group. */
  readonly options?: Options;
  /** The group may be switched on by its bare name: `tls=true`, `tls: {}`, `--api`. */
  readonly enabler?: boolean;
}

/** What is said to people about one option. Everything else is said by its kind. */
export interface About {
  /** One sentence. */
  readonly doc: string;
  /** As a person would write it. */
  readonly default?: string;
  /** The group is there even when nobody writes it, with its members' defaults. */
  readonly always?: true;
  readonly required?: true;
  /** Shown masked everywhere; may be given as `file:/run/secrets/x` or `env:NAME`. */
  readonly secret?: true;
  readonly example?: string;
  /** Ours, not Traefik's. */
  readonly added?: true;
  /** Read, but without effect; says why, as a warning. Writing its default is no reason to warn. */
  readonly obsolete?: string;
  /** What cannot be read is a warning, and the default is used: nothing that routes depends on it. */
  readonly forgiving?: true;
  /** Known, but refused when used; says why and what to do instead. Writing its default is not using it. */
  readonly refused?: string;
}

export interface Option<T> {
  readonly about: About;
  readonly kind: Kind<unknown>;
  /** For the compiler only: the type of the value. Never set. */
  readonly type?: T;
}

export type Options = { readonly [name: string]: Option<unknown> };
export type Values<O extends Options> = {
  readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never;
};

type Given<T, A extends About> = A extends { default: string } | { required: true } | { always: true }
  ? T
  : T extends readonly unknown[] | ReadonlyMap<string, unknown>
    ? T
    : T | undefined;

/** A kind that makes an option when it is called with what to say about it: `duration({ doc, default: "10s" })`. */
export interface KindMaker<T> {
  <const A extends About>(about: A): Option<Given<T, A>>;
  readonly kind: Kind<T>;
}

export function maker<T>(kind: Kind<T>): KindMaker<T> {
  const make = (about: About) => ({ about, kind: kind as Kind<unknown> });
  return Object.assign(make, { kind }) as KindMaker<T>;
}

/** Makes a kind whose values are written as one text. `read` throws `Unreadable`. */
export function scalar<T>(
  name: string,
  read: (text: string) => T,
  extra: { json?: Record<string, unknown>; show?: (value: T) => unknown; choices?: readonly string[] } = {},
): KindMaker<T> {
  return maker<T>({
    name,
    form: "scalar",
    json: () => extra.json ?? { type: "string" },
    show: extra.show ?? ((value) => value),
    ...(extra.choices && { choices: extra.choices }),
    read(node, reader, about) {
      const text = scalarText(node, reader, name);
      if (text === undefined) return undefined;
      try {
        return read(isReference(text, about) ? reader.secret(text) : text);
      } catch (error) {
        reportUnreadable(error, text, node, reader, about, extra.choices);
        return undefined;
      }
    },
  });
}

const isReference = (text: string, about: About) => about.secret === true && /^(?:file|env):/.test(text);

function reportUnreadable(
  error: unknown,
  text: string,
  node: Node,
  reader: Reader,
  about: About,
  choices: readonly string[] = [],
): void {
  if (!(error instanceof Unreadable)) throw error;
  const found = about.secret ? "a secret value" : quote(text);
  const suggestion = about.secret ? undefined : nearest(text, choices);
  const instead = about.forgiving ? `; ${about.default} is used` : "";
  const severity = about.forgiving ? "warning" : "error";
  const message = `${error.message}, found ${found}${instead}`;
  complain(reader, node.place, "bad-value", message, suggestion, severity);
}

/** The one text of a node, or undefined after reporting that it has an inner structure instead. */
function scalarText(node: Node, reader: Reader, expected: string): string | undefined {
  const inside = node.items ? "a list" : node.children?.size ? names(node.children.values()) : "";
  if (inside !== "") {
    complain(reader, node.place, "bad-value", `expected one ${expected}, found ${inside} inside it`);
    return undefined;
  }
  return node.value === undefined || node.value === null ? undefined : String(node.value);
}

/** A list: comma separated in one text, `[0]` indices, or a list of the file format. Never undefined: absent is empty. */
export function list<T>(of: KindMaker<T>): KindMaker<readonly T[]> {
  const element = of.kind;
  return maker<readonly T[]>({
    name: `list of ${element.name}`,
    form: "list",
    of: element as Kind<unknown>,
    json: () => {
      const items = { type: "array", items: element.json() };
      return element.form === "scalar" ? { anyOf: [items, { type: "string" }] } : items;
    },
    show: (values) => values.map((value) => element.show(value)),
    empty: () => [],
    read(node, reader, about) {
      const values: T[] = [];
      for (const item of node.items ?? splitList(node, element, reader, about)) {
        const value = element.read(item, reader, about);
        if (value !== undefined) values.push(value);
      }
      return values;
    },
  });
}

function splitList(node: Node, element: Kind<unknown>, reader: Reader, about: About): Node[] {
  if (element.form !== "scalar") {
    const found = node.children?.size ? "names without a number" : quote(String(node.value));
    const message = `expected numbered entries such as ${node.name}[0], found ${found}`;
    complain(reader, node.place, "bad-value", message);
    return [];
  }
  const text = scalarText(node, reader, `list of ${element.name}`);
  if (text === undefined) return [];
  return parts(text, node, reader, about).map((part) => leaf(node.name, node.place, part));
}

// A secret file holds one entry a line, as `.htpasswd` does.
function parts(text: string, node: Node, reader: Reader, about: About): string[] {
  try {
    const whole = isReference(text, about) ? reader.secret(text).split(/\r?\n/) : text.split(",");
    return whole.map((part) => part.trim()).filter((part) => part !== "");
  } catch (error) {
    reportUnreadable(error, text, node, reader, about);
    return [];
  }
}

/** Values under names that the user chooses. Never undefined: absent is empty. */
export function mapOf<T>(of: KindMaker<T>): KindMaker<ReadonlyMap<string, T>> {
  const element = of.kind;
  return maker<ReadonlyMap<string, T>>({
    name: `map of ${element.name}`,
    form: "map",
    of: element as Kind<unknown>,
    json: () => ({ type: "object", additionalProperties: element.json() }),
    show: (values) => Object.fromEntries([...values].map(([name, value]) => [name, element.show(value)])),
    empty: () => new Map(),
    read(node, reader, about) {
      const values = new Map<string, T>();
      const found = notNames(node);
      if (found !== undefined) {
        const message = `expected names below it, such as ${node.name}.example, found ${found}`;
        complain(reader, node.place, "bad-value", message);
      }
      for (const child of node.children?.values() ?? []) {
        const named: [string, Node][] =
          element.form === "scalar" ? dottedNames(child.name, child) : [[child.name, child]];
        for (const [name, found] of named) {
          const value = element.read(found, reader, about);
          if (value !== undefined) values.set(name, value);
        }
      }
      return values;
    },
  });
}

/** What was found where names should be, if it is not names. */
function notNames(node: Node): string | undefined {
  if (node.items) return "a list";
  if (node.value === undefined || node.value === null || node.value === "") return undefined;
  return quote(String(node.value));
}

// Labels and flags have no way to say that a dot belongs to a name, such as the header `X-Foo.Bar`; where every value is
// a single text, it can only have been meant so.
function dottedNames(name: string, node: Node): [string, Node][] {
  const isSpelledWithDots = node.place.source === "label" || node.place.source === "flag";
  if (node.children === undefined || !isSpelledWithDots) return [[name, node]];
  const inside = [...node.children.values()].flatMap((child) => dottedNames(`${name}.${child.name}`, child));
  return node.value === undefined ? inside : [[name, leaf(name, node.place, String(node.value))], ...inside];
}

/** Options under fixed names. With `enabler`, its bare name switches it on: `tls=true`. */
export function group<const O extends Options>(
  options: O,
  extra: { enabler?: true } = {},
): KindMaker<Values<O>> {
  return maker<Values<O>>({
    name: "group",
    form: "group",
    options,
    ...(extra.enabler && { enabler: true }),
    json: () => groupSchema(options, extra.enabler),
    show: (values) => showOptions(options, values, (_option, value, kind) => kind.show(value)),
    read(node, reader) {
      const found = notNames(node);
      if (found === undefined) {
        if (node.value === "" && !extra.enabler && !node.children) {
          complain(reader, node.place, "bad-value", `expected options below it: ${someNames(options)}`);
          return undefined;
        }
        return readOptions(options, node, reader);
      }
      if (extra.enabler && !node.items) {
        if (isOff(found)) return undefined;
        if (isOn(found)) return readOptions(options, node, reader);
      }
      const wanted = extra.enabler ? "true, false or options" : "options";
      const message = `expected ${wanted} below it (${someNames(options)}), found ${found}`;
      complain(reader, node.place, "bad-value", message);
      return undefined;
    },
  });
}

/** A name that is known, with anything below it: for what is refused whole, or has no effect. */
export const nameOnly = maker<undefined>({
  name: "group",
  form: "group",
  options: {},
  enabler: true,
  json: () => ({}),
  show: () => undefined,
  read: () => undefined,
});

const isOn = (found: string) => /^"(?:1|t|true)"$/i.test(found);
const isOff = (found: string) => /^"(?:0|f|false)"$/i.test(found);

/** Reads every option, reporting every problem rather than stopping at the first. Absent options get their defaults. */
export function readOptions<O extends Options>(options: O, node: Node, reader: Reader): Values<O> {
  const values: Record<string, unknown> = {};
  const known = new Map(Object.keys(options).map((name) => [name.toLowerCase(), name]));
  const unknown = [...(node.children ?? [])].filter(([key]) => !known.has(key)).map(([, child]) => child);
  const meant = new Map(unknown.map((child) => [child, nearest(child.name, known.values())]));
  const mistyped = new Set(meant.values());
  for (const [name, option] of Object.entries(options)) {
    values[name] = readOption(name, option, node, reader, mistyped.has(name));
  }
  for (const [child, suggestion] of meant) {
    complain(
      reader,
      child.place,
      "unknown-option",
      `${quote(child.name)} is not an option here; known options are ${someNames(options)}`,
      suggestion,
    );
  }
  return values as Values<O>;
}

/** What is missing because it was `mistyped` is said once, where it was written. */
function readOption(
  name: string,
  { about, kind }: Option<unknown>,
  parent: Node,
  reader: Reader,
  mistyped: boolean,
): unknown {
  const node = parent.get(name);
  if (node === undefined || isNothing(node)) {
    if (node !== undefined && kind.enabler) {
      const message = `has nothing after it and stays off; write ${name}: {} to switch it on`;
      complain(reader, node.place, "empty-option", message, undefined, "warning");
    }
    if (about.required && !mistyped) {
      complain(reader, below(parent.place, name), "missing-option", `is required: ${about.doc}`);
    }
    return absent(name, about, kind, parent, reader);
  }
  if (!saysDefault(node, about, kind)) {
    if (about.refused !== undefined) {
      complain(reader, node.place, "unsupported-option", `${name} is not supported: ${about.refused}`);
      return absent(name, about, kind, parent, reader);
    }
    if (about.obsolete !== undefined) {
      const message = `${name} has no effect: ${about.obsolete}`;
      complain(reader, node.place, "obsolete-option", message, undefined, "warning");
    }
  }
  return kind.read(node, reader, about) ?? absent(name, about, kind, parent, reader);
}

// What is switched off, or set to what it would be anyway, asks for nothing.
function saysDefault(node: Node, about: About, kind: Kind<unknown>): boolean {
  if (node.value === undefined || node.value === null) return false;
  const fallback = about.default ?? (kind.enabler ? "false" : undefined);
  return String(node.value).toLowerCase() === fallback?.toLowerCase();
}

function absent(name: string, about: About, kind: Kind<unknown>, parent: Node, reader: Reader): unknown {
  if (about.default !== undefined) {
    return kind.read(leaf(name, { source: "default", key: name }, about.default), reader, about);
  }
  if (about.always) return kind.read(new Node(name, below(parent.place, name)), reader, about);
  return kind.empty?.();
}

// YAML's `docker:` with nothing after it, and a label group that was only ever a prefix of nothing.
function isNothing(node: Node): boolean {
  return (
    (node.value === undefined || node.value === null) &&
    node.children === undefined &&
    node.items === undefined
  );
}

/** The values of every option, treated by `each`, without those that are undefined or empty. */
export function showOptions(
  options: Options,
  values: { readonly [name: string]: unknown },
  each: (option: Option<unknown>, value: unknown, kind: Kind<unknown>) => unknown,
): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(options)) {
    const value = values[name];
    if (value === undefined) continue;
    if (Array.isArray(value) && value.length === 0) continue;
    if (value instanceof Map && value.size === 0) continue;
    shown[name] = each(option, value, option.kind);
  }
  return shown;
}

const MASK = "***";

/** The values as JSON that anyone may see: durations as text, secrets masked. */
export function redact(
  options: Options,
  values: { readonly [name: string]: unknown },
): Record<string, unknown> {
  return showOptions(options, values, (option, value, kind) => redactValue(option.about, kind, value));
}

function redactValue(about: About, kind: Kind<unknown>, value: unknown): unknown {
  if (kind.form === "list") return (value as unknown[]).map((item) => redactValue(about, kind.of!, item));
  if (kind.form === "map") {
    const entries = [...(value as Map<string, unknown>)];
    return Object.fromEntries(entries.map(([name, item]) => [name, redactValue(about, kind.of!, item)]));
  }
  if (kind.form === "group") return redact(kind.options!, value as Record<string, unknown>);
  // That nothing was said is no secret.
  return about.secret && value !== "" ? MASK : kind.show(value);
}

export function leaf(name: string, place: Place, value: string): Node {
  const node = new Node(name, place);
  node.value = value;
  return node;
}

export function complain(
  reader: Reader,
  place: Place,
  code: string,
  message: string,
  suggestion?: string,
  severity: Problem["severity"] = "error",
): void {
  reader.report({ code, severity, place, message, ...(suggestion !== undefined && { suggestion }) });
}

// Options that would be refused are no help to anyone who looks for the right name.
function someNames(options: Options): string {
  const useful = Object.entries(options).filter(([, { about }]) => !about.refused && !about.obsolete);
  return names(useful.map(([name]) => ({ name })));
}

function names(of: Iterable<{ readonly name: string }>): string {
  const all = [...of].map(({ name }) => (/^[\w.-]{1,60}$/.test(name) ? name : quote(name)));
  return all.length > 12 ? `${all.slice(0, 12).join(", ")} and ${all.length - 12} more` : all.join(", ");
}

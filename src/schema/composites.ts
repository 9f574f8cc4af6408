import { groupSchema } from "./json-schema.ts";
import { leaf, type Node } from "./node.ts";
import { type About, type Kind, type KindMaker, maker, type Options, type Values } from "./option.ts";
import { quote } from "./problem.ts";
import { namesOf, readOptions } from "./read-options.ts";
import { complain, type Reader } from "./reader.ts";
import { showOptions } from "./redact.ts";
import { isReference, reportUnreadable, scalarText } from "./scalar.ts";

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
          complain(reader, node.place, "bad-value", `expected options below it: ${namesOf(options)}`);
          return undefined;
        }
        return readOptions(options, node, reader);
      }
      if (extra.enabler && !node.items) {
        if (isOff(found)) return undefined;
        if (isOn(found)) return readOptions(options, node, reader);
      }
      const wanted = extra.enabler ? "true, false or options" : "options";
      const message = `expected ${wanted} below it (${namesOf(options)}), found ${found}`;
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

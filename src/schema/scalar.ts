import { nearest } from "../lib/nearest.ts";
import type { Node } from "./node.ts";
import { type About, type KindMaker, maker } from "./option.ts";
import { listNames, quote } from "./problem.ts";
import { complain, type Reader, Unreadable } from "./reader.ts";

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

export const isReference = (text: string, about: About) =>
  about.secret === true && /^(?:file|env):/.test(text);

export function reportUnreadable(
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
export function scalarText(node: Node, reader: Reader, expected: string): string | undefined {
  const inside = node.items ? "a list" : node.children?.size ? listNames(node.children.values()) : "";
  if (inside !== "") {
    complain(reader, node.place, "bad-value", `expected one ${expected}, found ${inside} inside it`);
    return undefined;
  }
  return node.value === undefined || node.value === null ? undefined : String(node.value);
}

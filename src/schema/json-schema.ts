import { Node } from "./node.ts";
import type { Kind, Option, Options } from "./option.ts";
import type { Reader } from "./reader.ts";

/** A JSON Schema of options under fixed names, for editors and for forms. */
export function groupSchema(options: Options, enabler = false): Record<string, unknown> {
  const properties: [string, unknown][] = [];
  const required: string[] = [];
  for (const [name, option] of Object.entries(options)) {
    if (option.about.refused === undefined) properties.push([name, optionSchema(option)]);
    if (option.about.required) required.push(name);
  }
  return {
    type: enabler ? ["object", "boolean"] : "object",
    properties: Object.fromEntries(properties),
    additionalProperties: false,
    ...(required.length > 0 && { required }),
  };
}

function optionSchema({ about, kind }: Option<unknown>): Record<string, unknown> {
  const { examples, ...json } = withExample(kind.json(), kind, about.example);
  return {
    ...json,
    description: about.doc,
    ...(about.default !== undefined && { default: typedDefault(about.default, kind) }),
    ...(about.obsolete !== undefined && { deprecated: true }),
    ...(examples !== undefined && { examples }),
  };
}

/** The example of a map is one of its values. */
function withExample(
  json: Record<string, unknown>,
  kind: Kind<unknown>,
  example: string | undefined,
): Record<string, unknown> {
  if (example === undefined) return json;
  if (kind.form !== "map" || kind.of === undefined)
    return { ...json, examples: [typedDefault(example, kind) ?? example] };
  const values = json["additionalProperties"] as Record<string, unknown>;
  return { ...json, additionalProperties: withExample(values, kind.of, example) };
}

const SILENT: Reader = {
  report() {},
  secret: (reference) => reference,
};

/** A default as JSON has it: `true` rather than `"true"`. */
export function typedDefault(written: string, kind: Kind<unknown>): unknown {
  const node = new Node("", { source: "default", key: "" });
  node.value = written;
  return kind.show(kind.read(node, SILENT, { doc: "" }));
}

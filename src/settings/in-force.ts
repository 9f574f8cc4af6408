import type { SettingInForce } from "../model/runtime.ts";
import { Node, type Place } from "../schema/node.ts";
import type { About, Kind, Options } from "../schema/option.ts";

/** Every option that has a value, with where the value comes from. The tree is the one that the values were read from. */
export function listInForce(
  options: Options,
  values: { readonly [name: string]: unknown },
  tree: Node,
  path = "",
): SettingInForce[] {
  return Object.entries(options).flatMap(([name, { about, kind }]) => {
    const option = path === "" ? name : `${path}.${name}`;
    return describe(option, kind, about, values[name], tree.get(name));
  });
}

function describe(
  option: string,
  kind: Kind<unknown>,
  about: About,
  value: unknown,
  node: Node | undefined,
): SettingInForce[] {
  if (value === undefined) return [];
  const source: Place = node?.place ?? { source: "default", key: option };
  if (kind.form === "group") {
    const inside = node ?? new Node(option, source);
    const members = listInForce(kind.options!, value as Record<string, unknown>, inside, option);
    return members.length > 0 ? members : [{ option, value: true, source }];
  }
  if (kind.form === "map") {
    return [...(value as ReadonlyMap<string, unknown>)].flatMap(([name, entry]) =>
      describe(`${option}.${name}`, kind.of!, about, entry, node?.get(name)),
    );
  }
  if (kind.form === "list" && kind.of!.form !== "scalar") {
    return (value as readonly unknown[]).flatMap((entry, index) =>
      describe(`${option}[${index}]`, kind.of!, about, entry, node?.items?.[index]),
    );
  }
  return [{ option, value: about.secret ? "***" : kind.show(value), source }];
}

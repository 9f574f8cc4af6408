import type { Kind, Options } from "../schema/option.ts";

/** The kind of what a path names, below these options; undefined if there is no such option. */
export function kindAt(options: Options, path: readonly string[]): Kind<unknown> | undefined {
  let kind: Kind<unknown> | undefined;
  let inside: Options | undefined = options;
  for (const name of path) {
    kind = inside ? memberOf(inside, name) : kind?.of;
    if (kind === undefined) return undefined;
    inside = kind.options;
  }
  return kind;
}

function memberOf(options: Options, name: string): Kind<unknown> | undefined {
  const wanted = name.toLowerCase();
  const found = Object.keys(options).find((candidate) => candidate.toLowerCase() === wanted);
  return found === undefined ? undefined : options[found]!.kind;
}

import type { About, Kind, Options } from "./option.ts";

/** One option as people look it up. */
export interface OptionRow {
  /** `entryPoints.<name>.http.tls.domains[n].main` */
  readonly path: string;
  /** `duration`, `list of text`, or `switch` for a group that its bare name turns on. */
  readonly kind: string;
  readonly about: About;
}

/** Every option, in the order of the declarations, those of groups below their group. */
export function listOptions(options: Options, prefix = ""): OptionRow[] {
  return Object.entries(options).flatMap(([name, { about, kind }]) =>
    rowsOf(prefix === "" ? name : `${prefix}.${name}`, kind, about),
  );
}

function rowsOf(path: string, kind: Kind<unknown>, about: About): OptionRow[] {
  if (about.refused !== undefined) return [{ path, kind: "", about }];
  if (kind.form === "group") {
    const own = kind.enabler ? [{ path, kind: "switch", about }] : [];
    return [...own, ...listOptions(kind.options!, path)];
  }
  if (kind.form === "map") return rowsOf(`${path}.<name>`, kind.of!, about);
  if (kind.form === "list" && kind.of!.form !== "scalar") return rowsOf(`${path}[n]`, kind.of!, about);
  return [{ path, kind: kind.name, about }];
}

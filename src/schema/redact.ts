import type { About, Kind, Option, Options } from "./option.ts";

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

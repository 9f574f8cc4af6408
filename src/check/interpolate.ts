/** Fills in `$NAME`, `${NAME}`, `${NAME:-default}` and their kin as compose does; `$$` is a dollar. */
export function interpolate(
  text: string,
  env: ReadonlyMap<string, string>,
  unset: (variable: string) => void,
): string {
  if (!text.includes("$")) return text;
  return text.replace(
    /\$(?:\$|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-+?])([^{}]*))?\})/g,
    (whole, plain: string | undefined, braced: string | undefined, operator = "", other = "") => {
      const name = plain ?? braced;
      if (name === undefined) return "$";
      const value = env.get(name);
      const isThere = value !== undefined && (value !== "" || !operator.startsWith(":"));
      if (operator.endsWith("+")) return isThere ? other : "";
      if (isThere) return value;
      if (operator.endsWith("-")) return other;
      unset(name);
      // A name that is nobody's lets the rest be checked as if the variable were there.
      return whole === "" ? whole : `${name.toLowerCase()}.invalid`;
    },
  );
}

/** The variables of a `.env` file. */
export function readEnvFile(text: string): Map<string, string> {
  const variables = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, name, value] = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name !== undefined) variables.set(name, value!.replace(/^(["'])(.*)\1$/, "$2"));
  }
  return variables;
}

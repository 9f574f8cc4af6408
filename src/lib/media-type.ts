export interface MediaType {
  /** Lower-case, without parameters. */
  readonly type: string;
  /** Lower-case names, values as written; sorted, so that two equal ones read the same. */
  readonly parameters: string;
}

/** A Content-Type value taken apart, or undefined if it is none. */
export function parseMediaType(text: string): MediaType | undefined {
  const [type, ...rest] = text.split(";");
  if (!/^\s*[!#$&^_.+\w-]+\/[!#$&^_.+\w*-]+\s*$/.test(type!)) return undefined;
  const parameters: string[] = [];
  for (const part of rest) {
    if (part.trim() === "") continue;
    const [, name, quoted, bare] = /^\s*([\w!#$&^.+-]+)=(?:"([^"]*)"|([^\s"]+))\s*$/.exec(part) ?? [];
    if (name === undefined) return undefined;
    parameters.push(`${name.toLowerCase()}=${quoted ?? bare}`);
  }
  return { type: type!.trim().toLowerCase(), parameters: parameters.sort().join(";") };
}

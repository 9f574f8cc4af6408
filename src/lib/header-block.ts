/** A flat header list as the object in which `node:http2` takes trailers and interim replies, without what is left out. */
export function headerBlock(
  headers: readonly string[],
  isLeftOut: (name: string) => boolean,
): Record<string, string | string[]> {
  const block: Record<string, string | string[]> = Object.create(null);
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!.toLowerCase();
    if (isLeftOut(name)) continue;
    const value = headers[i + 1]!;
    const before = block[name];
    if (before === undefined) block[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else block[name] = [before, value];
  }
  return block;
}

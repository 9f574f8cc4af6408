import { sameName } from "../model/headers.ts";

/** The value of the first cookie of that name, or undefined. Names are compared exactly, as browsers do. */
export function getCookie(headers: readonly string[], name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    if (!sameName(headers[i]!, "cookie")) continue;
    const value = findPair(headers[i + 1]!, name);
    if (value !== undefined) return value;
  }
  return undefined;
}

function findPair(line: string, name: string): string | undefined {
  let at = 0;
  while (at < line.length) {
    let end = line.indexOf(";", at);
    if (end < 0) end = line.length;
    while (line.charCodeAt(at) === 0x20) at++;
    if (line.startsWith(name, at) && line.charCodeAt(at + name.length) === 0x3d) {
      const value = line.slice(at + name.length + 1, end).trim();
      return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
    }
    at = end + 1;
  }
  return undefined;
}

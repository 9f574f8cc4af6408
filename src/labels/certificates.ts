import type { Node } from "../schema/node.ts";
import { complain, type Reader } from "../schema/reader.ts";

const CERTIFICATE_OPTIONS = new Set(["rootcas", "cafiles", "certfile", "keyfile"]);

/**
 * Refuses paths where a certificate or key is asked for: a label would make Waybill read any file it can, for someone
 * who may not read it. The PEM text itself is fine, and so is a key in `file:/run/secrets/...`.
 */
export function refusePaths<T>(value: T, node: Node, reader: Reader): T {
  for (const child of node.children?.values() ?? []) {
    if (!CERTIFICATE_OPTIONS.has(child.name.toLowerCase())) refusePaths(value, child, reader);
    else for (const leaf of child.items ?? [child]) refusePath(leaf, reader);
  }
  for (const item of node.items ?? []) refusePaths(value, item, reader);
  return value;
}

function refusePath(leaf: Node, reader: Reader): void {
  const text = String(leaf.value ?? "");
  const isSecret = leaf.name.toLowerCase() === "keyfile" && text.startsWith("file:/run/secrets/");
  if (text === "" || isSecret || text.trimStart().startsWith("-----BEGIN ")) return;
  const message = `${leaf.name} in a label takes the PEM text itself, not a path; paths are for files of providers.file`;
  complain(reader, leaf.place, "path-in-label", message);
}

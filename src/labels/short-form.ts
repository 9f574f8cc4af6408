import type { Node, Place } from "../schema/node.ts";
import { quote } from "../schema/problem.ts";
import { complain, type Reader } from "../schema/reader.ts";
import type { ShortForm } from "./options.ts";

/**
 * Writes what `waybill=app.example.com/path` and `waybill.port=3000` mean into the tree, as if it had been said in
 * full. What is said in full beside it is not overwritten.
 */
export function expandShortForm(tree: Node, name: string, meaning: ShortForm, reader: Reader): void {
  const hosts = tree.get("");
  const port = tree.get("port");
  if (port?.value !== undefined) {
    put(
      tree,
      ["http", "services", onlyService(tree) ?? name, "loadBalancer", "server", "port"],
      port.place,
      port.value,
    );
  }
  if (hosts === undefined) return;
  const rule = ruleFor(String(hosts.value), hosts.place, reader);
  if (rule === undefined) return;
  const say = (path: string[], value: string) => put(tree, ["http", ...path], hosts.place, value);
  say(["routers", name, "rule"], rule);
  if (meaning.secure === undefined) return;

  say(["routers", name, "entryPoints"], meaning.secure.entryPoints.join(","));
  say(["routers", name, "tls", "certResolver"], meaning.secure.certResolver);
  const redirect = `${name}-to-https`;
  say(["routers", redirect, "rule"], rule);
  say(["routers", redirect, "entryPoints"], meaning.plain.join(","));
  say(["routers", redirect, "middlewares"], redirect);
  say(["routers", redirect, "service"], onlyService(tree) ?? name);
  say(["middlewares", redirect, "redirectScheme", "scheme"], "https");
  say(["middlewares", redirect, "redirectScheme", "permanent"], "true");
}

function onlyService(tree: Node): string | undefined {
  const services = [...(tree.get("http")?.get("services")?.children?.values() ?? [])];
  return services.length === 1 ? services[0]!.name : undefined;
}

function put(tree: Node, path: readonly string[], place: Place, value: Node["value"]): void {
  let node = tree;
  for (const name of path) node = node.child(name, place);
  node.value ??= value;
}

function ruleFor(text: string, place: Place, reader: Reader): string | undefined {
  const parts = text.split(",").map((part) => part.trim());
  const matchers = parts.map(matcherFor);
  const odd = parts[matchers.indexOf(undefined)];
  if (odd !== undefined) {
    const message = `expected hosts such as app.example.com or app.example.com/path, found ${quote(odd)}`;
    complain(reader, place, "bad-value", message);
    return undefined;
  }
  return matchers.join(" || ");
}

const HOST = /^(?:\*\.)?[\p{L}\p{N}](?:[\p{L}\p{N}_.-]{0,252})$/u;

function matcherFor(part: string): string | undefined {
  const [, host, path] = /^(?:https?:\/\/)?([^/]+)(\/[^\s`]*)?$/.exec(part) ?? [];
  if (host === undefined || !HOST.test(host)) return undefined;
  if (path === undefined || path === "/") return `Host(\`${host}\`)`;
  // Not PathPrefix alone: it would let `/api` take `/apiary` too.
  const folder = path.replace(/\/+$/, "");
  return `(Host(\`${host}\`) && (Path(\`${folder}\`) || PathPrefix(\`${folder}/\`)))`;
}

import { nearest } from "../lib/nearest.ts";
import { group } from "../schema/composites.ts";
import type { Node } from "../schema/node.ts";
import { below } from "../schema/node.ts";
import type { Options, Values } from "../schema/option.ts";
import { quote } from "../schema/problem.ts";
import { complain, type Reader } from "../schema/reader.ts";
import type { DeclaredMiddleware } from "./declared.ts";
import type { Middleware } from "./middleware.ts";

export type Registry = ReadonlyMap<string, Middleware>;

/** Reads the one kind of middleware that a declaration names, with its options. */
export function readMiddleware(node: Node, reader: Reader, registry: Registry): DeclaredMiddleware {
  const types = [...(node.children?.values() ?? [])];
  if (types.length !== 1) {
    const found = types.length === 0 ? "none" : types.map(({ name }) => name).join(" and ");
    complain(reader, node.place, "bad-middleware", `expected one kind of middleware, found ${found}`);
  }
  const [type] = types;
  if (type === undefined) return { type: "", options: {} };
  const middleware = findMiddleware(type.name, registry);
  if (middleware === undefined) {
    const message = /^plugin$/i.test(type.name)
      ? "Traefik's plug-ins are Go programs, which cannot run here"
      : `there is no middleware called ${quote(type.name)}`;
    complain(reader, type.place, "unknown-middleware", message, nearest(type.name, registry.keys()));
    return { type: type.name, options: {} };
  }
  return { type: middleware.name, options: readMiddlewareOptions(type, middleware, reader) };
}

function findMiddleware(name: string, registry: Registry): Middleware | undefined {
  const wanted = name.toLowerCase();
  for (const middleware of registry.values()) {
    const names = [middleware.name, ...(middleware.aliases ?? [])];
    if (names.some((other) => other.toLowerCase() === wanted)) return middleware;
  }
  return undefined;
}

function readMiddlewareOptions(node: Node, middleware: Middleware, reader: Reader): Record<string, unknown> {
  let failed = false;
  const own: Reader = {
    secret: (reference) => reader.secret(reference),
    report(problem) {
      failed ||= problem.severity === "error";
      reader.report(problem);
    },
  };
  const kind = group(middleware.options, middleware.enabler ? { enabler: true } : {}).kind;
  const options = kind.read(node, own, { doc: middleware.summary });
  if (options === undefined) {
    const message = "is switched off, so routers that name it have no such middleware";
    if (!failed) complain(own, node.place, "switched-off", message);
    return {};
  }
  // Checks across options would only repeat what is known to be wrong already.
  if (!failed) {
    middleware.check?.(options as Values<Options>, (option, message) => {
      const place = node.get(option)?.place ?? below(node.place, option);
      complain(own, place, "bad-value", `${option} ${message}`);
    });
  }
  return options;
}

import { nearest } from "../lib/nearest.ts";
import type { DeclaredMiddleware } from "../model/declared.ts";
import {
  type LabelServiceOptions,
  labelServiceOptions,
  type RouterOptions,
  routerOptions,
  type TlsCertificateOptions,
  type TlsOptionsOptions,
  type TlsStoreOptions,
  type TransportOptions,
  tlsCertificateOptions,
  tlsOptionsOptions,
  tlsStoreOptions,
  transportOptions,
} from "../model/dynamic.ts";
import type { Middleware } from "../model/middleware.ts";
import { readMiddleware } from "../model/read-middleware.ts";
import { Node, type Place } from "../schema/node.ts";
import type { Problem, Subject } from "../schema/problem.ts";
import { quote } from "../schema/problem.ts";
import { readOptions } from "../schema/read-options.ts";
import { complain, type Reader } from "../schema/reader.ts";
import { refusePaths } from "./certificates.ts";

/** One object of one container's labels. */
export interface Part<T> {
  readonly name: string;
  readonly value: T;
  readonly node: Node;
  /** An error was found inside it. */
  broken: boolean;
}

export interface Parts {
  readonly routers: Part<RouterOptions>[];
  readonly services: Part<LabelServiceOptions>[];
  readonly middlewares: Part<DeclaredMiddleware>[];
  readonly transports: Part<TransportOptions>[];
  readonly tlsOptions: Part<TlsOptionsOptions>[];
  readonly tlsStores: Part<TlsStoreOptions>[];
  readonly tlsCertificates: Part<TlsCertificateOptions>[];
  /** TCP or UDP routers or services were there, and nothing of HTTP: no HTTP router is made by default. */
  readonly otherProtocolOnly: boolean;
}

export interface PartsContext {
  readonly provider: string;
  readonly registry: ReadonlyMap<string, Middleware>;
  readonly report: (problem: Problem) => void;
  readonly secret: (reference: string) => string;
  /** The labels are our own container's, so the operator's own. */
  readonly trusted: boolean;
}

const SECTIONS = ["enable", "docker", "swarm", "http", "tcp", "udp", "tls", "port"];
const HTTP_SECTIONS = ["routers", "services", "middlewares", "serversTransports"];
const TLS_SECTIONS = ["options", "stores", "certificates"];

/** Reads everything that labels can declare. A problem stays inside its own router, service or middleware. */
export function readParts(tree: Node, context: PartsContext): Parts {
  const reader: Reader = context;
  const http = tree.get("http");
  const tls = tree.get("tls");
  refuseOthers(withoutVersion1(tree, reader), ["", ...SECTIONS], reader);
  refuseOthers(http, HTTP_SECTIONS, reader);
  refuseOthers(tls, TLS_SECTIONS, reader);
  const streams = refuseStreams(tree, reader);
  const parts: Omit<Parts, "otherProtocolOnly"> = {
    routers: readAll(http?.get("routers"), "router", context, (node, own) =>
      readOptions(routerOptions, node, own),
    ),
    services: readAll(http?.get("services"), "service", context, (node, own) =>
      readOptions(labelServiceOptions, node, own),
    ),
    middlewares: readAll(http?.get("middlewares"), "middleware", context, (node, own) =>
      readMiddleware(node, own, context.registry),
    ),
    transports: readAll(http?.get("serversTransports"), "transport", context, (node, own) =>
      refusePaths(readOptions(transportOptions, node, own), node, own),
    ),
    tlsOptions: withoutReserved(
      readAll(tls?.get("options"), "tls-options", context, (node, own) =>
        refusePaths(readOptions(tlsOptionsOptions, node, own), node, own),
      ),
      reservedOptions(context.trusted),
      context,
    ),
    tlsStores: withoutReserved(
      readAll(tls?.get("stores"), "tls-store", context, (node, own) =>
        refusePaths(readOptions(tlsStoreOptions, node, own), node, own),
      ),
      reservedStore,
      context,
    ),
    tlsCertificates: readCertificates(tls?.get("certificates"), context),
  };
  const isHttp = parts.routers.length + parts.services.length + parts.middlewares.length > 0;
  return { ...parts, otherProtocolOnly: streams && !isHttp };
}

/** A reader that marks what it reads with its subject and remembers whether an error was found. */
export function readerOf(subject: Subject | undefined, context: Pick<PartsContext, "report" | "secret">) {
  return {
    failed: false,
    secret: context.secret,
    report(problem: Problem) {
      if (problem.severity === "error") this.failed = true;
      context.report(subject === undefined ? problem : { ...problem, subject });
    },
  };
}

function readAll<T>(
  section: Node | undefined,
  kind: Subject["kind"],
  context: PartsContext,
  read: (node: Node, reader: Reader) => T,
): Part<T>[] {
  const parts: Part<T>[] = [];
  if (section?.value !== undefined || section?.items !== undefined) {
    complain(
      readerOf(undefined, context),
      section.place,
      "bad-value",
      `expected a name after it, as in ${section.name}.app`,
    );
  }
  for (const node of section?.children?.values() ?? []) {
    const reader = readerOf({ kind, name: `${node.name}@${context.provider}` }, context);
    if (node.name.includes("@")) {
      const message = `labels declare objects of the provider ${context.provider} only, and a name holds no @`;
      complain(readerOf(undefined, context), node.place, "foreign-name", message);
      continue;
    }
    if (node.value !== undefined) {
      const message = `${quote(String(node.value))} has no effect: options come after the name`;
      complain(reader, node.place, "bad-value", message, undefined, "warning");
    }
    const value = read(node, reader);
    parts.push({ name: node.name, value, node, broken: reader.failed });
  }
  return parts;
}

function readCertificates(section: Node | undefined, context: PartsContext): Part<TlsCertificateOptions>[] {
  return (section?.items ?? []).map((node, index) => {
    // It has no name, so its problems have only their place.
    const reader = readerOf(undefined, context);
    const value = refusePaths(readOptions(tlsCertificateOptions, node, reader), node, reader);
    return { name: String(index), value, node, broken: reader.failed };
  });
}

/**
 * What is everyone's is the operator's to say: in a file, or in the labels of Waybill's own container. Others do not
 * even get the name, so that they cannot keep it from the operator.
 */
function withoutReserved<T>(
  parts: Part<T>[],
  reserved: (name: string) => string | undefined,
  context: PartsContext,
) {
  return parts.filter(({ name, node }) => {
    const message = reserved(name);
    if (message !== undefined) complain(readerOf(undefined, context), node.place, "reserved-name", message);
    return message === undefined;
  });
}

const reservedStore = (name: string) =>
  name === "default" ? undefined : "there is one store, and it is called default";

const reservedOptions = (trusted: boolean) => (name: string) =>
  trusted || name !== "default"
    ? undefined
    : "the default TLS options are everyone's: say them in a file, or name other ones";

/** Labels of Traefik v1 may stand beside those that replaced them. */
function withoutVersion1(tree: Node, reader: Reader): Node {
  const rest = new Node(tree.name, tree.place);
  rest.children = new Map(tree.children);
  for (const name of ["frontend", "backend", "protocol", "weight", "domain", "tags"]) {
    const old = rest.children.get(name);
    if (old === undefined || !rest.children.delete(name)) continue;
    const message = `${quote(old.name)} is of Traefik v1 and has no effect; a rule is now traefik.http.routers.<name>.rule`;
    complain(reader, leafOf(old).place, "obsolete-option", message, undefined, "warning");
  }
  return rest;
}

function refuseOthers(node: Node | undefined, known: readonly string[], reader: Reader): void {
  for (const child of node?.children?.values() ?? []) {
    if (known.some((name) => name.toLowerCase() === child.name.toLowerCase())) continue;
    const leaf = leafOf(child);
    const message = `${quote(child.name)} is not known here; known are ${known.filter(Boolean).join(", ")}`;
    complain(reader, leaf.place, "unknown-option", message, nearest(child.name, known));
  }
}

// The whole label is easier to find than its beginning.
function leafOf(node: Node): { place: Place } {
  let leaf = node;
  while (leaf.value === undefined) {
    const next = leaf.children?.values().next().value ?? leaf.items?.[0];
    if (next === undefined) break;
    leaf = next;
  }
  return leaf;
}

/** True when TCP or UDP routers or services were there. Traefik's TCP and UDP middlewares alone do not count. */
function refuseStreams(tree: Node, reader: Reader): boolean {
  let found = false;
  for (const protocol of ["tcp", "udp"]) {
    for (const section of tree.get(protocol)?.children?.values() ?? []) {
      found ||= /^(?:routers|services)$/i.test(section.name);
      for (const object of section.children?.values() ?? [section]) {
        const message = `${protocol.toUpperCase()} ${section.name} are not part of Waybill; HTTP labels of this container are not affected`;
        complain(reader, object.place, "unsupported-option", message);
      }
    }
  }
  return found;
}

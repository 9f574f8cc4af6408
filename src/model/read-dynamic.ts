import { nearest } from "../lib/nearest.ts";
import { below, type Node, type Place } from "../schema/node.ts";
import type { Options } from "../schema/option.ts";
import type { Problem, Subject } from "../schema/problem.ts";
import { quote } from "../schema/problem.ts";
import { readOptions } from "../schema/read-options.ts";
import { complain, type Reader } from "../schema/reader.ts";
import type { Declaration, Declared, DeclaredRouter, DeclaredService } from "./declared.ts";
import {
  type FileServiceOptions,
  fileServiceOptions,
  routerOptions,
  tlsCertificateOptions,
  tlsOptionsOptions,
  tlsStoreOptions,
  transportOptions,
} from "./dynamic.ts";
import { type Registry, readMiddleware } from "./read-middleware.ts";
import { readServer } from "./read-server.ts";

/** What one tree of dynamic configuration declares: a file, an answer of the HTTP provider, the keys in Redis. */
export type DeclaredParts = Omit<Declaration, "provider" | "problems" | "workloads" | "unrouted">;

export interface DynamicContext {
  readonly provider: string;
  readonly registry: Registry;
  readonly report: (problem: Problem) => void;
  /** Throws `Unreadable`. */
  readonly secret: (reference: string) => string;
}

const ROOTS = ["http", "tls"];
const HTTP = ["routers", "services", "middlewares", "serversTransports"];
const TLS = ["certificates", "options", "stores"];

/** Reads everything a tree can declare. A problem stays inside its own router, service or middleware. */
export function readDynamic(tree: Node, context: DynamicContext): DeclaredParts {
  refuseOthers(tree, ROOTS, context);
  const http = tree.get("http");
  const tls = tree.get("tls");
  refuseOthers(http, HTTP, context);
  refuseOthers(tls, TLS, context);
  const each = <T>(section: Node | undefined, kind: Subject["kind"], read: Read<T>) =>
    readEach(section, kind, read, context);
  const plain =
    <O extends Options>(options: O) =>
    (node: Node, reader: Reader) =>
      readOptions(options, node, reader);
  return {
    routers: each(http?.get("routers"), "router", readRouter),
    services: each(http?.get("services"), "service", readService),
    middlewares: each(http?.get("middlewares"), "middleware", (node, reader) =>
      readMiddleware(node, reader, context.registry),
    ),
    transports: each(http?.get("serversTransports"), "transport", plain(transportOptions)),
    tlsOptions: each(tls?.get("options"), "tls-options", plain(tlsOptionsOptions)),
    tlsStores: each(tls?.get("stores"), "tls-store", plain(tlsStoreOptions)),
    tlsCertificates: (tls?.get("certificates")?.items ?? []).map((node, index) =>
      readOne(
        node,
        { kind: "certificate", name: `${index}@${context.provider}` },
        plain(tlsCertificateOptions),
        context,
      ),
    ),
  };
}

type Read<T> = (node: Node, reader: Reader) => T;

function readEach<T>(
  section: Node | undefined,
  kind: Subject["kind"],
  read: Read<T>,
  context: DynamicContext,
): Map<string, Declared<T>> {
  const declared = new Map<string, Declared<T>>();
  if (section?.items || (section?.value ?? null) !== null) {
    complain(context, section!.place, "bad-value", `expected names below it, such as ${section!.name}.app`);
  }
  for (const node of section?.children?.values() ?? []) {
    const subject = { kind, name: `${node.name}@${context.provider}` };
    const one = readOne(node, subject, read, context);
    if (node.name.includes("@")) {
      complain(
        context,
        node.place,
        "foreign-name",
        "expected a name without @: it belongs to this provider already",
      );
    } else declared.set(node.name, one);
  }
  return declared;
}

function readOne<T>(node: Node, subject: Subject, read: Read<T>, context: DynamicContext): Declared<T> {
  let broken = false;
  const reader: Reader = {
    secret: context.secret,
    report(problem) {
      broken ||= problem.severity === "error";
      context.report({ ...problem, subject });
    },
  };
  if (node.items || (node.value ?? null) !== null) {
    complain(
      reader,
      node.place,
      "bad-value",
      `expected options below it, found ${quote(String(node.value ?? "a list"))}`,
    );
  }
  const value = read(node, reader);
  return { value, place: node.place, node, broken, workloads: [] };
}

function readRouter(node: Node, reader: Reader): DeclaredRouter {
  const router = readOptions(routerOptions, node, reader);
  if (router.rule === "" && router.parentRefs.length === 0) {
    complain(
      reader,
      below(node.place, "rule"),
      "missing-option",
      "is required: which requests the router takes",
    );
  }
  return { ...router, byDefaultRule: false, createdAtMs: 0 };
}

const KINDS = ["loadBalancer", "weighted", "mirroring", "failover", "highestRandomWeight"] as const;

function readService(node: Node, reader: Reader): DeclaredService {
  const service = readOptions(fileServiceOptions, node, reader);
  const kinds = KINDS.filter((kind) => service[kind] !== undefined);
  if (kinds.length !== 1) {
    const found = kinds.length === 0 ? "none" : kinds.join(" and ");
    complain(reader, node.place, "bad-service", `expected one of ${KINDS.join(", ")}, found ${found}`);
  }
  const balancer = service.loadBalancer;
  return { ...service, loadBalancer: balancer && withServers(balancer, node.get("loadBalancer"), reader) };
}

function withServers(
  balancer: NonNullable<FileServiceOptions["loadBalancer"]>,
  node: Node | undefined,
  reader: Reader,
): NonNullable<DeclaredService["loadBalancer"]> {
  const items = node?.get("servers")?.items ?? [];
  const servers = balancer.servers.flatMap((server, index) => {
    // Its url is missing, which has been said.
    if (server.url === undefined) return [];
    const spec = readServer(server.url, server.preservePath, server.weight);
    const place: Place = items[index]?.get("url")?.place ?? node!.place;
    if (typeof spec === "string") complain(reader, place, "bad-value", `${spec}, found ${quote(server.url)}`);
    return typeof spec === "string" ? [] : [spec];
  });
  return { ...balancer, servers, unavailable: [] };
}

function refuseOthers(node: Node | undefined, known: readonly string[], context: DynamicContext): void {
  const isRoot = node?.place.key === "";
  for (const child of node?.children?.values() ?? []) {
    const key = child.name.toLowerCase();
    if (known.some((name) => name.toLowerCase() === key)) continue;
    if (isRoot && (key === "tcp" || key === "udp")) refuseStreams(child, context);
    // People keep anchors there.
    else if (!(isRoot && key.startsWith("x-"))) {
      const message = `${quote(child.name)} is not known here; known are ${known.join(", ")}`;
      complain(context, child.place, "unknown-option", message, nearest(child.name, known));
    }
  }
}

function refuseStreams(protocol: Node, context: DynamicContext): void {
  for (const section of protocol.children?.values() ?? []) {
    for (const node of section.children?.values() ?? []) {
      const message = `TCP and UDP ${section.name} are not part of Waybill; what is below http is not affected`;
      complain(context, node.place, "unsupported-option", message);
    }
  }
}

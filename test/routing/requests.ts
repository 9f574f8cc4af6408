import { NO_BODY } from "../../src/model/body.ts";
import type { Client } from "../../src/model/client.ts";
import { type Connection, Exchange } from "../../src/model/exchange.ts";
import type { Route } from "../../src/model/route.ts";
import type { RouterSpec } from "../../src/model/snapshot.ts";
import { effectivePriority } from "../../src/routing/priority.ts";
import type { CompiledRouter } from "../../src/routing/table.ts";

const CLIENT: Client = {
  inform() {},
  send() {},
  takeOver() {
    throw new Error("nothing is taken over here");
  },
  abort() {},
};

export interface RequestFacts {
  readonly method?: string;
  /** Canonical. */
  readonly host?: string;
  /** Normalised. */
  readonly path?: string;
  readonly query?: string;
  readonly headers?: readonly string[];
  readonly clientIp?: string;
  readonly tls?: boolean;
  readonly entryPoint?: string;
}

export function exchangeOf(facts: RequestFacts): Exchange {
  const connection: Connection = {
    entryPoint: facts.entryPoint ?? "web",
    peerIp: facts.clientIp ?? "192.0.2.1",
    peerPort: 40000,
    localPort: 80,
    tls: facts.tls
      ? {
          serverName: facts.host,
          options: "default",
          version: "1.3",
          cipher: "TLS_AES_128_GCM_SHA256",
          peerCertificates: () => [],
        }
      : undefined,
  };
  return new Exchange(
    CLIENT,
    connection,
    0,
    11,
    facts.method ?? "GET",
    facts.tls ? "https" : "http",
    facts.host ?? "",
    facts.host ?? "",
    facts.path ?? "/",
    facts.query,
    [...(facts.headers ?? [])],
    NO_BODY,
    undefined,
    false,
  );
}

export interface RouterFacts extends Partial<Omit<RouterSpec, "tls" | "priority">> {
  readonly name: string;
  readonly tls?: boolean;
  readonly priority?: bigint;
}

export function routerOf(facts: RouterFacts): CompiledRouter {
  const rule = facts.rule ?? "";
  const spec: RouterSpec = {
    provider: "docker",
    ruleSyntax: "v3",
    precedence: 0,
    createdAtMs: 0,
    entryPoints: ["web"],
    middlewares: [],
    service: facts.name,
    parents: [],
    byDefaultRule: false,
    accessLog: true,
    metrics: true,
    tracing: true,
    detailedTraces: false,
    ...facts,
    rule,
    priority: effectivePriority(facts.priority ?? 0n, rule),
    tls: facts.tls ? { options: "default", certResolver: "", domains: [] } : undefined,
  };
  return { spec, route: routeOf(facts.name, rule) };
}

function routeOf(name: string, rule: string): Route {
  return {
    name,
    rule,
    hooks: [],
    service: {
      name,
      available: () => true,
      choose() {
        throw new Error("routing asks no service");
      },
    },
    tlsOptions: undefined,
    accessLog: true,
    metrics: true,
    tracing: true,
  };
}

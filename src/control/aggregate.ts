import { tlsOptionsOptions } from "../model/dynamic.ts";
import type { Report } from "../model/report.ts";
import type { RouterSpec, Snapshot } from "../model/snapshot.ts";
import { Node } from "../schema/node.ts";
import { readOptions } from "../schema/read-options.ts";
import { type Context, type Sources, Users } from "./context.ts";
import { modelEntryPoints } from "./entry-points.ts";
import { Ledger } from "./ledger.ts";
import { makeReport } from "./make-report.ts";
import { MiddlewareBook } from "./middlewares.ts";
import { RouterBook } from "./routers.ts";
import { ServiceBook } from "./services.ts";
import { DEFAULT_OPTIONS, TlsOptionsBook } from "./tls-book.ts";
import { settleTlsHosts } from "./tls-hosts.ts";
import { TransportBook } from "./transports.ts";

export interface Aggregate {
  readonly snapshot: Snapshot;
  readonly report: Report;
}

/** Everything that was worked out, for the report. */
export interface Books {
  readonly routers: RouterBook;
  readonly services: ServiceBook;
  readonly middlewares: MiddlewareBook;
  readonly transports: TransportBook;
  readonly tls: TlsOptionsBook;
}

/**
 * What all providers declare, put together: names qualified, references followed, rules checked, entry points' defaults
 * added. Whatever is broken is out of force alone, with what cannot do without it; the report says what and why. The
 * same sources always give the same answer.
 */
export function aggregate(sources: Sources): Aggregate {
  const context: Context = { ...sources, ledger: new Ledger(), users: new Users() };
  for (const declaration of sources.declarations) context.ledger.take(declaration.problems);
  context.ledger.take(sources.problems);

  const entryPoints = modelEntryPoints(sources.settings.entryPoints);
  const services = new ServiceBook(context);
  const middlewares = new MiddlewareBook(context, (name) => services.exists(name));
  const transports = new TransportBook(context);
  services.resolveAll(middlewares, transports);
  const tls = new TlsOptionsBook(context);
  const routers = new RouterBook(context, entryPoints, { middlewares, services, tls });
  const hosts = settleTlsHosts(context, routers.resolved.values(), tls);

  const snapshot: Snapshot = {
    version: sources.version,
    routers: routersInTable(routers, tls),
    services: services.specs,
    middlewares: middlewares.specs,
    transports: transports.specs,
    tls: {
      options: withDefault(tls),
      certificates: sources.certificates,
      defaultCertificate: sources.defaultCertificate,
      hosts,
      ...(sources.ticketSecret !== undefined && { ticketSecret: sources.ticketSecret }),
    },
    challenges: sources.challenges,
  };
  return { snapshot, report: makeReport(context, { routers, services, middlewares, transports, tls }) };
}

function routersInTable({ resolved }: RouterBook, tls: TlsOptionsBook): RouterSpec[] {
  const specs: RouterSpec[] = [];
  for (const router of resolved.values()) {
    const { closed, found } = router;
    if (!router.broken) specs.push(...router.specs);
    else if (closed !== undefined) {
      const meant = router.specs.map((spec) => ({
        ...spec,
        tls: spec.tls ?? tlsMeantBy(found.declared.node),
      }));
      const placed = meant.filter(({ entryPoints, parents }) => entryPoints.length + parents.length > 0);
      specs.push(...placed.map((spec) => closedSpec(spec, closed, tls)));
    }
  }
  return specs;
}

/** Something like `tls=yes` cannot be read, but tells where the router was to stand. */
function tlsMeantBy(node: Node | undefined): RouterSpec["tls"] {
  const written = node?.get("tls")?.value;
  if (typeof written !== "string" || /^(?:false|0|)$/i.test(written)) return undefined;
  return { options: DEFAULT_OPTIONS, certResolver: "", domains: [] };
}

/** The router with nothing left that may be missing. */
function closedSpec(spec: RouterSpec, closed: string, tls: TlsOptionsBook): RouterSpec {
  const known = (options: string) => (tls.specs.has(options) ? options : DEFAULT_OPTIONS);
  return {
    ...spec,
    middlewares: [],
    service: "",
    tls: spec.tls && { ...spec.tls, options: known(spec.tls.options) },
    closed,
  };
}

// Broken default options put every TLS router out of force; handshakes still need some, to say 404.
function withDefault({ specs }: TlsOptionsBook): Snapshot["tls"]["options"] {
  if (specs.has(DEFAULT_OPTIONS)) return specs;
  const node = new Node("", { source: "default", key: "tls.options.default" });
  return new Map([
    ...specs,
    [DEFAULT_OPTIONS, readOptions(tlsOptionsOptions, node, { report() {}, secret: () => "" })],
  ]);
}

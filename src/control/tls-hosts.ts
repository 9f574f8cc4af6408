import type { RouterSpec, TlsSpec } from "../model/snapshot.ts";
import { clientAuthOf } from "../tls/options.ts";
import type { Context } from "./context.ts";
import { optionOf } from "./ledger.ts";
import type { ResolvedRouter } from "./routers.ts";
import { DEFAULT_OPTIONS, type TlsOptionsBook } from "./tls-book.ts";

interface Claim {
  readonly options: string;
  readonly router: ResolvedRouter;
}

/**
 * TLS options are chosen by server name, before there is a request, so a host has one set of them. Routers that name
 * none take those that others named for their hosts; where two sets are named the older router keeps its, so that a
 * newcomer cannot take a host's client certificates away.
 */
export function settleTlsHosts(
  context: Context,
  routers: Iterable<ResolvedRouter>,
  tls: TlsOptionsBook,
): NonNullable<TlsSpec["hosts"]> {
  const claims = new Map<string, Claim>();
  const secure = [...routers].filter(
    // One that is closed still asks for its client certificates: others on its host count on them.
    ({ broken, closed, specs }) =>
      (!broken || closed !== undefined) && specs.some((spec) => spec.tls !== undefined),
  );
  for (const router of secure.sort(olderFirst)) claimHosts(context, router, claims, tls);
  for (const router of secure)
    router.specs = router.specs.map((spec) => settle(context, router, spec, claims, tls));
  return new Map([...claims].map(([host, { options }]) => [host, options]));
}

function olderFirst({ specs: [a] }: ResolvedRouter, { specs: [b] }: ResolvedRouter): number {
  return a!.precedence - b!.precedence || a!.createdAtMs - b!.createdAtMs || (a!.name < b!.name ? -1 : 1);
}

function claimHosts(
  { ledger }: Context,
  router: ResolvedRouter,
  claims: Map<string, Claim>,
  tls: TlsOptionsBook,
): void {
  const { found, specs, hosts } = router;
  for (const options of new Set(specs.map((spec) => spec.tls?.options))) {
    if (options === undefined || options === DEFAULT_OPTIONS || !tls.specs.has(options)) continue;
    for (const written of hosts) {
      const host = written.toLowerCase().replace(/\.$/, "");
      const first = claims.get(host);
      if (first === undefined) claims.set(host, { options, router });
      else if (first.options !== options) {
        const message = `host ${host} has the TLS options ${first.options} of router ${first.router.found.name} already, so ${options} is not used for it`;
        ledger.warn(
          { kind: "router", name: found.name },
          optionOf(found.declared, "tls.options"),
          "conflict",
          message,
        );
      }
    }
  }
}

function settle(
  { ledger }: Context,
  { found, hosts }: ResolvedRouter,
  spec: RouterSpec,
  claims: ReadonlyMap<string, Claim>,
  tls: TlsOptionsBook,
): RouterSpec {
  if (spec.tls === undefined || !tls.specs.has(spec.tls.options)) return spec;
  const claimed = hosts.map(
    (host) => claims.get(host.toLowerCase().replace(/\.$/, ""))?.options ?? DEFAULT_OPTIONS,
  );
  const subject = { kind: "router", name: found.name } as const;
  const place = optionOf(found.declared, "tls.options");
  if (new Set(claimed).size > 1) {
    const message = `its hosts have different TLS options (${[...new Set(claimed)].join(", ")}); requests for the others get 421`;
    ledger.warn(subject, place, "conflict", message);
  }
  if (claimed.length === 0 && spec.tls.options !== DEFAULT_OPTIONS) {
    const asksForCertificates = clientAuthOf(tls.specs.get(spec.tls.options)!) !== "NoClientCert";
    const message = `TLS options are chosen by host, and the rule names none, so the default options are used`;
    if (!asksForCertificates) ledger.warn(subject, place, "no-host", message);
    // Rather no answer than one to a client that was to show a certificate and did not.
    if (asksForCertificates) {
      const refusal = `TLS options are chosen by host, and the rule names none: nobody could be asked for a certificate, so every request gets 421`;
      ledger.warn(subject, place, "no-host", refusal);
      return spec;
    }
  }
  return { ...spec, tls: { ...spec.tls, options: claimed[0] ?? DEFAULT_OPTIONS } };
}

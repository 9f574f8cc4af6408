import { createHash } from "node:crypto";
import type { AcmeOptions } from "../../model/resolver-settings.ts";
import type { Solver } from "../challenges.ts";
import type { Clock } from "../clock.ts";
import { AcmeProblem } from "../problem.ts";
import { acmeDns } from "./acme-dns.ts";
import { cloudflare } from "./cloudflare.ts";
import { desec } from "./desec.ts";
import { digitalocean } from "./digitalocean.ts";
import { duckdns } from "./duckdns.ts";
import { exec } from "./exec.ts";
import { gandi } from "./gandi.ts";
import { hetzner } from "./hetzner.ts";
import { httpreq } from "./httpreq.ts";
import { ovh } from "./ovh.ts";
import { DnsEye } from "./propagation.ts";
import { type DnsProvider, type DnsRecord, type ProviderKind, Variables } from "./provider.ts";
import { rfc2136 } from "./rfc2136.ts";
import { route53 } from "./route53.ts";

export const PROVIDERS: readonly ProviderKind[] = [
  acmeDns,
  cloudflare,
  desec,
  digitalocean,
  duckdns,
  exec,
  gandi,
  hetzner,
  httpreq,
  ovh,
  rfc2136,
  route53,
];

export type DnsChallengeOptions = NonNullable<AcmeOptions["dnsChallenge"]>;

export interface DnsTools {
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Tests run authoritative servers on other ports. */
  readonly authorityPort?: number;
}

const POLL_MS = 2000;

/** Proves names by TXT records. Throws `Error` when the provider is unknown or lacks something. */
export function dnsSolver(
  options: DnsChallengeOptions,
  { clock, environment, authorityPort }: DnsTools,
): Solver {
  const kind = PROVIDERS.find(({ code }) => code === options.provider);
  if (kind === undefined) {
    const known = PROVIDERS.map(({ code }) => code).join(", ");
    throw new Error(
      `there is no DNS provider ${JSON.stringify(options.provider)}; known are ${known}; httpreq and exec fit any other`,
    );
  }
  const provider = oneAtATime(kind.create(new Variables(options.credentials, environment), { clock }));
  const eye = new DnsEye(options.resolvers, authorityPort);
  const follows = environment["LEGO_DISABLE_CNAME_SUPPORT"] !== "true";

  return async ({ authorization, token, keyAuthorization, signal }) => {
    const domain = authorization.name;
    const asked = `_acme-challenge.${domain}`;
    const name = follows ? await eye.follow(asked) : asked;
    const value = createHash("sha256").update(keyAuthorization).digest("base64url");
    const record: DnsRecord = { name, value, domain, token, keyAuthorization };
    await provider.present(record);
    try {
      await untilSeen(record, options, kind, eye, clock, signal);
    } catch (error) {
      await provider.cleanUp(record).catch(() => {});
      throw error;
    }
    return () => provider.cleanUp(record);
  };
}

async function untilSeen(
  { name, value }: DnsRecord,
  { propagation, delayBeforeCheck, disablePropagationCheck }: DnsChallengeOptions,
  kind: ProviderKind,
  eye: DnsEye,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const delayMs = propagation.delayBeforeChecks || delayBeforeCheck || 0;
  if (delayMs > 0) await clock.sleep(delayMs, signal);
  if (propagation.disableChecks || disablePropagationCheck) return;
  const endMs = clock.nowMs() + kind.propagationMs;
  for (;;) {
    const authority = propagation.disableANSChecks ? undefined : await eye.missingAtAuthority(name, value);
    const asksRecursive = propagation.requireAllRNS || propagation.disableANSChecks;
    const missing =
      authority ??
      (asksRecursive ? await eye.missingAtRecursive(name, value, propagation.requireAllRNS) : undefined);
    if (missing === undefined) return;
    if (clock.nowMs() >= endMs)
      throw new AcmeProblem("dnsPropagation", `the record ${name} is still not seen: ${missing}`);
    await clock.sleep(POLL_MS, signal);
  }
}

/** Providers that rewrite a whole record set would lose a value that another proof adds meanwhile. */
function oneAtATime(provider: DnsProvider): DnsProvider {
  let turn: Promise<unknown> = Promise.resolve();
  const queued = (work: () => Promise<void>) => {
    const mine = turn.then(work);
    turn = mine.catch(() => {});
    return mine;
  };
  return {
    present: (record) => queued(() => provider.present(record)),
    cleanUp: (record) => queued(() => provider.cleanUp(record)),
  };
}

import { readFileSync } from "node:fs";
import { Acme } from "../acme/manager.ts";
import { storageOnDisk } from "../acme/resolver.ts";
import type { Want } from "../acme/tickets.ts";
import type { IssuanceView } from "../model/certificate-view.ts";
import type { Logger } from "../model/host.ts";
import type { Report } from "../model/report.ts";
import type { AcmeOptions } from "../model/resolver-settings.ts";
import type { Settings } from "../model/settings.ts";
import type { CertificateSpec } from "../model/snapshot.ts";
import { goesWithContainer } from "./lasting.ts";

export interface CertificatesHost {
  readonly settings: Settings;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
  /** Puts these in force; resolves when every thread has them. */
  readonly certify: (
    issued: readonly CertificateSpec[],
    challenges: ReadonlyMap<string, string>,
  ) => Promise<void>;
}

const NO_CHALLENGES: ReadonlyMap<string, string> = new Map();

/** Gets certificates for what routers ask for, and hands them and the proofs for them to the configuration. */
export class Certificates {
  readonly acme: Acme;
  readonly #host: CertificatesHost;
  #issued: readonly CertificateSpec[] = [];
  #proofs: readonly CertificateSpec[] = [];
  #tokens = NO_CHALLENGES;

  constructor(host: CertificatesHost) {
    this.#host = host;
    warnOfLoss(host);
    this.acme = new Acme({
      resolvers: resolversIn(host.settings),
      log: host.log,
      environment: host.env,
      onChallenges: ({ tokens, certificates }) => {
        this.#tokens = new Map(tokens);
        this.#proofs = [...certificates];
        return this.#certify();
      },
      onCertificates: (certificates) => {
        this.#issued = certificates;
        void this.#certify();
      },
    });
  }

  follow(report: Report): void {
    this.acme.want(wantsOf(report));
  }

  /** How getting certificates goes, name by name. */
  issuance(): IssuanceView[] {
    return this.acme.status().map(({ certificate: _, ...view }) => view);
  }

  #certify(): Promise<void> {
    return this.#host.certify([...this.#issued, ...this.#proofs], this.#tokens);
  }
}

/** A new container orders again, and CAs allow few of the same certificate a week. */
function warnOfLoss({ settings, log, env }: CertificatesHost): void {
  let mounts = "";
  try {
    mounts = readFileSync("/proc/self/mountinfo", "utf8");
  } catch {}
  for (const [resolver, { storage }] of resolversIn(settings)) {
    const { directory } = storageOnDisk(storage, env);
    if (/^rediss?:/.test(storage) || !goesWithContainer(directory, mounts)) continue;
    const message = `certificates are kept in ${directory}, which goes with this container: mount a volume there, as in ./acme:${directory}`;
    log.warn({ resolver, storage }, message);
  }
}

function resolversIn({ certificatesResolvers }: Settings): ReadonlyMap<string, AcmeOptions> {
  const resolvers = new Map<string, AcmeOptions>();
  for (const [name, { acme }] of certificatesResolvers) if (acme !== undefined) resolvers.set(name, acme);
  return resolvers;
}

/** The certificates that routers in force, and the default store, ask resolvers for. */
export function wantsOf({ routers, tlsStores }: Report): Want[] {
  const wants: Want[] = [];
  for (const { name: owner, status, effective, hosts } of routers.values()) {
    if (status === "disabled") continue;
    for (const { tls } of effective) {
      if (tls === undefined || tls.certResolver === "") continue;
      const { certResolver: resolver, domains } = tls;
      const sets =
        domains.length > 0 ? domains.map(({ main, sans }) => [main, ...sans]) : hosts.map((host) => [host]);
      for (const names of sets) {
        const wanted = names.filter((name) => name !== "" && name !== "*");
        if (wanted.length > 0) wants.push({ resolver, names: wanted, owner });
      }
    }
  }
  for (const { name: owner, declared } of tlsStores.values()) {
    const generated = declared.defaultGeneratedCert;
    if (generated?.domain === undefined || generated.resolver === "") continue;
    wants.push({
      resolver: generated.resolver,
      names: [generated.domain.main, ...generated.domain.sans],
      owner,
    });
  }
  return wants;
}

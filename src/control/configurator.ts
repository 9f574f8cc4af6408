import { randomBytes } from "node:crypto";
import type { Declaration } from "../model/declared.ts";
import type { Logger } from "../model/host.ts";
import type { Middleware } from "../model/middleware.ts";
import type { Report } from "../model/report.ts";
import type { Settings } from "../model/settings.ts";
import type { CertificateSpec, MiddlewareSpec, Snapshot } from "../model/snapshot.ts";
import {
  changeBetween,
  changesNothing,
  EMPTY_SNAPSHOT,
  keepUnchanged,
  type SnapshotChange,
} from "../model/snapshot-change.ts";
import { checkRule, type RuleCheck, type RuleSyntax } from "../routing/rule.ts";
import { describeProblem, type Problem } from "../schema/problem.ts";
import { aggregate } from "./aggregate.ts";
import { CertificateFiles } from "./certificates.ts";
import { declareInternals } from "./internal.ts";
import { SharedMemory } from "./shared-memory.ts";
import type { Slots } from "./slots.ts";
import { summarize } from "./summary.ts";
import { TlsFiles } from "./tls-files.ts";

export interface ConfiguratorHost {
  readonly settings: Settings;
  readonly registry: ReadonlyMap<string, Middleware>;
  readonly log: Logger;
  readonly slots: Slots;
  /** Shown when no other certificate fits. */
  readonly ownCertificate: CertificateSpec;
  readonly publish: (snapshot: Snapshot, change: SnapshotChange, report: Report) => void;
}

/**
 * Takes what providers declare, puts it together, and publishes what comes of it. The first word of a provider counts
 * at once, and so does one after a silence; when it speaks fast, its words are gathered. Whatever goes wrong in here,
 * the last configuration stays.
 */
export class Configurator {
  readonly #host: ConfiguratorHost;
  readonly #declarations = new Map<string, Declaration>();
  readonly #shared = new SharedMemory();
  readonly #files: TlsFiles;
  readonly #certificates: CertificateFiles;
  readonly #rules = new RuleChecks();
  readonly #throttleMs: number;
  #challenges: ReadonlyMap<string, string> = new Map();
  #issued: readonly CertificateSpec[] = [];
  #ticketSecret = randomBytes(32).toString("hex");
  #adminSocket: string | undefined;
  #snapshot: Snapshot = EMPTY_SNAPSHOT;
  #appliedAtMs = Number.NEGATIVE_INFINITY;
  #due: NodeJS.Timeout | undefined;
  #known = new Set<string>();
  #report: Report | undefined;
  /** Middlewares that threads could not make, until they are declared otherwise. */
  readonly #broken = new Map<string, { readonly spec: MiddlewareSpec; readonly problem: Problem }>();

  constructor(host: ConfiguratorHost) {
    this.#host = host;
    this.#files = new TlsFiles(host.log, () => this.#applySoon(false));
    this.#certificates = new CertificateFiles(this.#files.read, Date.now);
    this.#throttleMs = host.settings.providers.providersThrottleDuration;
  }

  /** A provider has something new to say. */
  declare(declaration: Declaration): void {
    const isFirst = !this.#declarations.has(declaration.provider);
    this.#declarations.set(declaration.provider, declaration);
    this.#applySoon(isFirst);
  }

  /**
   * Certificates that were got for us, and challenges that are to be answered while more are got. Gives the version
   * that has them.
   */
  certify(issued: readonly CertificateSpec[], challenges: ReadonlyMap<string, string>): number {
    this.#issued = issued;
    this.#challenges = challenges;
    this.#applySoon(true);
    return this.#snapshot.version;
  }

  /** A thread could not make a middleware: what it guards answers 503, and the report says why. */
  brokenMiddleware(name: string, reason: string): void {
    const spec = this.#snapshot.middlewares.get(name);
    if (spec === undefined || this.#broken.has(name)) return;
    const place = this.#report?.middlewares.get(name)?.place ?? { source: "default", key: name };
    const message = `it could not be made, so what it guards answers 503: ${reason}`;
    const subject = { kind: "middleware", name } as const;
    this.#broken.set(name, {
      spec,
      problem: { code: "broken-middleware", severity: "error", place, message, subject },
    });
    this.#applySoon(false);
  }

  /** The main thread answers for `api@internal` and its like from now on, there. */
  servePages(adminSocket: string | undefined): void {
    this.#adminSocket = adminSocket;
    this.apply();
  }

  /** Sessions are sealed anew; those of before need a full handshake. */
  renewTickets(): void {
    this.#ticketSecret = randomBytes(32).toString("hex");
    this.#applySoon(true);
  }

  close(): void {
    clearTimeout(this.#due);
    this.#files.close();
  }

  #applySoon(atOnce: boolean): void {
    const waitMs = atOnce ? 0 : Math.max(0, this.#appliedAtMs + this.#throttleMs - performance.now());
    if (waitMs === 0) {
      clearTimeout(this.#due);
      this.#due = undefined;
      this.apply();
    } else this.#due ??= setTimeout(() => this.apply(), waitMs);
  }

  /** Puts together what is declared now. */
  apply(): void {
    this.#due = undefined;
    try {
      this.#applyNow();
    } catch (error) {
      this.#host.log.error(
        { err: error },
        "the configuration could not be put together; the last one stays in force",
      );
    }
    this.#appliedAtMs = performance.now();
  }

  #applyNow(): void {
    const { settings, registry, slots } = this.#host;
    const declarations = [this.#internals(), ...this.#declarations.values()];
    const read = this.#certificates.read(declarations);
    const { snapshot: made, report } = aggregate({
      settings,
      declarations,
      registry,
      certificates: [this.#host.ownCertificate, ...read.certificates, ...this.#issued],
      defaultCertificate: read.defaultCertificate ?? this.#host.ownCertificate.id,
      problems: [...read.problems, ...this.#broken.values().map(({ problem }) => problem)],
      challenges: this.#challenges,
      ticketSecret: this.#ticketSecret,
      checkRule: this.#rules.check,
      readFile: this.#files.read,
      slotOf: (service, serverId) => slots.slotOf(service, serverId),
      sharedFor: this.#shared.sharedFor,
      // Rises with every report, so that who follows them sees that there is a new one.
      version: (this.#report?.version ?? this.#snapshot.version) + 1,
      nowMs: Date.now(),
    });
    const snapshot = keepUnchanged(this.#snapshot, made);
    const change = changeBetween(this.#snapshot, snapshot);
    slots.settle();
    this.#files.settle();
    this.#shared.settle();
    this.#rules.settle();
    const before = this.#snapshot;
    const same = changesNothing(change);
    this.#snapshot = same ? { ...snapshot, version: before.version } : snapshot;
    this.#report = report;
    for (const [name, { spec }] of this.#broken) {
      if (snapshot.middlewares.get(name) === spec) continue;
      this.#broken.delete(name);
      // Its problem is still in this report, and goes with the next.
      setImmediate(() => this.#applySoon(false));
    }
    this.#host.publish(this.#snapshot, same ? { ...change, version: before.version } : change, report);
    if (!same) this.#logChange(before, snapshot, change);
    this.#logProblems(report);
  }

  #internals(): Declaration {
    const { settings, registry } = this.#host;
    const adminSocket = this.#adminSocket;
    return declareInternals(settings, registry, {
      adminSocket,
      challengeEntryPoints: this.#challengeEntryPoints(),
      challengeTokens: [...this.#challenges.keys()],
    });
  }

  /** Those that resolvers name; all of the users' where one of them names none. */
  #challengeEntryPoints(): readonly string[] {
    const { certificatesResolvers, entryPoints } = this.#host.settings;
    const named = [...certificatesResolvers.values()].map(
      ({ acme }) => acme?.httpChallenge?.entryPoint ?? "",
    );
    if (named.every((name) => name !== "")) return [...new Set(named)];
    return [...entryPoints.keys()].filter((name) => name !== "traefik");
  }

  #logChange(before: Snapshot, next: Snapshot, change: SnapshotChange): void {
    const { fields, declared } = summarize(before, next, change);
    // Our own pages come and go with the start and with challenges: nobody's business.
    this.#host.log[declared ? "info" : "debug"](fields, "configuration applied");
  }

  /** Each problem once, when it comes up. */
  #logProblems({ problems }: Report): void {
    const now = new Set<string>();
    for (const problem of problems) {
      const text = describeProblem(problem);
      now.add(text);
      if (this.#known.has(text)) continue;
      const fields = {
        code: problem.code,
        ...(problem.subject && { [problem.subject.kind]: problem.subject.name }),
      };
      this.#host.log[problem.severity === "error" ? "error" : "warn"](fields, text);
    }
    this.#known = now;
  }
}

/** Checking a rule means parsing it: done once for as long as somebody uses it. */
class RuleChecks {
  #kept = new Map<string, RuleCheck>();
  #wanted = new Map<string, RuleCheck>();

  readonly check = (rule: string, syntax: RuleSyntax): RuleCheck => {
    const key = `${syntax} ${rule}`;
    const checked = this.#wanted.get(key) ?? this.#kept.get(key) ?? checkRule(rule, syntax);
    this.#wanted.set(key, checked);
    return checked;
  };

  settle(): void {
    this.#kept = this.#wanted;
    this.#wanted = new Map();
  }
}

import { nearest } from "../lib/nearest.ts";
import type { DeclaredRouter } from "../model/declared.ts";
import type { RouterSpec } from "../model/snapshot.ts";
import { effectivePriority, PRIORITY_MAX } from "../routing/priority.ts";
import type { RuleSyntax } from "../routing/rule.ts";
import type { Place } from "../schema/node.ts";
import { describePlace, describeProblem, type Subject } from "../schema/problem.ts";
import { type Context, collect, complainUnknown, type Found } from "./context.ts";
import type { EntryPointModel, EntryPoints } from "./entry-points.ts";
import { optionOf } from "./ledger.ts";
import type { MiddlewareBook } from "./middlewares.ts";
import { prefixed, providerOf, qualify } from "./names.ts";
import type { ServiceBook } from "./services.ts";
import { DEFAULT_OPTIONS, precedenceOf, type TlsOptionsBook } from "./tls-book.ts";

/** One declared router and what it came to. */
export interface ResolvedRouter {
  readonly found: Found<DeclaredRouter>;
  /** In force unless `broken`: one, or one for every entry point whose defaults made a copy. */
  specs: readonly RouterSpec[];
  readonly hosts: readonly string[];
  readonly broken: boolean;
  /** Broken, and yet in the table: why it refuses what it would have taken. */
  readonly closed: string | undefined;
}

/** The proxy's own challenge router answers before anything an operator put on the entry point. */
export const ACME_ROUTER = "acme-http@internal";

/** All routers by name. Each is judged alone: one that is broken takes nothing with it but its children. */
export class RouterBook {
  readonly resolved = new Map<string, ResolvedRouter>();
  readonly #context: Context;
  readonly #entryPoints: EntryPoints;
  readonly #middlewares: MiddlewareBook;
  readonly #services: ServiceBook;
  readonly #tls: TlsOptionsBook;
  readonly #found: ReadonlyMap<string, Found<DeclaredRouter>>;
  readonly #parents = new Set<string>();

  constructor(
    context: Context,
    entryPoints: EntryPoints,
    books: { middlewares: MiddlewareBook; services: ServiceBook; tls: TlsOptionsBook },
  ) {
    this.#context = context;
    this.#entryPoints = entryPoints;
    this.#middlewares = books.middlewares;
    this.#services = books.services;
    this.#tls = books.tls;
    this.#found = collect(context.declarations, (declaration) => declaration.routers);
    for (const { provider, declared } of this.#found.values()) {
      for (const parent of declared.value.parentRefs) this.#parents.add(qualify(parent, provider));
    }
    for (const name of this.#found.keys()) this.#resolve(name, []);
  }

  #resolve(name: string, below: readonly string[]): ResolvedRouter {
    const done = this.resolved.get(name);
    if (done !== undefined) return done;
    const found = this.#found.get(name)!;
    const judged = new Judgement(this.#context.ledger, found);
    const rule = this.#ruleOf(found, judged);
    const parents = this.#parentsOf(found, judged, below);
    const draft = this.#draft(found, judged, parents);
    const specs =
      found.declared.value.parentRefs.length > 0 ? [draft] : this.#onEntryPoints(draft, found, judged);
    const broken = found.declared.broken || judged.failed;
    const closed = broken ? this.#whyClosed(found, judged) : undefined;
    const resolved = { found, specs, hosts: rule, broken, closed };
    this.resolved.set(name, resolved);
    return resolved;
  }

  /**
   * A router that is broken would leave its requests to broader ones, without what was to guard them. Only where nobody
   * knows which requests it means, or they belong to somebody else, it goes altogether.
   */
  #whyClosed({ name, declared }: Found<DeclaredRouter>, judged: Judgement): string | undefined {
    const problems = this.#context.ledger.problemsOf(judged.subject);
    if (!judged.hasRule || problems.some(({ code }) => code === "owned-host")) return undefined;
    const worst = this.#context.ledger.rootOf(judged.subject);
    const reason = worst?.severity === "error" ? describeProblem(worst) : describePlace(declared.place);
    return `router ${name} is not in force: ${reason}`;
  }

  #ruleOf({ provider, declared: { value } }: Found<DeclaredRouter>, judged: Judgement): readonly string[] {
    if (value.rule.trim() === "") {
      judged.error("rule", "missing-option", "is required: it says which requests the router takes");
      return [];
    }
    const check = this.#context.checkRule(value.rule, syntaxOf(value, this.#context));
    judged.hasRule = check.problem === undefined;
    if (check.problem !== undefined)
      judged.error("rule", "bad-rule", check.problem.message, check.problem.suggestion);
    for (const { message, suggestion } of check.warnings)
      judged.warn("rule", "odd-rule", message, suggestion);
    if (value.priority > PRIORITY_MAX && provider !== "internal") {
      judged.error("priority", "bad-value", `expected at most ${PRIORITY_MAX}, found ${value.priority}`);
    }
    return check.hosts;
  }

  #parentsOf(found: Found<DeclaredRouter>, judged: Judgement, below: readonly string[]): readonly string[] {
    const { value } = found.declared;
    if (value.parentRefs.length === 0) return [];
    for (const option of ["tls", "observability"] as const) {
      if (value[option] !== undefined)
        judged.error(option, "bad-child", "belongs to the parent router, not to its child");
    }
    if (value.entryPoints.length > 0) {
      judged.error("entryPoints", "bad-child", "belongs to the parent router, not to its child");
    }
    return value.parentRefs.flatMap((written) => this.#parentCopies(found, written, judged, below));
  }

  #parentCopies(
    child: Found<DeclaredRouter>,
    written: string,
    judged: Judgement,
    below: readonly string[],
  ): string[] {
    const name = qualify(written, child.provider);
    if (!this.#found.has(name)) {
      complainUnknown(
        this.#context,
        judged.subject,
        judged.at("parentRefs"),
        "router",
        name,
        this.#found.keys(),
      );
      judged.failed = true;
      return [];
    }
    const path = [...below, child.name];
    if (path.includes(name)) {
      judged.error("parentRefs", "recursion", `the router continues itself: ${[...path, name].join(" -> ")}`);
      return [];
    }
    const parent = this.#resolve(name, path);
    if (parent.broken)
      judged.broken(
        "parentRefs",
        { kind: "router", name },
        `router ${name} is not in force, so this one is not either`,
      );
    return parent.specs.map((spec) => spec.name);
  }

  /** What does not depend on the entry point. */
  #draft(found: Found<DeclaredRouter>, judged: Judgement, parents: readonly string[]): RouterSpec {
    const { name, provider, declared } = found;
    const { value } = declared;
    const own = value.middlewares.filter((written) => !written.startsWith("-"));
    const middlewares = this.#middlewares.resolve(own, provider, judged.subject, judged.at("middlewares"));
    if (middlewares === undefined) judged.failed = true;
    const service = this.#serviceOf(found, judged);
    const isInternal = providerOf(service) === "internal";
    const { accessLog, metrics, tracing } = this.#context.settings;
    return {
      name,
      provider,
      rule: value.rule,
      ruleSyntax: syntaxOf(value, this.#context),
      priority: effectivePriority(value.priority, value.rule),
      precedence: precedenceOf(this.#context, provider),
      createdAtMs: value.createdAtMs,
      entryPoints: [],
      middlewares: middlewares ?? own.map((written) => qualify(written, provider)),
      service,
      parents,
      tls: undefined,
      byDefaultRule: value.byDefaultRule,
      accessLog: !isInternal || accessLog?.addInternals === true,
      metrics: !isInternal || metrics?.addInternals === true,
      tracing: !isInternal || tracing?.addInternals === true,
      detailedTraces: false,
    };
  }

  #serviceOf({ name: router, provider, declared }: Found<DeclaredRouter>, judged: Judgement): string {
    const written = declared.value.service;
    const isParent = this.#parents.has(router);
    if (isParent && written !== "") {
      judged.error("service", "bad-parent", "a router that others continue has no service of its own");
    }
    if (written === "") {
      if (!isParent) judged.error("service", "missing-option", "is required: it says where the requests go");
      return "";
    }
    const name = qualify(written, provider);
    this.#context.users.add({ kind: "service", name }, judged.subject);
    if (this.#services.specs.has(name)) return name;
    if (this.#services.found.has(name)) {
      judged.broken(
        "service",
        { kind: "service", name },
        `service ${name} is not in force, so this router is not either`,
      );
    } else {
      complainUnknown(
        this.#context,
        judged.subject,
        judged.at("service"),
        "service",
        name,
        this.#services.found.keys(),
      );
      judged.failed = true;
    }
    return name;
  }

  #onEntryPoints(draft: RouterSpec, found: Found<DeclaredRouter>, judged: Judgement): readonly RouterSpec[] {
    const names = this.#entryPointsOf(found.declared.value.entryPoints, judged);
    const isPlain = (name: string) => !this.#entryPoints.models.get(name)!.adds || found.name === ACME_ROUTER;
    const plain = names.filter(isPlain);
    const specs: RouterSpec[] = [];
    if (plain.length > 0 || names.length === 0) specs.push(this.#specOn(draft, found, judged, plain));
    for (const name of names) {
      if (isPlain(name)) continue;
      const copy = this.#specOn(draft, found, judged, [name]);
      specs.push(names.length === 1 ? copy : { ...copy, name: prefixed(name, copy.name) });
    }
    return specs;
  }

  #entryPointsOf(written: readonly string[], judged: Judgement): readonly string[] {
    const { models, defaults } = this.#entryPoints;
    if (written.length === 0) return defaults;
    const known = new Set(written.filter((name) => models.has(name)));
    const unknown = written.filter((name) => !models.has(name));
    const meant = (name: string) => nearest(name, models.keys());
    if (known.size === 0) {
      const message = `there is no entry point ${unknown.join(" or ")}, so nothing reaches the router`;
      const suggestion = unknown.flatMap((name) => meant(name) ?? []).join(",");
      judged.error("entryPoints", "unknown-entry-point", message, suggestion || undefined);
      return [];
    }
    for (const name of unknown)
      judged.warn("entryPoints", "unknown-entry-point", `there is no entry point ${name}`, meant(name));
    return [...known];
  }

  /** The draft on entry points that all say the same: one that adds something, or any number that add nothing. */
  #specOn(
    draft: RouterSpec,
    found: Found<DeclaredRouter>,
    judged: Judgement,
    entryPoints: readonly string[],
  ): RouterSpec {
    const model = this.#entryPoints.models.get(entryPoints[0] ?? "");
    const { value } = found.declared;
    const before =
      model === undefined || found.name === ACME_ROUTER
        ? []
        : this.#entryPointMiddlewares(model, found, judged);
    const tls = value.tls ?? (found.name === ACME_ROUTER ? undefined : model?.tls);
    const observed = { ...model?.observability, ...definedOf(value.observability) };
    return {
      ...draft,
      entryPoints,
      middlewares: [...before, ...draft.middlewares],
      tls: tls === undefined ? undefined : { ...tls, options: this.#tlsOptionsOf(tls, found, judged) },
      accessLog: draft.accessLog && observed.accessLogs !== false,
      metrics: draft.metrics && observed.metrics !== false,
      tracing: draft.tracing && observed.tracing !== false,
      accessLogSampleRate: observed.accessLogSampleRate,
      detailedTraces: observed.traceVerbosity === "detailed",
    };
  }

  #entryPointMiddlewares(
    model: EntryPointModel,
    found: Found<DeclaredRouter>,
    judged: Judgement,
  ): readonly string[] {
    const { provider, declared } = found;
    const excluded = declared.value.middlewares
      .filter((written) => written.startsWith("-"))
      .map((w) => w.slice(1));
    const takesOut = (written: string, name: string) =>
      written.includes("@") ? written === name : name.slice(0, name.lastIndexOf("@")) === written;
    for (const written of excluded) {
      if (model.middlewares.some((name) => takesOut(written, name))) continue;
      const message = `-${written} takes nothing out: entry point ${model.name} has no middleware of that name`;
      const near = nearest(
        written,
        model.middlewares.map((name) => name.slice(0, name.lastIndexOf("@"))),
      );
      judged.warn("middlewares", "nothing-excluded", message, near && `-${near}`);
    }
    const kept = model.middlewares.filter((name) => !excluded.some((written) => takesOut(written, name)));
    const resolved = this.#middlewares.resolve(kept, provider, judged.subject, judged.at("middlewares"));
    if (resolved === undefined) judged.failed = true;
    return resolved ?? [];
  }

  #tlsOptionsOf(
    tls: NonNullable<RouterSpec["tls"]>,
    found: Found<DeclaredRouter>,
    judged: Judgement,
  ): string {
    const { certResolver } = tls;
    const resolvers = this.#context.settings.certificatesResolvers;
    if (certResolver !== "" && certResolver !== "internal" && !resolvers.has(certResolver)) {
      const message = `there is no certificates resolver ${certResolver}; the router works, without a certificate of its own`;
      judged.warn("tls.certResolver", "unknown-resolver", message, nearest(certResolver, resolvers.keys()));
    }
    const isDefault = tls.options === "" || tls.options === DEFAULT_OPTIONS;
    const name = isDefault ? DEFAULT_OPTIONS : qualify(tls.options, found.provider);
    this.#context.users.add({ kind: "tls-options", name }, judged.subject);
    if (this.#tls.specs.has(name)) return name;
    if (this.#tls.found.has(name)) {
      judged.broken(
        "tls.options",
        { kind: "tls-options", name },
        `TLS options ${name} are not in force, so this router is not either`,
      );
    } else {
      complainUnknown(
        this.#context,
        judged.subject,
        judged.at("tls.options"),
        "TLS options",
        name,
        this.#tls.found.keys(),
      );
      judged.failed = true;
    }
    return name;
  }
}

/** What is found out about one router while it is looked at. */
class Judgement {
  readonly subject: Subject;
  failed = false;
  /** Its rule says which requests it means. */
  hasRule = false;
  readonly #ledger: Context["ledger"];
  readonly #declared: Found<DeclaredRouter>["declared"];

  constructor(ledger: Context["ledger"], { name, declared }: Found<DeclaredRouter>) {
    this.subject = { kind: "router", name };
    this.#ledger = ledger;
    this.#declared = declared;
  }

  at(option: string): Place {
    return optionOf(this.#declared, option);
  }

  error(option: string, code: string, message: string, suggestion?: string): void {
    this.failed = true;
    this.#ledger.error(this.subject, this.at(option), code, message, suggestion);
  }

  broken(option: string, cause: Subject, message: string): void {
    this.failed = true;
    this.#ledger.broken(this.subject, this.at(option), cause, message);
  }

  warn(option: string, code: string, message: string, suggestion?: string): void {
    this.#ledger.warn(this.subject, this.at(option), code, message, suggestion);
  }
}

function syntaxOf({ ruleSyntax, byDefaultRule }: DeclaredRouter, { settings }: Context): RuleSyntax {
  if (byDefaultRule) return "v3";
  return ruleSyntax === "v2" || ruleSyntax === "v3" ? ruleSyntax : settings.core.defaultRuleSyntax;
}

function definedOf<T extends object>(values: T | undefined): Partial<T> {
  return Object.fromEntries(
    Object.entries(values ?? {}).filter(([, value]) => value !== undefined),
  ) as Partial<T>;
}

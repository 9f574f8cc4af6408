import { parseAddress } from "../model/entry-point.ts";
import type { Report, RouterReport } from "../model/report.ts";
import type { Settings } from "../model/settings.ts";
import type { RouterSpec } from "../model/snapshot.ts";
import { compareRouters } from "../routing/priority.ts";
import { parseRule } from "../routing/rule.ts";
import type { Place } from "../schema/node.ts";
import type { Problem, Subject } from "../schema/problem.ts";
import { cannotHold, covers } from "./rule-logic.ts";

/** What is in force and yet is hardly what someone meant. Asked of files, where there is time to look. */
export function lint(
  report: Report,
  settings: Settings,
  published: ReadonlySet<number> | undefined,
): Problem[] {
  const problems: Problem[] = [];
  const warn = (code: string, place: Place, subject: Subject, message: string) =>
    void problems.push({ code, severity: "warning", place, message, subject });
  const routers = [...report.routers.values()].filter(({ provider }) => provider !== "internal");
  lintRules(routers, warn);
  if (published !== undefined) lintReach(routers, settings, published, warn);
  lintOpenPages(routers, report, settings, warn);
  lintTls(report, warn);
  return problems;
}

type Warn = (code: string, place: Place, subject: Subject, message: string) => void;

const placeOf = ({ place }: RouterReport, option: string): Place => ({
  ...place,
  key: place.key === "" ? option : `${place.key}.${option}`,
});
const subjectOf = ({ name }: { readonly name: string }): Subject => ({ kind: "router", name });

/** Rules that nothing can fulfil, that are there twice, or that another router's takes everything from. */
function lintRules(routers: readonly RouterReport[], warn: Warn): void {
  const tried: { readonly report: RouterReport; readonly spec: RouterSpec }[] = [];
  const all = routers.flatMap((report) => report.effective.map((spec) => ({ report, spec })));
  const told = new Set<RouterReport>();
  for (const one of all.sort((a, b) => compareRouters(a.spec, b.spec))) {
    const { report, spec } = one;
    const parsed = parseRule(spec.rule, spec.ruleSyntax);
    if ("problem" in parsed || told.has(report) || spec.parents.length > 0) continue;
    const { condition } = parsed.rule;
    const never = cannotHold(condition);
    if (never !== undefined) {
      told.add(report);
      warn("never-matches", placeOf(report, "rule"), subjectOf(report), `can never match: ${never}`);
      continue;
    }
    // One that is not in force takes nothing from others, and has other problems first.
    if (report.status === "disabled") continue;
    const before = tried.find((other) => takesAll(other.spec, spec));
    tried.push(one);
    if (before === undefined || before.report === report) continue;
    told.add(report);
    const isSame = before.spec.rule.trim() === spec.rule.trim();
    const message = isSame
      ? `has the same rule as router ${before.report.name}, which is tried first and takes every request`
      : `never gets a request: router ${before.report.name} is tried first (priority ${before.spec.priority} before ${spec.priority}) and takes all of them`;
    warn(isSame ? "duplicate-rule" : "shadowed", placeOf(report, "rule"), subjectOf(report), message);
  }
}

function takesAll(first: RouterSpec, second: RouterSpec): boolean {
  if ((first.tls === undefined) !== (second.tls === undefined) || first.parents.length > 0) return false;
  if (!second.entryPoints.every((name) => first.entryPoints.includes(name))) return false;
  const [a, b] = [parseRule(first.rule, first.ruleSyntax), parseRule(second.rule, second.ruleSyntax)];
  return !("problem" in a) && !("problem" in b) && covers(a.rule.condition, b.rule.condition);
}

/** Routers on entry points whose ports the proxy's container does not publish. */
function lintReach(
  routers: readonly RouterReport[],
  { entryPoints }: Settings,
  published: ReadonlySet<number>,
  warn: Warn,
): void {
  const isShut = (name: string) => {
    const port = parseAddress(entryPoints.get(name)?.address ?? "")?.port;
    return port !== undefined && !published.has(port);
  };
  for (const router of routers) {
    const { using, status } = router;
    if (status === "disabled" || using.length === 0 || !using.every(isShut)) continue;
    const where = using.map((name) => `${name} (${entryPoints.get(name)!.address})`).join(", ");
    const message = `is not reached from outside: it listens on ${where}, and the ports that are published lead to ${[...published].join(", ")}`;
    warn("unpublished-port", placeOf(router, "entryPoints"), subjectOf(router), message);
  }
}

const GUARDS = new Set([
  "basicAuth",
  "digestAuth",
  "forwardAuth",
  "ipAllowList",
  "ipWhiteList",
  "jwt",
  "oidc",
]);

/** API and dashboard where anyone may come. */
function lintOpenPages(
  routers: readonly RouterReport[],
  report: Report,
  { api }: Settings,
  warn: Warn,
): void {
  if (api === undefined) return;
  const hasLogin = (api.auth?.token ?? "") !== "" || (api.auth?.users.length ?? 0) > 0;
  if (hasLogin) return;
  for (const router of routers) {
    const service = router.declared.service.toLowerCase();
    if (router.status === "disabled") continue;
    if (service !== "api@internal" && service !== "dashboard@internal") continue;
    const guarded = router.effective.every(({ middlewares }) =>
      middlewares.some((name) => GUARDS.has(report.middlewares.get(name)?.type ?? "")),
    );
    if (guarded) continue;
    const message =
      "shows the dashboard without a login; give it a middleware such as basicAuth, or set api.auth";
    warn("open-dashboard", placeOf(router, "service"), subjectOf(router), message);
  }
}

const OLD_CIPHERS = /RC4|3DES|_CBC_SHA$|^TLS_RSA_/;

function lintTls(report: Report, warn: Warn): void {
  for (const { name, place, declared, status } of report.tlsOptions.values()) {
    if (status === "disabled") continue;
    const subject: Subject = { kind: "tls-options", name };
    const option = (key: string): Place => ({ ...place, key: `${place.key}.${key}` });
    // Versions before 1.2 are never spoken, which their reader says.
    const old = declared.cipherSuites.filter((cipher) => OLD_CIPHERS.test(cipher));
    if (old.length > 0)
      warn("weak-tls", option("cipherSuites"), subject, `allows weak ciphers: ${old.join(", ")}`);
  }
  for (const { name, place, declared, provider } of report.transports.values()) {
    if (!declared.insecureSkipVerify) continue;
    const where =
      provider === "internal"
        ? ({ source: "flag", key: "--serversTransport.insecureSkipVerify" } as const)
        : { ...place, key: `${place.key}.insecureSkipVerify` };
    warn(
      "weak-tls",
      where,
      { kind: "transport", name },
      "believes every certificate of a server, so anyone between can read along; name the authority in rootCAs instead",
    );
  }
}
